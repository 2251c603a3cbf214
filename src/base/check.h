// CHECK: always on, for broken invariants only. A bad request, a bad byte on disk or a slow client
// is never one; those are Errors.
#pragma once

#include <string_view>

namespace kvern {

[[noreturn]] void check_failed(const char* file, int line, const char* expression, std::string_view values);

}  // namespace kvern

// CHECK(used <= budget, fmt::format("used={} budget={}", used, budget))
#define CHECK(condition, ...)                                                                 \
  do {                                                                                        \
    if (!(condition)) [[unlikely]]                                                            \
      ::kvern::check_failed(__FILE__, __LINE__, #condition, ::std::string_view(__VA_ARGS__)); \
  } while (false)
