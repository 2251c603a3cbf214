// Expressions of the engine's syntax tree, replaced by ones that keep to a render's limits.
//
// Each takes over the children of the node it replaces. They do what the engine's do, without
// copying its tables of builtins at every look-up. Thread: any; a tree is shared and constant.
#pragma once

#include <utility>

#include "chat/template/engine.h"

namespace kvern::chat {

class LiteralNode : public jinja::string_literal {
 public:
  explicit LiteralNode(const std::string& text);
  jinja::value execute_impl(jinja::context& context) const override;

 private:
  jinja::value value_;  // nobody changes a string value, so one serves all renders
};

class NameNode : public jinja::identifier {
 public:
  explicit NameNode(const std::string& name);
  jinja::value execute_impl(jinja::context& context) const override;
  const jinja::value& key() const { return key_; }

 private:
  jinja::value key_;  // the name as a value
};

class MemberNode : public jinja::member_expression {
 public:
  MemberNode(jinja::statement_ptr&& of, jinja::statement_ptr&& member, bool is_computed);
  jinja::value execute_impl(jinja::context& context) const override;

 private:
  jinja::value named(const jinja::value& whole) const;
  jinja::value slice(const jinja::value& whole, jinja::context& context) const;

  const NameNode* name_ = nullptr;  // `.name`; in property
  bool hidden_ = false;             // an object's method is called that
};

class BinaryNode : public jinja::binary_expression {
 public:
  using jinja::binary_expression::binary_expression;
  jinja::value execute_impl(jinja::context& context) const override;

 private:
  jinja::value compute(const jinja::value& a, const jinja::value& b, jinja::context& context) const;
};

class CallNode : public jinja::call_expression {
 public:
  using jinja::call_expression::call_expression;
  jinja::value execute_impl(jinja::context& context) const override;
};

class FilterNode : public jinja::filter_expression {
 public:
  using jinja::filter_expression::filter_expression;
  jinja::value execute_impl(jinja::context& context) const override;
};

// The argument of `is divisibleby`: zero would be a trap, not an exception.
class DivisorNode : public jinja::expression {
 public:
  explicit DivisorNode(jinja::statement_ptr inner) : inner_(std::move(inner)) {}
  jinja::value execute_impl(jinja::context& context) const override;

 private:
  jinja::statement_ptr inner_;
};

// What follows a `|`, applied to input.
jinja::value apply_filter(jinja::context& context, const jinja::statement_ptr& filter, jinja::value input);

}  // namespace kvern::chat
