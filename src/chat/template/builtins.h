// The engine's filters, methods and functions with limits, and ours where its own are unsafe on
// strange input (sort), quadratic (split, replace), or differ from Python (tojson).
#pragma once

#include <string>

#include "chat/template/engine.h"

namespace kvern::chat {

// Filters and methods of a value's type. Valid for the life of the program.
const jinja::func_builtins& builtins_of(const jinja::value& value);

// Functions a template can call by name: namespace, range, raise_exception, strftime_now, tojson.
const jinja::func_builtins& global_functions();

}  // namespace kvern::chat
