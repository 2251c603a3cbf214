// Our versions of functions a template calls by name.
#pragma once

#include "chat/template/engine.h"

namespace kvern::chat {

jinja::func_builtins own_global_functions();

jinja::value to_json_function(const jinja::func_args& args);

}  // namespace kvern::chat
