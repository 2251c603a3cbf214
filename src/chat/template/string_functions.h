// Our versions of string filters and methods: linear, and every byte keeps who wrote it.
#pragma once

#include "chat/template/engine.h"

namespace kvern::chat {

jinja::func_builtins string_functions();

}  // namespace kvern::chat
