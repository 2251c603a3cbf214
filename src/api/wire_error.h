// The one place that maps an Error to an HTTP status and to each API's error shape.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kvern::api {

struct WireError {
  int status = 500;
  std::string body;       // JSON
  int retry_after_s = 0;  // > 0: a Retry-After header
};

int http_status(Code code);

// Whose error shape a client expects.
enum class Wire { openai, anthropic };

// A path below /v1/messages.
bool is_anthropic_path(std::string_view path);

// request_id: Anthropic's clients show it; empty: null.
WireError wire_error(Wire wire, const Error& error, const std::string& request_id = {});

// {"error":{"message":...,"type":"invalid_request_error","param":"messages[0].role","code":...}}
// `too_long` has code "context_length_exceeded", which clients act on.
WireError openai_error(const Error& error);

// {"type":"error","error":{"type":"invalid_request_error","message":...},"request_id":null}
// `too_long` says "prompt is too long: N tokens > M maximum", which Claude Code reads both numbers of.
WireError anthropic_error(const Error& error, const std::string& request_id = {});

// Its "code": "" for errors no client acts on by it.
std::string_view openai_error_code(const Error& error);

// The same object as one SSE data line, for errors after the stream began.
std::string openai_error_frame(const Error& error);
std::string anthropic_error_frame(const Error& error, const std::string& request_id = {});  // of an `error` event

}  // namespace kvern::api
