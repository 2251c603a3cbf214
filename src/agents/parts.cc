#include "agents/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/model_roles.h"

namespace kvern::agents {
namespace {

constexpr std::int32_t kOutputMost = 32'000;
constexpr int kCompactMost = 90;

bool is_set(const LaunchRequest& request, const std::string& name) {
  const auto value = request.environment(name);
  return value && !value->empty();
}

// The host of "http://host:port".
std::string host_of(std::string_view address) {
  const std::size_t start = address.find("://");
  std::string_view rest = start == std::string_view::npos ? address : address.substr(start + 3);
  if (rest.starts_with('[')) return std::string(rest.substr(0, rest.find(']') + 1));
  return std::string(rest.substr(0, rest.find_first_of(":/")));
}

}  // namespace

std::string aux_model(const LaunchRequest& request) { return request.model + std::string(kAuxRole); }
std::string subagent_model(const LaunchRequest& request) { return request.model + std::string(kSubagentRole); }

std::string key_or_word(const LaunchRequest& request) { return request.api_key.empty() ? "kvern" : request.api_key; }

std::int32_t output_tokens(const LaunchRequest& request) {
  return std::clamp(request.context / 4, std::int32_t{1}, kOutputMost);
}

int compact_percent(const LaunchRequest& request) {
  const std::int64_t context = std::max(request.context, 1);
  const std::int64_t room = context - output_tokens(request);
  return static_cast<int>(std::clamp<std::int64_t>(room * 100 / context, 1, kCompactMost));
}

bool user_gave(const LaunchRequest& request, std::initializer_list<std::string_view> flags) {
  for (const std::string& argument : request.arguments) {
    if (argument == "--") return false;
    for (const std::string_view flag : flags) {
      const bool joined = argument.starts_with(flag) && flag.starts_with("--") && argument.size() > flag.size() &&
                          argument[flag.size()] == '=';
      if (argument == flag || joined) return true;
    }
  }
  return false;
}

void replace_variable(const LaunchRequest& request, LaunchPlan& plan, std::string name, std::string value) {
  const auto before = request.environment(name);
  const bool secret = name.ends_with("_KEY") || name.ends_with("_TOKEN") || name.ends_with("_CONTENT");
  if (before && !before->empty() && *before != value) {
    plan.remarks.push_back(secret ? fmt::format("your {} is replaced for this run", name)
                                  : fmt::format("your {}={} is replaced for this run", name, *before));
  }
  plan.set.push_back({std::move(name), std::move(value)});
}

void drop_variable(const LaunchRequest& request, LaunchPlan& plan, std::string name, std::string_view why) {
  if (is_set(request, name)) plan.remarks.push_back(fmt::format("your {} is left out of this run: {}", name, why));
  plan.unset.push_back(std::move(name));
}

void bypass_proxies(const LaunchRequest& request, LaunchPlan& plan) {
  constexpr std::array<const char*, 6> proxies = {"http_proxy",  "HTTP_PROXY", "https_proxy",
                                                  "HTTPS_PROXY", "all_proxy",  "ALL_PROXY"};
  const bool proxied = std::any_of(proxies.begin(), proxies.end(), [&](const char* n) { return is_set(request, n); });
  if (!proxied) return;
  const std::string host = host_of(request.address);
  // Programs differ in which of the two they read first, so both say all that either said.
  const std::string upper = request.environment("NO_PROXY").value_or("");
  const std::string lower = request.environment("no_proxy").value_or("");
  std::string hosts = upper;
  for (const std::string& more : {lower == upper ? std::string() : lower, host}) {
    if (!more.empty()) hosts += (hosts.empty() ? "" : ",") + more;
  }
  for (const char* name : {"NO_PROXY", "no_proxy"}) plan.set.push_back({name, hosts});
  plan.remarks.push_back(fmt::format("a proxy is set; {} is added to NO_PROXY, so that it is not asked", host));
}

void remark_on_context(const LaunchRequest& request, LaunchPlan& plan, std::int32_t prompt_tokens,
                       std::string_view advice) {
  constexpr std::int32_t comfortable = 32 * 1024;
  if (request.context >= comfortable) return;
  plan.remarks.push_back(fmt::format(
      "a context of {} tokens is small for an agent whose first prompt takes about {}: {}{}", request.context,
      prompt_tokens, advice.empty() ? "" : std::string(advice) + ", or ", "serve the model with --context 64k"));
}

std::optional<std::string> in_home(const LaunchRequest& request, std::string_view rest) {
  const auto home = request.environment("HOME");
  if (!home || home->empty()) return std::nullopt;
  return fmt::format("{}/{}", *home, rest);
}

std::optional<Json> read_object(const LaunchRequest& request, LaunchPlan& plan, const std::string& path) {
  const auto text = request.file(path);
  if (!text) return std::nullopt;
  auto value = parse_json(*text);
  if (value && value->is_object()) return std::move(*value);
  plan.remarks.push_back(fmt::format("{} is not a JSON object, so what it says is not known here", path));
  return std::nullopt;
}

}  // namespace kvern::agents
