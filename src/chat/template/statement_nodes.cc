#include "chat/template/statement_nodes.h"

#include <algorithm>
#include <stdexcept>

#include "chat/template/expression_nodes.h"
#include "chat/template/prepared_value.h"
#include "chat/template/render_state.h"
#include "chat/template/rounds.h"
#include "chat/template/strings.h"
#include "chat/template/variables.h"

namespace kvern::chat {
namespace {

using jinja::value;

value run_block(const jinja::statements& body, jinja::context& context) {
  auto results = mk_val<jinja::value_array>();
  for (const jinja::statement_ptr& statement : body) results->push_back(statement->execute(context));
  return jinja::runtime::gather_string_parts(results);
}

const NameNode& name_of(const jinja::statement_ptr& statement) {
  const auto* id = cast_stmt<NameNode>(statement);
  if (id == nullptr) throw std::runtime_error("Cannot unpack to " + statement->type());
  return *id;
}

}  // namespace

TextNode::TextNode(const std::string& text) : value_(trusted_value(text)) {}

value TextNode::execute_impl(jinja::context&) const {
  RenderState::current().write(value_->val_str.parts.front().val.size());
  return value_;
}

void MemberBefore::put_back() const {
  jinja::value holder = object;
  holder->insert(name, value);
}

value OutputNode::execute_impl(jinja::context& context) const {
  value result = inner_->execute(context);
  RenderState& state = RenderState::current();
  if (!is_val<jinja::value_string>(result)) result = mk_val<jinja::value_string>(text_of(result));
  state.write(result->val_str.length());
  return result;
}

value EntryNode::execute_impl(jinja::context& context) const {
  RenderState& state = RenderState::current();
  state.enter();
  state.step(steps_);
  for (const std::string& parameter : parameters_) state.check_value(context.get_val(parameter));
  return mk_val<jinja::value_undefined>();
}

value ForNode::execute_impl(jinja::context& context) const {
  jinja::context scope(context);
  const std::vector<value> rounds = items(scope);
  auto results = mk_val<jinja::value_array>();
  LoopVariable loop(rounds, loop_members);
  const bool keeps = keeps_rounds(scope);
  for (std::size_t i = 0; i < rounds.size(); ++i) {
    RenderState::current().step(steps);
    if (loop_members != 0) loop.set(scope, i);
    bind(rounds[i], scope);
    if (const PreparedValue* item = keeps ? RenderState::current().item_of(rounds[i]) : nullptr; item != nullptr) {
      results->push_back(kept_round(*item, scope));
      continue;
    }
    try {
      for (const jinja::statement_ptr& item : body) results->push_back(item->execute(scope));
    } catch (const jinja::continue_statement::signal&) {
      continue;
    } catch (const jinja::break_statement::signal&) {
      break;
    }
  }
  if (rounds.empty()) {
    for (const jinja::statement_ptr& item : default_block) results->push_back(item->execute(context));
  }
  return jinja::runtime::gather_string_parts(results);
}

// While a round is written down the loops in it are part of it.
bool ForNode::keeps_rounds(const jinja::context& scope) const {
  if (number == 0 || RenderState::current().recording() != nullptr) return false;
  return std::none_of(functions.begin(), functions.end(),
                      [&](const value& name) { return find_variable(scope, name) != nullptr; });
}

value ForNode::kept_round(const PreparedValue& item, jinja::context& scope) const {
  for (const auto& round : item.rounds_of(number))
    if (round->repeat(scope)) return round->text();
  Recording recording(RenderState::current());
  value text = run_block(body, scope);
  if (auto round = recording.finish(text)) item.keep_round(number, std::move(round));
  return text;
}

std::vector<value> ForNode::items(jinja::context& scope) const {
  const auto* select = cast_stmt<jinja::select_expression>(iterable);
  const value source = (select != nullptr ? select->lhs : iterable)->execute(scope);
  std::vector<value> all;
  if (is_val<jinja::value_array>(source)) {
    all = source->as_array();
  } else if (is_val<jinja::value_object>(source)) {
    const bool pairs = is_stmt<jinja::tuple_literal>(loopvar);
    for (const auto& member : source->as_ordered_object()) {
      all.push_back(pairs ? mk_val<jinja::value_tuple>(member) : member.first);
    }
  } else if (is_val<jinja::value_string>(source)) {
    const Characters characters(source->val_str.str());
    RenderState::current().step(characters.count() * (1 + source->val_str.parts.size() / 16));
    for (std::size_t i = 0; i < characters.count(); ++i) {
      all.push_back(
          mk_val<jinja::value_string>(part_of(source->val_str, characters.begin(i), characters.begin(i + 1))));
    }
  } else if (!source->is_undefined()) {
    throw std::runtime_error("Expected iterable or object type in for loop: got " + source->type());
  }
  RenderState::current().step(all.size() / 16);
  if (select == nullptr) return all;

  std::vector<value> selected;
  jinja::context test_scope(scope);
  for (const value& item : all) {
    RenderState::current().step();
    bind(item, test_scope);
    if (select->test->execute(test_scope)->as_bool()) selected.push_back(item);
  }
  return selected;
}

void ForNode::bind(const value& item, jinja::context& scope) const {
  const auto* names = cast_stmt<jinja::tuple_literal>(loopvar);
  if (names == nullptr) {
    set_variable(scope, name_of(loopvar).key(), item);
    return;
  }
  if (!is_val<jinja::value_array>(item) || item->val_arr.size() != names->val.size())
    throw std::runtime_error("Cannot unpack a loop item into " + std::to_string(names->val.size()) + " names");
  for (std::size_t i = 0; i < names->val.size(); ++i)
    set_variable(scope, name_of(names->val[i]).key(), item->val_arr[i]);
}

value SetNode::execute_impl(jinja::context& context) const {
  RenderState::current().step();
  const value result = val ? val->execute(context) : run_block(body, context);
  if (const auto* member = cast_stmt<jinja::member_expression>(assignee)) {
    assign_member(*member, result, context);
  } else {
    RenderState::current().check_value(result);
    if (const auto* names = cast_stmt<jinja::tuple_literal>(assignee)) {
      assign_all(*names, result, context);
    } else {
      set_variable(context, name_of(assignee).key(), result);
    }
  }
  return mk_val<jinja::value_undefined>();
}

void SetNode::assign_all(const jinja::tuple_literal& names, const value& values, jinja::context& context) const {
  if (!is_val<jinja::value_array>(values) || values->val_arr.size() != names.val.size())
    throw std::runtime_error("Cannot unpack a value into " + std::to_string(names.val.size()) + " names");
  for (std::size_t i = 0; i < names.val.size(); ++i)
    set_variable(context, name_of(names.val[i]).key(), values->val_arr[i]);
}

void SetNode::assign_member(const jinja::member_expression& member, const value& result,
                            jinja::context& context) const {
  if (member.computed) throw std::runtime_error("Cannot assign to computed member");
  const NameNode& name = name_of(member.property);
  const value object = member.object->execute(context);
  if (!is_val<jinja::value_object>(object)) throw std::runtime_error("Cannot assign to member of non-object");
  RenderState& state = RenderState::current();
  state.check_change(object, result);
  object->insert(name.key(), result);
  if (Recording* const recording = state.recording(); recording != nullptr && changes_outside)
    recording->add_assignment(*this, result);
}

bool SetNode::repeat(const value& to, jinja::context& context, std::vector<MemberBefore>& before) const {
  const auto* member = cast_stmt<jinja::member_expression>(assignee);
  const value& name = name_of(member->property).key();
  const value object = member->object->execute(context);
  const auto* keyed = cast_val<jinja::value_object>(object);
  const value* known = keyed == nullptr ? nullptr : find_member(*keyed, name);
  if (known == nullptr) return false;
  RenderState::current().check_change(object, to);
  before.push_back({object, name, *known});
  object->insert(name, to);
  return true;
}

value CallBlockNode::execute_impl(jinja::context& context) const {
  RenderState::current().enter();
  return jinja::call_statement::execute_impl(context);
}

value FilterBlockNode::execute_impl(jinja::context& context) const {
  return apply_filter(context, filter, run_block(body, context));
}

}  // namespace kvern::chat
