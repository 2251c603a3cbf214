#include "chat/template/round_analysis.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/template/expression_nodes.h"
#include "chat/template/macros.h"
#include "chat/template/rounds.h"
#include "chat/template/statement_nodes.h"
#include "chat/template/variables.h"

namespace kvern::chat {
namespace {

using jinja::statement_ptr;
using jinja::statements;
using Names = std::set<std::string, std::less<>>;

// What an expression depends on.
enum class Reads {
  nothing,  // literals
  outside,  // and what is the same all through a round, or is changed by recorded assignments only
  round,    // the item, variables of the body
  unknown,  // it may do anything
};

Reads both(Reads a, Reads b) { return std::max(a, b); }

// Filters and methods that give a new value and change none; `map` may call any filter by its name.
constexpr std::array kPureFilters = {
    "abs",     "capitalize", "count",  "d",        "default", "dictsort", "e",          "endswith", "escape",
    "first",   "float",      "format", "get",      "indent",  "int",      "items",      "join",     "keys",
    "last",    "length",     "list",   "lower",    "lstrip",  "max",      "min",        "reject",   "rejectattr",
    "replace", "reverse",    "rsplit", "rstrip",   "safe",    "select",   "selectattr", "slice",    "sort",
    "split",   "startswith", "string", "strip",    "sum",     "title",    "tojson",     "trim",     "truncate",
    "unique",  "upper",      "values", "wordcount"};

constexpr std::array kPureFunctions = {"namespace", "raise_exception", "range", "tojson"};

template <typename List>
bool is_one_of(std::string_view name, const List& list) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

constexpr std::size_t kMacroDepth = 8;  // macros that call others

const NameNode* name_in(const statement_ptr& statement) { return cast_stmt<NameNode>(statement); }

enum class Pass { look, wrap };

// Goes through one loop's body as it would run. The first pass changes nothing.
class BodyWalk {
 public:
  BodyWalk(const Macros& macros, const ForNode& loop, Pass pass)
      : all_macros_(macros), position_(loop.pos), pass_(pass) {}

  // Whether its rounds can be kept.
  bool walk(ForNode& loop) {
    const NameNode* item = name_in(loop.loopvar);
    if (item == nullptr) return false;
    locals_.insert(item->val);
    bound_.insert(item->val);
    others_.insert(item->val);
    if (!block(loop.body)) return false;
    // A variable that keeps its value from an earlier round would depend on that round.
    const auto assigned = [&](const std::string& name) { return assigned_.contains(name); };
    const auto bound = [&](const std::string& name) { return name == "loop" || bound_.contains(name); };
    const auto other = [&](const std::string& name) { return others_.contains(name); };
    return std::none_of(outer_.begin(), outer_.end(), assigned) &&
           std::none_of(macro_outer_.begin(), macro_outer_.end(), bound) &&
           std::none_of(functions_.begin(), functions_.end(), bound) &&
           std::none_of(namespaces_.begin(), namespaces_.end(), other);
  }

  const Names& functions() const { return functions_; }

 private:
  bool block(statements& body) {
    return std::all_of(body.begin(), body.end(), [this](statement_ptr& one) { return statement(one); });
  }

  bool statement(statement_ptr& slot) {
    if (is_stmt<TextNode>(slot) || is_stmt<EntryNode>(slot) || is_stmt<jinja::noop_statement>(slot) ||
        is_stmt<jinja::comment_statement>(slot))
      return true;
    if (auto* output = cast_stmt<OutputNode>(slot)) return root(output->inner());
    if (auto* branch = cast_stmt<jinja::if_statement>(slot)) return choice(*branch);
    if (auto* set = cast_stmt<SetNode>(slot)) return assignment(*set);
    if (auto* loop = cast_stmt<ForNode>(slot)) return inner_loop(*loop);
    if (is_stmt<jinja::break_statement>(slot) || is_stmt<jinja::continue_statement>(slot)) return loops_ > 0;
    if (auto* filter = cast_stmt<FilterBlockNode>(slot))
      return filtering(filter->filter) != Reads::unknown && block(filter->body);
    return false;
  }

