#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace kvern {

void check_failed(const char* file, int line, const char* expression, std::string_view values) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s %.*s\n", file, line, expression, static_cast<int>(values.size()),
               values.data());
  std::fflush(stderr);
  std::abort();
}

}  // namespace kvern
