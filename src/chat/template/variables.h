// A render's variables, looked up and set without what the engine spends on it: it makes two values to
// look a name up, and compares every name as text to set one.
//
// Thread: the one that renders.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "chat/template/engine.h"

namespace kvern::chat {

// A name as objects are keyed by it. Nobody changes a string value: one serves all renders.
jinja::value name_value(const std::string& name);

// Null when there is none. Valid until the object changes.
const jinja::value* find_member(const jinja::value_object_t& object, const jinja::value& name);
void set_member(jinja::value_object_t& object, const jinja::value& name, const jinja::value& to);

const jinja::value* find_variable(const jinja::context& context, const jinja::value& name);
void set_variable(jinja::context& context, const jinja::value& name, const jinja::value& to);

// True and false, of which one each is enough.
const jinja::value& truth(bool is_true);

// The variable `loop` of a loop over items: one object that goes from round to round, as Jinja's own does.
// Where the template kept it in a value, the next round has another: what is kept never changes, so that it
// cannot come to hold what holds it.
class LoopVariable {
 public:
  // items must outlive it.
  // asked: the members somebody reads, a bit each; the others stay undefined.
  LoopVariable(const std::vector<jinja::value>& items, std::uint32_t asked) : items_(items), asked_(asked) {}

  void set(jinja::context& scope, std::size_t round);

  static constexpr std::uint32_t kAll = ~std::uint32_t{0};
  // The bit of a member of that name; kAll when there is none.
  static std::uint32_t bit_of(const std::string& member);

 private:
  enum Member { index, index0, revindex, revindex0, length, first, last, previtem, nextitem, members };
  bool is_asked(Member member) const { return (asked_ & (std::uint32_t{1} << member)) != 0; }
  static const std::array<jinja::value, members>& names();
  void make();
  void put(Member member, const jinja::value& to);

  const std::vector<jinja::value>& items_;
  const std::uint32_t asked_;
  const jinja::value none_ = mk_val<jinja::value_undefined>("loop");
  std::shared_ptr<jinja::value_object_t> loop_;
  std::array<jinja::value*, members> slots_{};  // in its table
};

}  // namespace kvern::chat
