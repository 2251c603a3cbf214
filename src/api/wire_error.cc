#include "api/wire_error.h"

#include "base/json_text.h"

namespace kvern::api {
namespace {

constexpr int kRetryAfter_s = 1;

std::string_view type_of(Code code) { return http_status(code) < 499 ? "invalid_request_error" : "server_error"; }

// Anthropic API reference, "Errors".
std::string_view anthropic_type_of(Code code) {
  switch (code) {
    case Code::invalid:
    case Code::too_long: return "invalid_request_error";
    case Code::unauthorized: return "authentication_error";
    case Code::not_found: return "not_found_error";
    case Code::too_large: return "request_too_large";
    case Code::busy: return "overloaded_error";
    case Code::cancelled:
    case Code::corrupt:
    case Code::failed: return "api_error";
  }
  return "api_error";
}

// OpenAI's word for it, and a 400 there: it is the request that is wrong, not its path.
bool is_previous_response(const Error& error) {
  return error.code == Code::not_found && error.field == "previous_response_id";
}

// "" for errors no client acts on by their code.
std::string_view code_of(const Error& error) {
  switch (error.code) {
    case Code::invalid: return "";
    case Code::unauthorized: return "invalid_api_key";
    case Code::not_found:
      if (is_previous_response(error)) return "previous_response_not_found";
      return error.field == "model" ? "model_not_found" : "not_found";
    case Code::too_large: return "request_too_large";
    case Code::too_long: return "context_length_exceeded";
    case Code::busy: return "overloaded";
    case Code::cancelled: return "cancelled";
    case Code::corrupt:
    case Code::failed: return "internal_error";
  }
  return "internal_error";
}

// Many clients show only the message, so it names the field where the field is what is wrong.
std::string message_of(const Error& error) {
  const bool about_field = error.code == Code::invalid || error.code == Code::too_large;
  return about_field && !error.field.empty() ? error.field + ": " + error.message : error.message;
}

void append_or_null(std::string& out, std::string_view text) {
  if (text.empty()) {
    out += "null";
  } else {
    append_json_string(out, text);
  }
}

std::string error_object(const Error& error) {
  std::string out = "{\"error\":{\"message\":";
  append_json_string(out, message_of(error));
  out += ",\"type\":";
  append_json_string(out, type_of(error.code));
  out += ",\"param\":";
  append_or_null(out, error.field);
  out += ",\"code\":";
  append_or_null(out, code_of(error));
  out += "}}";
  return out;
}

}  // namespace

int http_status(Code code) {
  switch (code) {
    case Code::invalid: return 400;
    case Code::unauthorized: return 401;
    case Code::not_found: return 404;
    case Code::too_large: return 413;
    case Code::too_long: return 400;
    case Code::busy: return 503;
    case Code::cancelled: return 499;
    case Code::corrupt:
    case Code::failed: return 500;
  }
  return 500;
}

bool is_anthropic_path(std::string_view path) {
  constexpr std::string_view kMessages = "/v1/messages";
  if (!path.starts_with(kMessages)) return false;
  return path.size() == kMessages.size() || path[kMessages.size()] == '/';
}

WireError wire_error(Wire wire, const Error& error, const std::string& request_id) {
  return wire == Wire::anthropic ? anthropic_error(error, request_id) : openai_error(error);
}

WireError openai_error(const Error& error) {
  const int status = is_previous_response(error) ? http_status(Code::invalid) : http_status(error.code);
  return {status, error_object(error), error.code == Code::busy ? kRetryAfter_s : 0};
}

WireError anthropic_error(const Error& error, const std::string& request_id) {
  return {error.code == Code::busy ? 529 : http_status(error.code), anthropic_error_frame(error, request_id),
          error.code == Code::busy ? kRetryAfter_s : 0};
}

std::string anthropic_error_frame(const Error& error, const std::string& request_id) {
  std::string out = R"({"type":"error","error":{"type":)";
  append_json_string(out, anthropic_type_of(error.code));
  out += ",\"message\":";
  append_json_string(out, message_of(error));
  out += "},\"request_id\":";
  append_or_null(out, request_id);
  out += '}';
  return out;
}

std::string_view openai_error_code(const Error& error) { return code_of(error); }

std::string openai_error_frame(const Error& error) { return error_object(error); }

}  // namespace kvern::api
