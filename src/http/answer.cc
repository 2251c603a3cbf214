#include "http/answer.h"

#include <fmt/format.h>

#include <ctime>

#include "base/json_text.h"
#include "http/text.h"

namespace kvern::http {
namespace {

std::string_view phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    case 529: return "Overloaded";
    default: return "Status";
  }
}

// English names whatever the locale says.
void append_date(std::string& out) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  fmt::format_to(std::back_inserter(out), "Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n", kDays[utc.tm_wday],
                 utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

bool is_one_line(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos; }

bool may_add(std::string_view name, std::string_view value) {
  if (name.empty() || !is_one_line(name) || !is_one_line(value) || name.find_first_of(": ") != name.npos) return false;
  for (const std::string_view ours : {"content-length", "content-type", "transfer-encoding", "connection"}) {
    if (equals_ignoring_case(name, ours)) return false;
  }
  return true;
}

}  // namespace

void append_head(std::string& out, const AnswerHead& head, const Headers& extra) {
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", head.status, phrase(head.status));
  append_date(out);
  if (!head.content_type.empty() && is_one_line(head.content_type))
    fmt::format_to(std::back_inserter(out), "Content-Type: {}\r\n", head.content_type);
  if (head.content_length) fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", *head.content_length);
  if (head.chunked) out += "Transfer-Encoding: chunked\r\n";
  if (!head.keep_alive) {
    out += "Connection: close\r\n";
  } else if (head.http_1_0) {
    out += "Connection: keep-alive\r\n";
  }
  for (const auto& [name, value] : extra) {
    if (may_add(name, value)) fmt::format_to(std::back_inserter(out), "{}: {}\r\n", name, value);
  }
  out += "\r\n";
}

bool has_body(int status) { return status >= 200 && status != 204 && status != 304; }

std::string default_error_body(int status, const Error& error) {
  std::string body = "{\"error\":{\"message\":";
  append_json_string(body, error.message);
  body += ",\"type\":";
  append_json_string(body, to_string(error.code));
  fmt::format_to(std::back_inserter(body), ",\"status\":{}}}}}", status);
  return body;
}

}  // namespace kvern::http
