// What the plans have in common. Thread: any.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "agents/launch_plan.h"
#include "base/json.h"

namespace kvern::agents {

// Stands for the key where a plan is shown instead of carried out.
inline constexpr std::string_view kKeyPlaceholder = "@KVERN_API_KEY@";

// One id a role. The server takes any id; the roles can be told apart in its log and by its cache.
std::string aux_model(const LaunchRequest& request);       // titles, summaries, classifiers
std::string subagent_model(const LaunchRequest& request);  // agents an agent starts

// The key, or a word where the server wants none: clients refuse to start without.
std::string key_or_word(const LaunchRequest& request);

// Tokens of one answer that always leave most of the context to the conversation.
std::int32_t output_tokens(const LaunchRequest& request);

// How full the context may be, in percent, before a client should compact: an answer still fits.
int compact_percent(const LaunchRequest& request);

// True when the user gave one of these flags, as "--model x" or "--model=x".
bool user_gave(const LaunchRequest& request, std::initializer_list<std::string_view> flags);

// Sets it, and remarks on a value of the user's that differs.
void replace_variable(const LaunchRequest& request, LaunchPlan& plan, std::string name, std::string value);

// Unsets it, with a remark when the user has it.
void drop_variable(const LaunchRequest& request, LaunchPlan& plan, std::string name, std::string_view why);

// A proxy the user has set must not see requests to our server.
void bypass_proxies(const LaunchRequest& request, LaunchPlan& plan);

// Contexts in which an agent hardly works get a remark with the way out.
void remark_on_context(const LaunchRequest& request, LaunchPlan& plan, std::int32_t prompt_tokens,
                       std::string_view advice);

// "$HOME/rest"; nothing without HOME.
std::optional<std::string> in_home(const LaunchRequest& request, std::string_view rest);

// A JSON object of the user's; nothing when there is no such file. One that cannot be read as JSON
// gives a remark and nothing.
std::optional<Json> read_object(const LaunchRequest& request, LaunchPlan& plan, const std::string& path);

}  // namespace kvern::agents
