// The bytes an answer begins with. Thread: any.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "http/server.h"

namespace kvern::http {

struct AnswerHead {
  int status = 200;
  std::string content_type = {};
  std::optional<std::size_t> content_length = {};  // none: chunked, or until the connection closes
  bool chunked = false;
  bool keep_alive = true;
  bool http_1_0 = false;  // of the request: then keeping alive must be said
};

// The status line and header with its blank line. Extra headers that would break the framing (line
// breaks in them, a second length) are left out.
void append_head(std::string& out, const AnswerHead& head, const Headers& extra);

// False for the statuses that have no body by definition.
bool has_body(int status);

// {"error":{"message":...,"type":...}}
std::string default_error_body(int status, const Error& error);

}  // namespace kvern::http
