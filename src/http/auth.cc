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

bool authorized(const Request& request, std::span<const std::string> keys) {
  if (keys.empty()) return true;
  for (const auto& [name, value] : request.headers) {
    if (name == "x-api-key" && matches_one(trim(value), keys)) return true;
    if (name == "authorization" && matches_one(bearer_key(value), keys)) return true;
  }
  return false;
}

}  // namespace kvern::http
