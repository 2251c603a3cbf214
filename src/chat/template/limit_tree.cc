#include "chat/template/limit_tree.h"

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "chat/template/expression_nodes.h"
#include "chat/template/statement_nodes.h"
#include "chat/template/variables.h"

namespace kvern::chat {
namespace {

using jinja::statement_ptr;
using jinja::statements;

constexpr std::size_t kNodesAStep = 32;

// Whole numbers a double holds: the engine computes with those.
constexpr std::int64_t kLiteralMax = std::int64_t{1} << 53;

template <typename Node, typename... Args>
void replace_by(statement_ptr& slot, Args&&... args) {
  const std::size_t position = slot->pos;  // before an argument moves the slot's node away
  auto node = std::make_unique<Node>(std::forward<Args>(args)...);
  node->pos = position;
  slot = std::move(node);
}

std::vector<std::string> names_of(const statements& parameters) {
  std::vector<std::string> names;
  for (const statement_ptr& parameter : parameters) {
    const auto* keyword = cast_stmt<jinja::keyword_argument_expression>(parameter);
    const auto* id = cast_stmt<jinja::identifier>(keyword != nullptr ? keyword->key : parameter);
    if (id != nullptr) names.push_back(id->val);
  }
  return names;
}

class Limiter {
 public:
  void blocks(statements& body) {
    for (statement_ptr& statement : body) block_item(statement);
  }

  // A macro sees the variables of whoever calls it.
  void share_loops() {
    for (ForNode* loop : loops_)
      if (loop->loop_members != 0) loop->loop_members |= entered_members_;
  }

 private:
  void block_item(statement_ptr& slot) {
    if (auto* text = cast_stmt<jinja::string_literal>(slot)) {
      ++nodes_;
      replace_by<TextNode>(slot, text->val);
    } else if (is_stmt<jinja::expression>(slot)) {
      expression(slot);
      replace_by<OutputNode>(slot, std::move(slot));
    } else {
      statement(slot);
    }
  }

  void statement(statement_ptr& slot) {
    ++nodes_;
    if (auto* branch = cast_stmt<jinja::if_statement>(slot)) {
      expression(branch->test);
      blocks(branch->body);
      blocks(branch->alternate);
    } else if (auto* loop = cast_stmt<jinja::for_statement>(slot)) {
      for_loop(slot, *loop);
    } else if (auto* set = cast_stmt<jinja::set_statement>(slot)) {
      expression(set->assignee);
      expression(set->val);
      blocks(set->body);
      replace_by<SetNode>(slot, std::move(set->assignee), std::move(set->val), std::move(set->body));
    } else if (auto* macro = cast_stmt<jinja::macro_statement>(slot)) {
      expressions(macro->args);
      entered_block(macro->body, macro->args, macro->pos);
    } else if (auto* call = cast_stmt<jinja::call_statement>(slot)) {
      expression(call->call);
      expressions(call->caller_args);
      entered_block(call->body, call->caller_args, call->pos);
      replace_by<CallBlockNode>(slot, std::move(call->call), std::move(call->caller_args), std::move(call->body));
    } else if (auto* filter = cast_stmt<jinja::filter_statement>(slot)) {
      expression(filter->filter);
      blocks(filter->body);
      replace_by<FilterBlockNode>(slot, std::move(filter->filter), std::move(filter->body));
    }
  }

  void for_loop(statement_ptr& slot, jinja::for_statement& loop) {
    const std::size_t before = nodes_;
    const std::uint32_t outer_members = std::exchange(loop_members_, 0);
    expression(loop.loopvar);
    expression(loop.iterable);
    blocks(loop.body);
    blocks(loop.default_block);
    const std::size_t steps = 1 + (nodes_ - before) / kNodesAStep;
    replace_by<ForNode>(slot, std::move(loop.loopvar), std::move(loop.iterable), std::move(loop.body),
                        std::move(loop.default_block));
    cast_stmt<ForNode>(slot)->steps = steps;
    cast_stmt<ForNode>(slot)->loop_members = loop_members_;
    loops_.push_back(cast_stmt<ForNode>(slot));
    loop_members_ |= outer_members;  // a loop around this one may be asked for as much
  }

  void entered_block(statements& body, const statements& parameters, std::size_t position) {
    const std::size_t before = nodes_;
    const std::uint32_t outer_members = std::exchange(loop_members_, 0);
    blocks(body);
    entered_members_ |= loop_members_;
    loop_members_ |= outer_members;
    auto entry = std::make_unique<EntryNode>(names_of(parameters), 1 + (nodes_ - before) / kNodesAStep);
    entry->pos = position;
    body.insert(body.begin(), std::move(entry));
  }

  void expressions(statements& list) {
    for (statement_ptr& item : list) expression(item);
  }

  void expression(statement_ptr& slot) {
    if (!slot) return;
    ++nodes_;
    if (leaf(slot) || operation(slot)) return;
    children(slot);
  }

