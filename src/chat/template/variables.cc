#include "chat/template/variables.h"

#include <cstdint>

namespace kvern::chat {
namespace {

using jinja::value;

// The engine gives its variables out by name only. Naming a private member in an explicit instantiation is
// the one way the language leaves to reach it from outside.
template <auto Member>
struct Opened {
  friend const jinja::value_object& variables_of(const jinja::context& context) { return context.*Member; }
};
const jinja::value_object& variables_of(const jinja::context& context);
template struct Opened<&jinja::context::env>;

value number(std::size_t of) { return mk_val<jinja::value_int>(static_cast<std::int64_t>(of)); }

// Who holds `loop` when nobody kept it: the loop itself, and its scope twice.
constexpr long kHolders = 3;

}  // namespace

value name_value(const std::string& name) { return mk_val<jinja::value_string>(name); }

const value* find_member(const jinja::value_object_t& object, const value& name) {
  const auto found = object.unordered.find(name);
  return found == object.unordered.end() ? nullptr : &found->second;
}

void set_member(jinja::value_object_t& object, const value& name, const value& to) {
  const auto found = object.unordered.find(name);
  if (found == object.unordered.end()) {
    object.unordered.emplace(name, to);
    object.val_obj.emplace_back(name, to);
    return;
  }
  found->second = to;
  // Both hold the key the member was first set with.
  for (auto& [key, held] : object.val_obj)
    if (key == found->first) held = to;
}

const value* find_variable(const jinja::context& context, const value& name) {
  return find_member(*variables_of(context), name);
}

void set_variable(jinja::context& context, const value& name, const value& to) {
  set_member(*variables_of(context), name, to);
}

const value& truth(bool is_true) {
  static const value yes = mk_val<jinja::value_bool>(true);
  static const value no = mk_val<jinja::value_bool>(false);
  return is_true ? yes : no;
}

const std::array<value, LoopVariable::members>& LoopVariable::names() {
  static const std::array<value, members> all = {
      name_value("index"), name_value("index0"), name_value("revindex"), name_value("revindex0"), name_value("length"),
      name_value("first"), name_value("last"),   name_value("previtem"), name_value("nextitem")};
  return all;
}

std::uint32_t LoopVariable::bit_of(const std::string& member) {
  for (std::size_t i = 0; i < members; ++i)
    if (names()[i]->val_str.parts.front().val == member) return std::uint32_t{1} << i;
  return kAll;
}

void LoopVariable::make() {
  loop_ = mk_val<jinja::value_object>();
  loop_->has_builtins = false;
  for (std::size_t i = 0; i < members; ++i) {
    set_member(*loop_, names()[i], none_);
    slots_[i] = &loop_->unordered.find(names()[i])->second;
  }
  put(length, number(items_.size()));
}

void LoopVariable::put(Member member, const jinja::value& to) {
  *slots_[member] = to;
  loop_->val_obj[member].second = to;
}

void LoopVariable::set(jinja::context& scope, std::size_t round) {
  static const value name = name_value("loop");
  if (!loop_ || loop_.use_count() > kHolders) make();
  const std::size_t count = items_.size();
  const auto put_number = [this](Member member, std::size_t of) {
    if (is_asked(member)) put(member, number(of));
  };
  put_number(index, round + 1);
  put_number(index0, round);
  put_number(revindex, count - round);
  put_number(revindex0, count - round - 1);
  put(first, truth(round == 0));
  put(last, truth(round + 1 == count));
  put(previtem, round > 0 ? items_[round - 1] : none_);
  put(nextitem, round + 1 < count ? items_[round + 1] : none_);
  set_variable(scope, name, loop_);
}

}  // namespace kvern::chat
