#include "chat/template/expression_nodes.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "chat/template/builtins.h"
#include "chat/template/render_state.h"
#include "chat/template/strings.h"
#include "chat/template/variables.h"

namespace kvern::chat {
namespace {

using jinja::value;

// A value already computed, as a child of a node that is run once.
class HeldNode : public jinja::expression {
 public:
  explicit HeldNode(value held) : held_(std::move(held)) {}
  value execute_impl(jinja::context&) const override { return held_; }

 private:
  value held_;
};

// The method as a function bound to its object, or null.
value find_method(const value& object, const std::string& name) {
  const jinja::func_builtins& methods = builtins_of(object);
  const auto found = methods.find(name);
  return found == methods.end() ? nullptr : mk_val<jinja::value_func>(name, found->second, object);
}

value method_or_undefined(const value& object, const std::string& name) {
  value method = find_method(object, name);
  return method ? method : mk_val<jinja::value_undefined>(name);
}

value member_of_object(const value& object, const value& key) {
  value missing = mk_val<jinja::value_undefined>("object_property");
  value found = object->at(key, missing);
  return found->is_undefined() ? method_or_undefined(object, key->as_string().str()) : found;
}

std::optional<std::size_t> position_in(std::size_t size, std::int64_t index) {
  if (index < 0) index += static_cast<std::int64_t>(size);
  if (index < 0 || static_cast<std::uint64_t>(index) >= size) return std::nullopt;
  return static_cast<std::size_t>(index);
}

value item_at(const value& sequence, std::int64_t index) {
  if (is_val<jinja::value_string>(sequence)) {
    RenderState::current().work_on(sequence);
    const Characters characters(sequence->val_str.str());
    if (const auto at = position_in(characters.count(), index))
      return mk_val<jinja::value_string>(part_of(sequence->val_str, characters.begin(*at), characters.begin(*at + 1)));
  } else if (const auto at = position_in(sequence->val_arr.size(), index)) {
    return sequence->val_arr[*at];
  }
  return mk_val<jinja::value_undefined>("object_property");
}

value member_of(const value& object, const value& key) {
  if (key->is_undefined() || object->is_undefined()) return mk_val<jinja::value_undefined>("object_property");
  if (is_val<jinja::value_object>(object)) return member_of_object(object, key);
  if ((is_val<jinja::value_array>(object) || is_val<jinja::value_string>(object)) && is_val<jinja::value_int>(key))
    return item_at(object, key->as_int());
  if (!is_val<jinja::value_string>(key))
    throw std::runtime_error("Cannot access a property of " + object->type() + " by " + key->type());
  return method_or_undefined(object, key->val_str.str());
}

bool is_text(const value& v) { return is_val<jinja::value_string>(v); }

bool is_number(const value& v) { return is_val<jinja::value_int>(v) || is_val<jinja::value_float>(v); }

value concatenation(const value& a, const value& b) {
  jinja::string text = text_of(a);
  jinja::string made;
  const jinja::string& tail = is_text(b) ? b->val_str : made = text_of(b);
  RenderState& state = RenderState::current();
  state.check_size(text.length() + tail.length());
  state.work(text.length() + tail.length());
  append_text(text, tail);
  return mk_val<jinja::value_string>(text);
}

value repetition(const value& text, const value& times) {
  const std::int64_t count = std::max<std::int64_t>(times->as_int(), 0);
  RenderState& state = RenderState::current();
  const std::size_t length = std::max<std::size_t>(text->val_str.length(), 1);
  state.check_size(static_cast<std::size_t>(count));
  state.check_size(static_cast<std::size_t>(count) * length);
  state.work(static_cast<std::size_t>(count) * length);
  jinja::string result;
  for (std::int64_t i = 0; i < count; ++i) append_text(result, text->val_str);
  return mk_val<jinja::value_string>(result);
}

// As the engine computes with whole numbers, by way of doubles, but for what it refuses; null: not one of these.
value of_integers(const std::string& name, const value& a, const value& b) {
  if (!is_val<jinja::value_int>(a) || !is_val<jinja::value_int>(b)) return nullptr;
  const double left = a->as_float();
  const double right = b->as_float();
  constexpr double kExact = 9007199254740992;  // beyond, the engine says what comes
  if (std::abs(left) > kExact / 2 || std::abs(right) > kExact / 2) return nullptr;
  if (name == "<") return truth(left < right);
  if (name == ">") return truth(left > right);
  if (name == "<=") return truth(left <= right);
  if (name == ">=") return truth(left >= right);
  if (name == "+") return mk_val<jinja::value_int>(static_cast<std::int64_t>(left + right));
  if (name == "-") return mk_val<jinja::value_int>(static_cast<std::int64_t>(left - right));
  return nullptr;
}

[[noreturn]] void refuse_operands(const std::string& name, const value& a, const value& b) {
  throw std::runtime_error("unsupported operands of " + name + ": " + a->type() + " and " + b->type());
}

// A `+` between text and anything else is an error in Python too, but for what is missing: templates
// add fields that not every message has.
value sum_of_texts(const value& a, const value& b) {
  const auto adds = [](const value& v) { return is_text(v) || v->is_undefined() || v->is_none(); };
  if (!adds(a) || !adds(b)) refuse_operands("+", a, b);
  const auto text = [](const value& v) { return v->is_none() ? trusted_value({}) : v; };
  return concatenation(text(a), text(b));
}

// The text of a string, in `joined` where it is in several parts.
const std::string& text_in(const value& string, std::string& joined) {
  const auto& parts = string->val_str.parts;
  return parts.size() == 1 ? parts.front().val : joined = string->val_str.str();
}

bool equal(const value& a, const value& b) {
  if (!is_text(a) || !is_text(b)) return *a == *b;
  std::string left;
  std::string right;
  return text_in(a, left) == text_in(b, right);
}

bool contains(const value& whole, const value& item) {
  if (whole->is_undefined()) return false;
  if (is_text(whole) && is_text(item)) {
    std::string text;
    std::string words;
    return text_in(whole, text).find(text_in(item, words)) != std::string::npos;
  }
  if (is_val<jinja::value_array>(whole)) {
    const auto& items = whole->val_arr;
    return std::any_of(items.begin(), items.end(), [&](const value& one) { return *one == *item; });
  }
  if (!is_val<jinja::value_object>(whole)) refuse_operands("in", item, whole);
  if (item->is_undefined()) return false;
  if (!item->is_hashable()) refuse_operands("in", item, whole);
  return whole->has_key(item);
}

std::string filter_name(const std::string& name) {
  if (name == "count") return "length";
  if (name == "d") return "default";
  if (name == "e") return "escape";
  if (name == "trim") return "strip";
  return name;
}

bool takes_text(std::string_view filter) {
  return filter == "capitalize" || filter == "lower" || filter == "replace" || filter == "strip" || filter == "title" ||
         filter == "upper" || filter == "wordcount";
}

}  // namespace

LiteralNode::LiteralNode(const std::string& text) : jinja::string_literal(text), value_(trusted_value(text)) {}

value LiteralNode::execute_impl(jinja::context&) const { return value_; }

NameNode::NameNode(const std::string& name) : jinja::identifier(name), key_(name_value(name)) {}

value NameNode::execute_impl(jinja::context& context) const {
  const value* variable = find_variable(context, key_);
  if (variable != nullptr && !(*variable)->is_undefined()) return *variable;
  const jinja::func_builtins& functions = global_functions();
  const auto function = functions.find(val);
  if (function != functions.end()) return mk_val<jinja::value_func>(val, function->second);
  return variable != nullptr ? *variable : mk_val<jinja::value_undefined>(val);
}

MemberNode::MemberNode(jinja::statement_ptr&& of, jinja::statement_ptr&& member, bool is_computed)
    : jinja::member_expression(std::move(of), std::move(member), is_computed) {
  if (computed) return;
  name_ = cast_stmt<NameNode>(property);
  static const value example = mk_val<jinja::value_object>();
  hidden_ = name_ != nullptr && builtins_of(example).contains(name_->val);
}

value MemberNode::execute_impl(jinja::context& context) const {
  const value whole = object->execute(context);
  if (computed) {
    if (is_stmt<jinja::slice_expression>(property)) return slice(whole, context);
    const value key = property->execute(context);
    if (!key->is_undefined() && !key->is_hashable())
      throw std::runtime_error("Type: " + key->type() + " is not allowed as object key");
    return member_of(whole, key);
  }
  if (const auto* index = cast_stmt<jinja::integer_literal>(property))
    return member_of(whole, mk_val<jinja::value_int>(index->val));
  if (name_ == nullptr) throw std::runtime_error("Static member property must be an identifier");
  return named(whole);
}

value MemberNode::named(const value& whole) const {
  if (const auto* keyed = cast_val<jinja::value_object>(whole); keyed != nullptr && !hidden_) {
    const value* member = find_member(*keyed, name_->key());
    return member != nullptr && !(*member)->is_undefined() ? *member : mk_val<jinja::value_undefined>(name_->val);
  }
  // As in Python, a method hides a key of the same name.
  if (value method = find_method(whole, name_->val)) return method;
  return member_of(whole, name_->key());
}

value MemberNode::slice(const value& whole, jinja::context& context) const {
  const auto* bounds = cast_stmt<jinja::slice_expression>(property);
  const auto bound = [&](const jinja::statement_ptr& given, std::int64_t otherwise) {
    return given ? given->execute(context) : mk_val<jinja::value_int>(otherwise);
  };
  const bool is_string = is_text(whole);
  const auto size = static_cast<std::int64_t>(is_string ? whole->val_str.length() : whole->val_arr.size());
  const value step = bound(bounds->step_expr, 1);
  const bool backwards = step->as_int() < 0;
  const value function = find_method(whole, "slice");
  if (!function) throw std::runtime_error("Cannot slice " + whole->type());
  jinja::func_args args(context);
  args.push_back(bound(bounds->start_expr, backwards ? size - 1 : 0));
  args.push_back(bound(bounds->stop_expr, backwards ? -1 : size));
  args.push_back(step);
  return function->invoke(args);
}

value BinaryNode::execute_impl(jinja::context& context) const {
  const value a = left->execute(context);
  if (op.value == "and") return a->as_bool() ? right->execute(context) : a;
  if (op.value == "or") return a->as_bool() ? a : right->execute(context);
  const value b = right->execute(context);
  RenderState& state = RenderState::current();
  state.work_on(a);
  state.work_on(b);
  return compute(a, b, context);
}

value BinaryNode::compute(const value& a, const value& b, jinja::context& context) const {
  const std::string& name = op.value;
  if (name == "==") return truth(equal(a, b));
  if (name == "!=") return truth(!equal(a, b));
  if (name == "~") return concatenation(a, b);
  if (name == "+" && (is_text(a) || is_text(b))) return sum_of_texts(a, b);
  if (name == "in" || name == "not in") return truth(contains(b, a) == (name == "in"));
  if (name == "*" && is_text(a) && is_val<jinja::value_int>(b)) return repetition(a, b);
  if (name == "*" && is_val<jinja::value_int>(a) && is_text(b)) return repetition(b, a);
  if ((name == "/" || name == "%") && is_number(a) && is_number(b) && b->as_float() == 0.0)
    throw std::runtime_error("division by zero");
  if (value result = of_integers(name, a, b)) return result;
  const jinja::binary_expression engines(op, std::make_unique<HeldNode>(a), std::make_unique<HeldNode>(b));
  return engines.execute_impl(context);
}

value CallNode::execute_impl(jinja::context& context) const {
  RenderState::current().enter();
  return jinja::call_expression::execute_impl(context);
}

value FilterNode::execute_impl(jinja::context& context) const {
  return apply_filter(context, filter, operand->execute(context));
}

value DivisorNode::execute_impl(jinja::context& context) const {
  value divisor = inner_->execute(context);
  if (!is_val<jinja::value_int>(divisor) || divisor->as_int() == 0 || divisor->as_int() == -1)
    throw TemplateError{"'divisibleby' takes an integer that is neither 0 nor -1"};
  return divisor;
}

value apply_filter(jinja::context& context, const jinja::statement_ptr& filter, value input) {
  const auto* call = cast_stmt<jinja::call_expression>(filter);
  const auto* id = cast_stmt<jinja::identifier>(call != nullptr ? call->callee : filter);
  if (id == nullptr) throw std::runtime_error("Invalid filter expression");
  const std::string name = filter_name(id->val);
  if (!input->is_undefined() && !is_text(input) && takes_text(name))
    input = mk_val<jinja::value_string>(text_of(input));

  const jinja::func_builtins& filters = builtins_of(input);
  const auto found = filters.find(name);
  if (found == filters.end()) throw std::runtime_error("Unknown filter '" + name + "' for type " + input->type());
  jinja::func_args args(context);
  args.func_name = name;
  args.push_back(input);
  if (call != nullptr) {
    for (const jinja::statement_ptr& argument : call->args) args.push_back(argument->execute(context));
  }
  return found->second(args);
}

}  // namespace kvern::chat