  bool choice(jinja::if_statement& branch) {
    if (!root(branch.test)) return false;
    const Names before = locals_;
    if (!block(branch.body)) return false;
    const Names then = std::exchange(locals_, before);
    if (!block(branch.alternate)) return false;
    Names in_both;
    std::set_intersection(then.begin(), then.end(), locals_.begin(), locals_.end(),
                          std::inserter(in_both, in_both.end()));
    locals_ = std::move(in_both);
    return true;
  }

  bool assignment(SetNode& set) {
    if (set.val ? !root(set.val) : !block(set.body)) return false;
    if (const auto* member = cast_stmt<MemberNode>(set.assignee)) return member_assignment(set, *member);
    if (const NameNode* name = name_in(set.assignee)) {
      assign(name->val);
      if (!makes_namespace(set.val)) others_.insert(name->val);
      return true;
    }
    const auto* names = cast_stmt<jinja::tuple_literal>(set.assignee);
    if (names == nullptr) return false;
    for (const statement_ptr& one : names->val) {
      const NameNode* name = name_in(one);
      if (name == nullptr) return false;
      assign(name->val);
      others_.insert(name->val);
    }
    return true;
  }

  void assign(const std::string& name) {
    locals_.insert(name);
    bound_.insert(name);
    if (loops_ == 0 && macros_.empty()) assigned_.insert(name);
  }

  // Of an outer object it is recorded; of a namespace that the round made itself nobody else sees it.
  bool member_assignment(SetNode& set, const MemberNode& member) {
    const NameNode* object = name_in(member.object);
    if (member.computed || object == nullptr || name_in(member.property) == nullptr) return false;
    if (locals_.contains(object->val)) {
      namespaces_.insert(object->val);
      return true;
    }
    if (pass_ == Pass::wrap) set.changes_outside = true;
    reads_outside(object->val);
    return true;
  }

  static bool makes_namespace(const statement_ptr& expression) {
    const auto* call = cast_stmt<CallNode>(expression);
    const NameNode* callee = call == nullptr ? nullptr : name_in(call->callee);
    return callee != nullptr && callee->val == "namespace";
  }

  bool inner_loop(ForNode& loop) {
    auto* select = cast_stmt<jinja::select_expression>(loop.iterable);
    if (!root(select != nullptr ? select->lhs : loop.iterable)) return false;
    const Names before = locals_;
    if (!bind_item(loop.loopvar)) return false;
    if (select != nullptr && !root(select->test)) return false;
    locals_.insert("loop");
    ++loops_;
    const bool pure = block(loop.body);
    --loops_;
    locals_ = before;
    if (!pure || !block(loop.default_block)) return false;
    locals_ = before;
    return true;
  }

  bool bind_item(const statement_ptr& target) {
    if (const NameNode* name = name_in(target)) {
      locals_.insert(name->val);
      bound_.insert(name->val);
      others_.insert(name->val);
      return true;
    }
    const auto* names = cast_stmt<jinja::tuple_literal>(target);
    return names != nullptr && std::all_of(names->val.begin(), names->val.end(),
                                           [this](const statement_ptr& one) { return bind_item(one); });
  }

  // A whole expression.
  bool root(statement_ptr& slot) {
    const Reads reads = expression(slot);
    if (reads == Reads::outside) wrap(slot);
    return reads != Reads::unknown;
  }

  void wrap(statement_ptr& slot) {
    if (pass_ == Pass::look || is_stmt<CheckedNode>(slot)) return;
    const std::size_t position = slot->pos;
    auto node = std::make_unique<CheckedNode>(std::move(slot));
    node->pos = position;
    slot = std::move(node);
  }

  // Of an expression's parts: those that read the outside only are checked apart where others do not.
  Reads parts(const std::vector<statement_ptr*>& slots, Reads own = Reads::nothing) {
    Reads all = own;
    std::vector<statement_ptr*> outside;
    for (statement_ptr* slot : slots) {
      if (!*slot) continue;
      const Reads reads = expression(*slot);
      if (reads == Reads::outside) outside.push_back(slot);
      all = both(all, reads);
    }
    if (all == Reads::round)
      for (statement_ptr* slot : outside) wrap(*slot);
    return all;
  }

