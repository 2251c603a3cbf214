#include "chat/template/builtins.h"

#include <algorithm>
#include <unordered_map>

#include "chat/template/global_functions.h"
#include "chat/template/render_state.h"
#include "chat/template/string_functions.h"
#include "chat/template/value_functions.h"

namespace kvern::chat {
namespace {

using jinja::func_args;
using jinja::func_builtins;
using jinja::func_handler;

// Beyond this the engine's own arithmetic on positions overflows.
constexpr std::int64_t kIntegerMax = std::int64_t{1} << 40;
constexpr std::int64_t kIndentMax = 64;

std::int64_t as_integer(const jinja::value& value) {
  const auto* keyword = cast_val<jinja::value_kwarg>(value);
  const jinja::value& number = keyword != nullptr ? keyword->val : value;
  return is_val<jinja::value_int>(number) ? number->as_int() : 0;
}

void check_arguments(const std::string& name, const func_args& args) {
  RenderState& state = RenderState::current();
  state.step();
  const bool prints = name == "string" || name == "format" || name == "safe";
  const bool tests = name == "select" || name == "selectattr" || name == "reject" || name == "rejectattr";
  std::size_t size = 0;
  for (const jinja::value& arg : args.get_args()) {
    state.work_on(arg);
    if (prints) size += state.text_size(arg);
    const std::int64_t number = as_integer(arg);
    if (number > kIntegerMax || number < -kIntegerMax)
      throw TemplateError{"a number given to '" + name + "' is too large"};
    if (name == "indent" && (number > kIndentMax || number < 0))
      throw TemplateError{"'indent' takes a width from 0 to 64"};
    if (tests && is_val<jinja::value_string>(arg) && arg->val_str.str() == "divisibleby")
      throw TemplateError{"'" + name + "' does not know the test 'divisibleby'"};
  }
  state.check_size(size);
}

func_handler limited(const std::string& name, const func_handler& handler) {
  return [name, handler](const func_args& args) -> jinja::value {
    check_arguments(name, args);
    return handler(args);
  };
}

func_builtins limited(const func_builtins& engines, const func_builtins& ours) {
  func_builtins result;
  for (const auto& [name, handler] : engines) {
    const auto own = ours.find(name);
    result.emplace(name, limited(name, own == ours.end() ? handler : own->second));
  }
  return result;
}

using Tables = std::unordered_map<const func_builtins*, func_builtins>;

Tables make_tables() {
  const func_builtins json_only = {{"tojson", to_json_function}};
  Tables tables;
  const auto add = [&](const jinja::value& example, const func_builtins& ours) {
    const func_builtins& engines = example->get_builtins();
    tables.emplace(&engines, limited(engines, ours));
  };
  add(mk_val<jinja::value_string>(), string_functions());
  add(mk_val<jinja::value_array>(), array_functions());
  add(mk_val<jinja::value_object>(), object_functions());
  add(mk_val<jinja::value_int>(0), number_functions());
  add(mk_val<jinja::value_float>(0.0), number_functions());
  add(mk_val<jinja::value_bool>(false), json_only);
  add(mk_val<jinja::value_none>(), json_only);
  add(mk_val<jinja::value_undefined>(), json_only);
  return tables;
}

}  // namespace

const func_builtins& builtins_of(const jinja::value& value) {
  static const Tables tables = make_tables();
  static const func_builtins none;
  if (is_val<jinja::value_func>(value) || is_val<jinja::value_kwarg>(value)) return none;
  const auto found = tables.find(&value->get_builtins());
  return found == tables.end() ? none : found->second;  // the loop variable has no methods
}

const func_builtins& global_functions() {
  static const func_builtins functions = [] {
    func_builtins engines = jinja::global_builtins();
    std::erase_if(engines, [](const auto& entry) { return entry.first.starts_with("test_is_"); });
    return limited(engines, own_global_functions());
  }();
  return functions;
}

}  // namespace kvern::chat
