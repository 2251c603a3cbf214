#include "http/auth.h"

#include <openssl/crypto.h>

#include "base/hash.h"
#include "http/text.h"

namespace kvern::http {
namespace {

constexpr std::string_view kBearer = "bearer";

// The key of "Bearer KEY"; empty when the scheme is another.
std::string_view bearer_key(std::string_view authorization) {
  if (authorization.size() <= kBearer.size()) return {};
  if (!equals_ignoring_case(authorization.substr(0, kBearer.size()), kBearer)) return {};
  const std::string_view rest = authorization.substr(kBearer.size());
  if (rest.front() != ' ' && rest.front() != '\t') return {};
  return trim(rest);
}

// Digests have one length, so neither the keys' lengths nor their common prefixes show in the time.
bool matches_one(std::string_view given, std::span<const std::string> keys) {
  const Sha256 digest = sha256(given);
  bool found = false;
  for (const std::string& key : keys) {
    const Sha256 expected = sha256(key);
    const bool same = CRYPTO_memcmp(digest.data(), expected.data(), digest.size()) == 0;
    found = found || (same && !key.empty());
  }
  return found;
}

}  // namespace

std::string_view accepted_key(const Request& request, std::span<const std::string> keys) {
  for (const auto& [name, value] : request.headers) {
    std::string_view given;
    if (name == "x-api-key") given = trim(value);
    if (name == "authorization") given = bearer_key(value);
    if (!given.empty() && matches_one(given, keys)) return given;
  }
  return {};
}

bool authorized(const Request& request, std::span<const std::string> keys) {
  return keys.empty() || !accepted_key(request, keys).empty();
}

}  // namespace kvern::http