  Reads expression(statement_ptr& slot) {
    if (is_stmt<jinja::string_literal>(slot) || is_stmt<jinja::integer_literal>(slot) ||
        is_stmt<jinja::float_literal>(slot))
      return Reads::nothing;
    if (auto* checked = cast_stmt<CheckedNode>(slot)) return expression(checked->inner());  // of a macro seen before
    if (const NameNode* name = name_in(slot)) return variable(name->val);
    if (auto* member = cast_stmt<MemberNode>(slot)) return member_of(*member);
    if (auto* binary = cast_stmt<BinaryNode>(slot)) return parts({&binary->left, &binary->right});
    if (auto* unary = cast_stmt<jinja::unary_expression>(slot)) return parts({&unary->argument});
    if (auto* ternary = cast_stmt<jinja::ternary_expression>(slot))
      return parts({&ternary->condition, &ternary->true_expr, &ternary->false_expr});
    if (auto* call = cast_stmt<CallNode>(slot)) return call_of(*call);
    if (auto* filter = cast_stmt<FilterNode>(slot)) return filter_of(*filter);
    if (auto* test = cast_stmt<jinja::test_expression>(slot)) return test_of(*test);
    return literal(slot);
  }

  // A new container is the round's, whatever is in it: its parts are compared, not itself.
  Reads literal(statement_ptr& slot) {
    if (auto* array = cast_stmt<jinja::array_literal>(slot)) return parts(all_of(array->val), Reads::round);
    if (auto* tuple = cast_stmt<jinja::tuple_literal>(slot)) return parts(all_of(tuple->val), Reads::round);
    auto* object = cast_stmt<jinja::object_literal>(slot);
    if (object == nullptr) return Reads::unknown;
    std::vector<statement_ptr*> slots;
    for (auto& [key, value] : object->val) {
      slots.push_back(&key);
      slots.push_back(&value);
    }
    return parts(slots, Reads::round);
  }

  static std::vector<statement_ptr*> all_of(statements& list) {
    std::vector<statement_ptr*> slots;
    for (statement_ptr& one : list) {
      auto* keyword = cast_stmt<jinja::keyword_argument_expression>(one);
      slots.push_back(keyword != nullptr ? &keyword->val : &one);
    }
    return slots;
  }

  Reads variable(const std::string& name) { return locals_.contains(name) ? Reads::round : reads_outside(name); }

  Reads reads_outside(const std::string& name) {
    (macros_.empty() ? outer_ : macro_outer_).insert(name);
    return Reads::outside;
  }

  Reads member_of(MemberNode& member) {
    if (!member.computed) {
      const bool plain = name_in(member.property) != nullptr || is_stmt<jinja::integer_literal>(member.property);
      return plain ? parts({&member.object}) : Reads::unknown;
    }
    if (auto* slice = cast_stmt<jinja::slice_expression>(member.property))
      return parts({&member.object, &slice->start_expr, &slice->stop_expr, &slice->step_expr});
    return parts({&member.object, &member.property});
  }

  Reads call_of(CallNode& call) {
    std::vector<statement_ptr*> slots = all_of(call.args);
    if (auto* method = cast_stmt<MemberNode>(call.callee)) {
      const NameNode* name = method->computed ? nullptr : name_in(method->property);
      if (name == nullptr || !is_one_of(name->val, kPureFilters)) return Reads::unknown;
      slots.push_back(&method->object);
      return parts(slots);
    }
    const NameNode* name = name_in(call.callee);
    if (name == nullptr || locals_.contains(name->val) || bound_.contains(name->val)) return Reads::unknown;
    if (auto* macro = all_macros_.find(name->val, position_)) return both(parts(slots, Reads::round), body_of(*macro));
    if (!is_one_of(name->val, kPureFunctions)) return Reads::unknown;
    functions_.insert(name->val);
    const bool makes_container = name->val == "namespace" || name->val == "range";
    return parts(slots, makes_container ? Reads::round : Reads::nothing);
  }

