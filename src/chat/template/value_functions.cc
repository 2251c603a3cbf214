#include "chat/template/value_functions.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "chat/template/global_functions.h"
#include "chat/template/render_state.h"
#include "chat/template/strings.h"

namespace kvern::chat {
namespace {

using jinja::func_args;

jinja::value attribute_of(const jinja::value& item, const jinja::value& attribute) {
  jinja::value missing = mk_val<jinja::value_undefined>();
  if (attribute->is_undefined()) return item;
  if (is_val<jinja::value_int>(attribute) && is_val<jinja::value_array>(item))
    return item->at(attribute->as_int(), missing);
  if (is_val<jinja::value_string>(attribute) && is_val<jinja::value_object>(item)) return item->at(attribute, missing);
  return missing;
}

jinja::value join(const func_args& args) {
  args.ensure_count(1, 3);
  const jinja::value delimiter = args.get_kwarg_or_pos("d", 1);
  const jinja::value attribute = args.get_kwarg_or_pos("attribute", 2);
  const jinja::string between = text_of(delimiter);
  RenderState& state = RenderState::current();
  jinja::string result;
  std::size_t size = 0;
  bool first = true;
  for (const jinja::value& item : args.get_pos(0)->as_array()) {
    const jinja::string text = text_of(attribute_of(item, attribute));
    size += text.length() + between.length();
    state.check_size(size);
    state.work(text.length() + between.length());
    if (!first) append_text(result, between);
    first = false;
    append_text(result, text);
  }
  return mk_val<jinja::value_string>(result);
}

jinja::value append(const func_args& args) {
  args.ensure_count(2, 2);
  jinja::value list = args.get_pos(0);
  RenderState::current().check_change(list, args.get_pos(1));
  cast_val<jinja::value_array>(list)->push_back(args.get_pos(1));
  return list;
}

jinja::value pop(const func_args& args) {
  args.ensure_count(1, 2);
  jinja::value list = args.get_pos(0);
  RenderState::current().check_changeable(list);
  const jinja::value index = args.get_pos(1, mk_val<jinja::value_int>(-1));
  return cast_val<jinja::value_array>(list)->pop_at(index->as_int());
}

// Numbers among themselves or strings among themselves, as in Python; anything else has no order.
bool less(const jinja::value& a, const jinja::value& b) {
  if (is_val<jinja::value_string>(a) && is_val<jinja::value_string>(b)) return a->val_str.str() < b->val_str.str();
  if (!a->is_numeric() || !b->is_numeric()) throw TemplateError{"sort takes all numbers or all strings"};
  return a->val_flt < b->val_flt;
}

using Keyed = std::pair<jinja::value, jinja::value>;  // what to compare, and what it stands for

// The keys are checked first, so that the comparison is an order and cannot throw.
void sort_by_key(std::vector<Keyed>& items, bool reverse) {
  RenderState& state = RenderState::current();
  for (const Keyed& item : items) {
    less(item.first, items.front().first);
    if (std::isnan(item.first->is_numeric() ? item.first->val_flt : 0.0)) throw TemplateError{"sort takes no NaN"};
    state.work_on(item.first);
  }
  state.step(items.size());
  std::stable_sort(items.begin(), items.end(), [reverse](const Keyed& a, const Keyed& b) {
    return reverse ? less(b.first, a.first) : less(a.first, b.first);
  });
}

jinja::value sort(const func_args& args) {
  args.ensure_count(1, 4);
  const jinja::value list = args.get_pos(0);
  const jinja::value attribute = args.get_kwarg_or_pos("attribute", 3);
  std::vector<Keyed> items;
  for (const jinja::value& item : list->as_array()) items.emplace_back(attribute_of(item, attribute), item);
  sort_by_key(items, args.get_kwarg_or_pos("reverse", 1)->as_bool());
  auto sorted = mk_val<jinja::value_array>();
  for (Keyed& item : items) sorted->push_back(std::move(item.second));
  return sorted;
}

jinja::value dictsort(const func_args& args) {
  args.ensure_count(1, 4);
  const jinja::value by = args.get_kwarg_or_pos("by", 2);
  const bool by_value = is_val<jinja::value_string>(by) && by->val_str.str() == "value";
  std::vector<Keyed> items;
  for (const auto& [key, value] : args.get_pos(0)->as_ordered_object()) {
    items.emplace_back(by_value ? value : key, mk_val<jinja::value_tuple>(std::make_pair(key, value)));
  }
  sort_by_key(items, args.get_kwarg_or_pos("reverse", 3)->as_bool());
  auto sorted = mk_val<jinja::value_object>();
  for (const Keyed& item : items) sorted->insert(item.second->val_arr[0], item.second->val_arr[1]);
  return sorted;
}

jinja::value to_text(const func_args& args) { return mk_val<jinja::value_string>(text_of(args.get_pos(0))); }

}  // namespace

jinja::func_builtins number_functions() {
  return {{"string", to_text}, {"safe", to_text}, {"tojson", to_json_function}};
}

jinja::func_builtins array_functions() {
  return {{"join", join}, {"append", append},  {"pop", pop},
          {"sort", sort}, {"string", to_text}, {"tojson", to_json_function}};
}

jinja::func_builtins object_functions() {
  return {{"dictsort", dictsort}, {"string", to_text}, {"tojson", to_json_function}};
}

}  // namespace kvern::chat