  static void check_literal(const jinja::integer_literal& literal) {
    if (literal.val > kLiteralMax || literal.val < -kLiteralMax)
      throw std::runtime_error("the number " + std::to_string(literal.val) + " is too large");
  }

  bool leaf(statement_ptr& slot) {
    if (auto* name = cast_stmt<jinja::identifier>(slot)) {
      if (name->val == "loop") loop_members_ = LoopVariable::kAll;
      replace_by<NameNode>(slot, name->val);
    } else if (auto* literal = cast_stmt<jinja::string_literal>(slot)) {
      replace_by<LiteralNode>(slot, literal->val);
    } else if (const auto* integer = cast_stmt<jinja::integer_literal>(slot)) {
      check_literal(*integer);
    } else {
      return false;
    }
    return true;
  }

  // The bit of `loop.member`; 0: it is something else.
  static std::uint32_t member_of_loop(const jinja::member_expression& member) {
    const auto* object = cast_stmt<jinja::identifier>(member.object);
    const auto* name = cast_stmt<jinja::identifier>(member.property);
    if (member.computed || object == nullptr || name == nullptr || object->val != "loop") return 0;
    return LoopVariable::bit_of(name->val);
  }

  bool operation(statement_ptr& slot) {
    if (auto* member = cast_stmt<jinja::member_expression>(slot)) {
      const std::uint32_t members = loop_members_;
      const std::uint32_t of_loop = member_of_loop(*member);
      expression(member->object);
      expression(member->property);
      if (of_loop != 0) loop_members_ = members | of_loop;
      replace_by<MemberNode>(slot, std::move(member->object), std::move(member->property), member->computed);
    } else if (auto* binary = cast_stmt<jinja::binary_expression>(slot)) {
      expression(binary->left);
      expression(binary->right);
      replace_by<BinaryNode>(slot, binary->op, std::move(binary->left), std::move(binary->right));
    } else if (auto* call = cast_stmt<jinja::call_expression>(slot)) {
      expression(call->callee);
      expressions(call->args);
      replace_by<CallNode>(slot, std::move(call->callee), std::move(call->args));
    } else if (auto* filter = cast_stmt<jinja::filter_expression>(slot)) {
      expression(filter->operand);
      expression(filter->filter);
      replace_by<FilterNode>(slot, std::move(filter->operand), std::move(filter->filter));
    } else {
      return false;
    }
    return true;
  }

  // Nodes that stay, with new children.
  void children(statement_ptr& slot) {
    if (auto* array = cast_stmt<jinja::array_literal>(slot)) {
      expressions(array->val);
    } else if (auto* tuple = cast_stmt<jinja::tuple_literal>(slot)) {
      expressions(tuple->val);
    } else if (auto* object = cast_stmt<jinja::object_literal>(slot)) {
      for (auto& [key, item] : object->val) {
        expression(key);
        expression(item);
      }
    } else if (auto* test = cast_stmt<jinja::test_expression>(slot)) {
      expression(test->operand);
      expression(test->test);
      limit_test(test->test);
    } else if (auto* select = cast_stmt<jinja::select_expression>(slot)) {
      expression(select->lhs);
      expression(select->test);
    } else if (auto* ternary = cast_stmt<jinja::ternary_expression>(slot)) {
      expression(ternary->condition);
      expression(ternary->true_expr);
      expression(ternary->false_expr);
    } else {
      few_children(slot);
    }
  }

  void few_children(statement_ptr& slot) {
    if (auto* unary = cast_stmt<jinja::unary_expression>(slot)) {
      expression(unary->argument);
    } else if (auto* keyword = cast_stmt<jinja::keyword_argument_expression>(slot)) {
      expression(keyword->key);
      expression(keyword->val);
    } else if (auto* slice = cast_stmt<jinja::slice_expression>(slot)) {
      expression(slice->start_expr);
      expression(slice->stop_expr);
      expression(slice->step_expr);
    } else if (auto* spread = cast_stmt<jinja::spread_expression>(slot)) {
      expression(spread->argument);
    }
  }

  static void limit_test(statement_ptr& test) {
    auto* call = cast_stmt<jinja::call_expression>(test);
    if (call == nullptr) return;
    const auto* name = cast_stmt<jinja::identifier>(call->callee);
    if (name == nullptr || name->val != "divisibleby") return;
    for (statement_ptr& argument : call->args) replace_by<DivisorNode>(argument, std::move(argument));
  }

  std::size_t nodes_ = 0;
  std::uint32_t loop_members_ = 0;     // of the variable `loop`, that are read
  std::uint32_t entered_members_ = 0;  // in macros and call blocks
  std::vector<ForNode*> loops_;
};

}  // namespace

void limit_tree(jinja::program& program) {
  Limiter limiter;
  limiter.blocks(program.body);
  limiter.share_loops();
}

}  // namespace kvern::chat