  // A macro sees the variables of its caller: of these only what no round binds.
  Reads body_of(jinja::macro_statement& macro) {
    const bool calls_itself = std::find(macros_.begin(), macros_.end(), &macro) != macros_.end();
    if (calls_itself || macros_.size() > kMacroDepth) return Reads::unknown;
    Names parameters;
    for (statement_ptr& argument : macro.args) {
      auto* keyword = cast_stmt<jinja::keyword_argument_expression>(argument);
      const auto* name = cast_stmt<jinja::identifier>(keyword != nullptr ? keyword->key : argument);
      if (name == nullptr || (keyword != nullptr && expression(keyword->val) != Reads::nothing)) return Reads::unknown;
      parameters.insert(name->val);
      others_.insert(name->val);
    }
    const Names before = std::exchange(locals_, std::move(parameters));
    const int loops = std::exchange(loops_, 0);
    macros_.push_back(&macro);
    const bool pure = block(macro.body);
    macros_.pop_back();
    locals_ = before;
    loops_ = loops;
    return pure ? Reads::round : Reads::unknown;
  }

  Reads filter_of(FilterNode& filter) {
    const Reads own = filtering(filter.filter);
    return own == Reads::unknown ? own : parts({&filter.operand}, own);
  }

  // What follows a `|`.
  Reads filtering(statement_ptr& filter) {
    auto* call = cast_stmt<jinja::call_expression>(filter);
    const NameNode* name = name_in(call != nullptr ? call->callee : filter);
    if (name == nullptr) return Reads::unknown;
    const auto is_keyword = [](const statement_ptr& one) { return is_stmt<jinja::keyword_argument_expression>(one); };
    const bool maps =
        name->val == "map" && call != nullptr && std::all_of(call->args.begin(), call->args.end(), is_keyword);
    if (!maps && !is_one_of(name->val, kPureFilters)) return Reads::unknown;
    if (call == nullptr) return Reads::nothing;
    const Reads reads = parts(all_of(call->args));
    // Its operand may be the round's: then these are a part of such an expression.
    if (reads == Reads::outside)
      for (statement_ptr* slot : all_of(call->args))
        if (expression(*slot) == Reads::outside) wrap(*slot);
    return reads;
  }

  Reads test_of(jinja::test_expression& test) {
    auto* call = cast_stmt<jinja::call_expression>(test.test);
    if (name_in(call != nullptr ? call->callee : test.test) == nullptr) return Reads::unknown;
    std::vector<statement_ptr*> slots = {&test.operand};
    if (call != nullptr)
      for (statement_ptr* slot : all_of(call->args)) slots.push_back(slot);
    return parts(slots);
  }

  const Macros& all_macros_;
  const std::size_t position_;
  const Pass pass_;
  Names locals_;       // have a value of this round wherever the walk is
  Names assigned_;     // by the body itself, not by loops in it
  Names bound_;        // anywhere in the body
  Names outer_;        // read from outside, by the body
  Names macro_outer_;  // and by macros it calls
  Names namespaces_;   // of the round, whose members are assigned
  Names others_;       // names that may stand for something else than a new namespace
  Names functions_;
  int loops_ = 0;
  std::vector<jinja::macro_statement*> macros_;  // that are being walked
};

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

std::size_t find_in(statements& body, const Macros& macros);

std::size_t find_in_loop(ForNode& loop, const Macros& macros) {
  BodyWalk look(macros, loop, Pass::look);
  if (!look.walk(loop)) {
    return find_in(loop.body, macros);
  }
  BodyWalk(macros, loop, Pass::wrap).walk(loop);
  for (const std::string& name : look.functions()) loop.functions.push_back(name_value(name));
  loop.number = next_number();
  return 1;
}

std::size_t find_in(statements& body, const Macros& macros) {
  std::size_t found = 0;
  for (statement_ptr& one : body) {
    if (auto* branch = cast_stmt<jinja::if_statement>(one)) {
      found += find_in(branch->body, macros) + find_in(branch->alternate, macros);
    } else if (auto* loop = cast_stmt<ForNode>(one)) {
      found += find_in_loop(*loop, macros);
    }
  }
  return found;
}

}  // namespace

std::size_t find_rounds(jinja::program& program) {
  const Macros macros(program);
  return find_in(program.body, macros);
}

}  // namespace kvern::chat
