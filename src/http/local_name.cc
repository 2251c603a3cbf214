#include "http/local_name.h"

#include <algorithm>
#include <array>

#include "http/text.h"

namespace kvern::http {
namespace {

constexpr std::array<std::string_view, 3> kOwnDomains = {".localhost", ".local", ".internal"};

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool is_ipv4(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

bool ends_with_ignoring_case(std::string_view name, std::string_view end) {
  return name.size() > end.size() && equals_ignoring_case(name.substr(name.size() - end.size()), end);
}

}  // namespace

bool is_local_name(std::string_view host) {
  std::string_view name = without_port(trim(host));
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.starts_with('[') || name.find('.') == std::string_view::npos || is_ipv4(name)) return true;
  return std::any_of(kOwnDomains.begin(), kOwnDomains.end(),
                     [&](std::string_view domain) { return ends_with_ignoring_case(name, domain); });
}

bool comes_from_here(const Request& request) {
  if (request.peer == "unix") return true;
  if (!is_local_name(request.header("host"))) return false;
  const std::string_view origin = trim(request.header("origin"));
  if (origin == "null") return false;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.size() >= scheme.size() && equals_ignoring_case(origin.substr(0, scheme.size()), scheme))
      return is_local_name(origin.substr(scheme.size()));
  }
  return true;
}

}  // namespace kvern::http
