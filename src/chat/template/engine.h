// llama.cpp's Jinja engine, as the files of this folder see it.
#pragma once

// Its numbers are cast from double without looking; the result is unspecified, never a trap.
#ifdef __clang__
#pragma clang attribute push(__attribute__((no_sanitize("float-cast-overflow"))), apply_to = function)
#endif
#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <jinja/value.h>
#ifdef __clang__
#pragma clang attribute pop
#endif

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
