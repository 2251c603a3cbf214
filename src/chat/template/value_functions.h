// Our versions of the filters and methods of numbers, lists and objects.
#pragma once

#include "chat/template/engine.h"

namespace kvern::chat {

jinja::func_builtins number_functions();
jinja::func_builtins array_functions();
jinja::func_builtins object_functions();

}  // namespace kvern::chat
