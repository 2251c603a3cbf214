// llama.cpp's Jinja engine, as the files of this folder see it.
#pragma once

#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <jinja/value.h>

namespace kvern::chat {

using jinja::cast_stmt;
using jinja::cast_val;
using jinja::is_stmt;
using jinja::is_val;
using jinja::mk_val;

// Thrown inside a render. No std::exception, so that the engine lets it pass unchanged.
struct TemplateError {
  std::string message;
};

}  // namespace kvern::chat
