#include "http/target.h"

#include "base/utf8.h"
#include "http/text.h"

namespace kvern::http {
namespace {

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) return fail(Code::invalid, "the path has a '%' that two hexadecimal digits do not follow");
    const char byte = static_cast<char>(high * 16 + low);
    if (byte == '\0') return fail(Code::invalid, "the path contains %00");
    out += byte;
    i += 2;
  }
  return out;
}

// "http://host/path" -> "/path".
std::string_view without_authority(std::string_view target) {
  const std::size_t scheme_end = target.find("://");
  const std::string_view scheme = target.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos ||
      !(equals_ignoring_case(scheme, "http") || equals_ignoring_case(scheme, "https")))
    return target;
  const std::size_t path = target.find_first_of("/?", scheme_end + 3);
  return path == std::string_view::npos ? std::string_view("/") : target.substr(path);
}

}  // namespace

std::string_view Request::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return {};
}

Status set_target(Request& request, std::string_view target) {
  if (target == "*") {
    request.path = "*";
    return {};
  }
  const std::string_view origin_form = without_authority(target);
  const std::size_t question = origin_form.find('?');
  std::string_view path = origin_form.substr(0, question);
  if (path.empty() && origin_form.size() < target.size()) path = "/";  // "http://host?query"
  if (path.empty() || path.front() != '/')
    return fail(Code::invalid, "the request target is not a path that begins with '/'");
  TRY(request.path, percent_decode(path));
  request.query = question == std::string_view::npos ? "" : std::string(origin_form.substr(question + 1));
  return {};
}

}  // namespace kvern::http
