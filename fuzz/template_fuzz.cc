// Any bytes as a chat template: no crash, no endless render, and every refusal says something.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

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

void run(std::string source) {
  const auto parsed = JinjaTemplate::parse(std::move(source));
  if (!parsed) {
    CHECK(parsed.error().code == Code::invalid && !parsed.error().message.empty());
    return;
  }
  const auto parts = (*parsed)->render(conversation(), {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
  if (!parts) {
    CHECK(!parts.error().message.empty());
    return;
  }
  std::size_t bytes = 0;
  for (const RenderedPart& part : *parts) bytes += part.text.size();
  CHECK(bytes <= limits::kRenderedBytes);
}

}  // namespace
}  // namespace kvern::chat

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvern::chat::run(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
