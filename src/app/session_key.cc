#include "app/session_key.h"

#include <algorithm>
#include <string_view>

#include "base/limits.h"

namespace kvern::app {
namespace {

// A '/' is ours: what stands behind it is an agent of the session.
std::string part(std::string_view text) {
  std::string out(text);
  std::replace(out.begin(), out.end(), '/', ':');
  return out;
}

std::string bounded(std::string key) {
  if (key.size() > limits::kSessionKeyBytes) key.resize(limits::kSessionKeyBytes);
  return key;
}

}  // namespace

std::string session_key(const http::Request& request, const std::string& from_body) {
  const std::string_view claude = request.header("x-claude-code-session-id");
  if (!claude.empty()) {
    std::string key = "claude:" + part(claude);
    const std::string_view agent = request.header("x-claude-code-agent-id");
    if (!agent.empty()) key += "/" + part(agent);
    return bounded(std::move(key));
  }
  for (const char* name : {"thread-id", "session-id"}) {
    if (const std::string_view codex = request.header(name); !codex.empty()) return bounded("codex:" + part(codex));
  }
  for (const char* name : {"x-session-id", "x-session-affinity"}) {
    if (const std::string_view key = request.header(name); !key.empty()) return bounded(part(key));
  }
  return bounded(part(from_body));
}

}  // namespace kvern::app
