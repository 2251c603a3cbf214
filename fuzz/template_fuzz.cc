// Any bytes as a chat template: no crash, no endless render, and every refusal says something.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "chat/template/jinja_template.h"

namespace kvern::chat {
namespace {

const Json& conversation() {
  static const Json variables = {
      {"messages",
       {{{"role", "system"}, {"content", "Be brief."}},
        {{"role", "user"}, {"content", "a b\nc"}},
        {{"role", "assistant"},
         {"content", ""},
         {"tool_calls",
          {{{"id", "1"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", {{"x", 1.5}}}}}}}}},
        {{"role", "tool"}, {"tool_call_id", "1"}, {"content", "result"}}}},
      {"tools", {{{"type", "function"}, {"function", {{"name", "f"}, {"parameters", {{"type", "object"}}}}}}}},
      {"add_generation_prompt", true}};
  return variables;
}

// The same conversation, each message prepared by itself: rounds of loops over them are kept.
void check_kept(const JinjaTemplate& jinja, const Json& constants, const std::vector<RenderedPart>& plain) {
  constexpr std::size_t kRoundBytes = 100'000;
  Json variables = conversation();
  PreparedList list{"messages", {}};
  for (const Json& message : variables["messages"]) list.items.push_back(prepare_item(message, kRoundBytes));
  variables.erase("messages");
  for (int time = 0; time < 2; ++time) {
    const auto kept = jinja.render(variables, constants, {}, {&list, 1});
    CHECK(kept.has_value());
    CHECK(kept->size() == plain.size());
    for (std::size_t i = 0; i < plain.size(); ++i)
      CHECK((*kept)[i].text == plain[i].text && (*kept)[i].is_input == plain[i].is_input, plain[i].text);
  }
}

void run(std::string source) {
  const bool tells_time = source.find("strftime_now") != std::string::npos;
  const auto parsed = JinjaTemplate::parse(std::move(source));
  if (!parsed) {
    CHECK(parsed.error().code == Code::invalid && !parsed.error().message.empty());
    return;
  }
  const Json constants = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  const auto parts = (*parsed)->render(conversation(), constants);
  if (!parts) {
    CHECK(!parts.error().message.empty());
    return;
  }
  std::size_t bytes = 0;
  for (const RenderedPart& part : *parts) bytes += part.text.size();
  CHECK(bytes <= limits::kRenderedBytes);
  if (!tells_time) check_kept(**parsed, constants, *parts);
}

}  // namespace
}  // namespace kvern::chat

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvern::chat::run(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
