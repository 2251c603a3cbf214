#include "chat/template/global_functions.h"

#include <array>
#include <cstdint>
#include <ctime>

#include "chat/template/prepared_value.h"
#include "chat/template/render_state.h"
#include "chat/template/strings.h"
#include "chat/template/to_json.h"

namespace kvern::chat {
namespace {

using jinja::func_args;

constexpr std::uint64_t kRangeItems = 100'000;
constexpr std::int64_t kIndentMax = 64;

std::int64_t integer_at(const func_args& args, std::size_t index) {
  const jinja::value value = args.get_pos(index);
  if (!is_val<jinja::value_int>(value)) throw TemplateError{"range() takes integers"};
  return value->as_int();
}

jinja::value range(const func_args& args) {
  args.ensure_count(1, 3);
  const bool from_zero = args.count() == 1;
  const std::int64_t start = from_zero ? 0 : integer_at(args, 0);
  const std::int64_t stop = integer_at(args, from_zero ? 0 : 1);
  const std::int64_t step = args.count() == 3 ? integer_at(args, 2) : 1;
  if (step == 0) throw TemplateError{"range() takes no step of zero"};
  auto items = mk_val<jinja::value_array>();
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop; i += step) {
    if (items->val_arr.size() == kRangeItems) throw TemplateError{"range() is too long"};
    items->val_arr.push_back(mk_val<jinja::value_int>(i));
  }
  RenderState::current().step(items->val_arr.size());
  return items;
}

jinja::value raise_exception(const func_args& args) {
  std::string message = args.count() > 0 ? text_of(args.get_pos(0)).str() : "";
  throw TemplateError{message.empty() ? "the template refuses the request" : std::move(message)};
}

// The engine's own shares one buffer between threads.
jinja::value strftime_now(const func_args& args) {
  std::tm now{};
  localtime_r(&args.ctx.current_time, &now);
  const std::string format = text_of(args.get_pos(0)).str();
  std::array<char, 256> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), format.c_str(), &now);
  return trusted_value(std::string(text.data(), length));
}

}  // namespace

jinja::value to_json_function(const func_args& args) {
  args.ensure_count(1, 5);
  JsonLayout layout;
  layout.ascii = args.get_kwarg_or_pos("ensure_ascii", 1)->as_bool();
  layout.sort_keys = args.get_kwarg_or_pos("sort_keys", 4)->as_bool();
  const jinja::value indent = args.get_kwarg_or_pos("indent", 2);
  if (is_val<jinja::value_int>(indent)) {
    if (indent->as_int() < 0 || indent->as_int() > kIndentMax)
      throw TemplateError{"'tojson' takes an indent from 0 to 64"};
    layout.indent = static_cast<int>(indent->as_int());
    layout.item_separator = ",";
  }
  const jinja::value separators = args.get_kwarg_or_pos("separators", 3);
  if (is_val<jinja::value_array>(separators) && separators->val_arr.size() == 2) {
    layout.item_separator = text_of(separators->val_arr[0]).str();
    layout.key_separator = text_of(separators->val_arr[1]).str();
  }
  const jinja::value of = args.get_pos(0);
  RenderState& state = RenderState::current();
  const PreparedValue* const prepared = state.prepared_with(of);
  jinja::value text =
      prepared != nullptr ? prepared->json_of(of, layout) : mk_val<jinja::value_string>(value_to_json_text(of, layout));
  state.work(text->val_str.length());
  return text;
}

jinja::func_builtins own_global_functions() {
  return {{"range", range},
          {"raise_exception", raise_exception},
          {"strftime_now", strftime_now},
          {"tojson", to_json_function}};
}

}  // namespace kvern::chat
