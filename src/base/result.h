// Errors as values: Result<T>, Error, nine codes, TRY.
//
// A message says what was wrong with what, and what to do, in a sentence a user can act on. The
// field, when set, is the JSON path or flag the message is about. api/wire_error alone maps codes
// to HTTP. Thread: any; all types here are plain values.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace kvern {

enum class Code {
  invalid,       // the caller's input is wrong: 400
  unauthorized,  // no or wrong API key: 401
  not_found,     // no such route, model, file: 404
  too_large,     // over a limit in limits.h: 413
  too_long,      // the prompt does not fit the context: 400 in the wording clients parse
  busy,          // a queue is full: 503 with Retry-After
  cancelled,     // the client left or the server drains
  corrupt,       // bytes on disk are damaged: a miss, never a client's error
  failed,        // the system or a library failed: 500
};

std::string_view to_string(Code code);

struct [[nodiscard]] Error {
  Code code = Code::failed;
  std::string message;
  std::string field;  // "messages[2].content", "--port"; empty when it is about no single field
};

template <typename T>
using Result = tl::expected<T, Error>;

using Status = Result<void>;

inline tl::unexpected<Error> fail(Code code, std::string message, std::string field = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(field)});
}

}  // namespace kvern

#define KVERN_CONCAT_INNER(a, b) a##b
#define KVERN_CONCAT(a, b) KVERN_CONCAT_INNER(a, b)

// TRY(auto name, expr): returns the error of expr from this function, or binds its value.
#define TRY(declaration, ...) TRY_IMPL(KVERN_CONCAT(try_result_, __LINE__), declaration, __VA_ARGS__)
#define TRY_IMPL(result, declaration, ...)                         \
  auto result = (__VA_ARGS__);                                     \
  if (!result) return ::tl::unexpected(std::move(result).error()); \
  declaration = std::move(result).value()

// TRY_OK(expr): the same for a Status.
#define TRY_OK(...)                                                                                           \
  do {                                                                                                        \
    if (auto try_status = (__VA_ARGS__); !try_status) return ::tl::unexpected(std::move(try_status).error()); \
  } while (false)
