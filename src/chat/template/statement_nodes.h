// Statements of the engine's syntax tree, replaced by ones that keep to a render's limits.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "chat/template/engine.h"

namespace kvern::chat {

class PreparedValue;

// Text between the tags.
class TextNode : public jinja::expression {
 public:
  explicit TextNode(const std::string& text);
  jinja::value execute_impl(jinja::context& context) const override;

 private:
  jinja::value value_;
};

// A member of an object, as it was before an assignment.
struct MemberBefore {
  jinja::value object;
  jinja::value name;
  jinja::value value;
  void put_back() const;
};

// {{ expression }}
class OutputNode : public jinja::expression {
 public:
  explicit OutputNode(jinja::statement_ptr inner) : inner_(std::move(inner)) {}
  jinja::value execute_impl(jinja::context& context) const override;
  jinja::statement_ptr& inner() { return inner_; }

 private:
  jinja::statement_ptr inner_;
};

// Stands first in the body of a macro or a call block.
class EntryNode : public jinja::statement {
 public:
  EntryNode(std::vector<std::string> parameters, std::size_t steps)
      : parameters_(std::move(parameters)), steps_(steps) {}
  jinja::value execute_impl(jinja::context& context) const override;

 private:
  std::vector<std::string> parameters_;
  std::size_t steps_;
};

// The engine's loop reads a pair again after the body may have shortened it, and copies all
// variables for each item.
class ForNode : public jinja::for_statement {
 public:
  using jinja::for_statement::for_statement;
  jinja::value execute_impl(jinja::context& context) const override;
  std::size_t steps = 1;  // what one round costs
  // What the body reads of `loop`, LoopVariable's bits: making that variable is most of an empty round.
  std::uint32_t loop_members = 0;
  // Not 0: its rounds can be kept (round_analysis.h), and this number is no other loop's.
  std::uint64_t number = 0;
  std::vector<jinja::value> functions;  // names the body calls functions by; a variable may take them

 private:
  bool keeps_rounds(const jinja::context& scope) const;
  jinja::value kept_round(const PreparedValue& item, jinja::context& scope) const;
  std::vector<jinja::value> items(jinja::context& scope) const;
  void bind(const jinja::value& item, jinja::context& scope) const;
};

class SetNode : public jinja::set_statement {
 public:
  using jinja::set_statement::set_statement;
  jinja::value execute_impl(jinja::context& context) const override;

  // Assigns value to the member once more. False: there is none yet. What was there goes into before.
  bool repeat(const jinja::value& value, jinja::context& context, std::vector<MemberBefore>& before) const;
  bool changes_outside = false;  // the member is one of an object that rounds share (round_analysis.h)

 private:
  void assign_all(const jinja::tuple_literal& names, const jinja::value& values, jinja::context& context) const;
  void assign_member(const jinja::member_expression& member, const jinja::value& value, jinja::context& context) const;
};

class CallBlockNode : public jinja::call_statement {
 public:
  using jinja::call_statement::call_statement;
  jinja::value execute_impl(jinja::context& context) const override;
};

class FilterBlockNode : public jinja::filter_statement {
 public:
  using jinja::filter_statement::filter_statement;
  jinja::value execute_impl(jinja::context& context) const override;
};

}  // namespace kvern::chat
