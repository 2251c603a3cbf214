#include "prep_talk.h"

#include <fmt/format.h>

#include <random>
#include <string_view>

#include "base/json_text.h"

namespace kvern::bench {
namespace {

constexpr std::string_view kWords[] = {"the",   "cache", "of",     "request", "reads",  "a",     "file",    "when",
                                       "index", "must",  "always", "prefix",  "return", "token", "changes", "before",
                                       "test",  "holds", "path",   "limit",   "server", "while", "buffer",  "again"};
constexpr std::string_view kLines[] = {"  if (found == places.end()) return fail(Code::not_found, name_{});\n",
                                       "  for (std::size_t i_{0} = 0; i_{0} < count; ++i_{0}) total += sizes[{0}];\n",
                                       "    self.assertEqual(rows[{}], expected, msg=f\"row {{rows}}\")\n",
                                       "  // The order does not matter here: {} of them are sorted below.\n",
                                       "  const auto value_{} = parse(text.substr(at, length), options);\n",
                                       "\n"};

std::string prose(std::mt19937& random, int words) {
  std::string text;
  for (int i = 0; i < words; ++i) {
    text += kWords[random() % std::size(kWords)];
    text += i % 14 == 13 ? ".\n" : " ";
  }
  return text;
}

std::string source(std::mt19937& random, int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i) {
    text += fmt::format("{:6}\t", i + 1);
    text += fmt::format(fmt::runtime(kLines[random() % std::size(kLines)]), random() % 1000);
  }
  return text;
}

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// Read, Edit and Bash, as often as agents call them.
ToolCall call_of(std::mt19937& random, int number) {
  ToolCall call{fmt::format("toolu_{:08}", number), "", ""};
  const std::string path = quoted(fmt::format("/home/user/project/src/module_{}/part_{}.cc", number % 17, number));
  switch (number % 3) {
    case 0:
      call.name = "tool_0";
      call.arguments = fmt::format(R"({{"path": {}, "limit": {}}})", path, random() % 2000);
      break;
    case 1:
      call.name = "tool_1";
      call.arguments = fmt::format(R"({{"path": {}, "old": {}, "new": {}}})", path, quoted(source(random, 4)),
                                   quoted(source(random, 5)));
      break;
    default:
      call.name = "tool_2";
      call.arguments = fmt::format(R"({{"command": {}}})", quoted("ls -la && grep -rn " + prose(random, 6)));
  }
  return call;
}

Message result_of(const ToolCall& call, std::string text) {
  Message result = text_message(Role::tool, std::move(text));
  result.tool_call_id = call.id;
  return result;
}

void append_block(std::string& out, const Message& message) {
  const char* role = message.role == Role::assistant ? "assistant" : "user";
  out += fmt::format(R"({{"role": "{}", "content": [)", role);
  if (message.role == Role::tool) {
    out += fmt::format(R"({{"type": "tool_result", "tool_use_id": "{}", "content": {}}})", message.tool_call_id,
                       quoted(message.content));
  } else if (!message.content.empty()) {
    out += fmt::format(R"({{"type": "text", "text": {}}})", quoted(message.content));
  }
  for (const ToolCall& call : message.tool_calls) {
    out += fmt::format(R"({}{{"type": "tool_use", "id": "{}", "name": "{}", "input": {}}})",
                       out.back() == '[' ? "" : ", ", call.id, call.name, call.arguments);
  }
  out += "]}";
}

}  // namespace

std::vector<Tool> talk_tools() {
  std::vector<Tool> tools;
  for (int i = 0; i < kTalkTools; ++i) {
    std::mt19937 random(static_cast<std::uint32_t>(i));
    Tool tool;
    tool.name = fmt::format("tool_{}", i);
    tool.description = prose(random, 60);
    tool.parameters = fmt::format(
        R"({{"type":"object","properties":{{"path":{{"type":"string","description":{}}},"limit":{{"type":"integer",)"
        R"("minimum":0,"description":{}}},"old":{{"type":"string","description":{}}},"new":{{"type":"string"}},)"
        R"("command":{{"type":"string"}},"mode_{}":{{"enum":["content","files","count"]}},"globs":{{"type":"array",)"
        R"("items":{{"type":"string"}}}}}},"additionalProperties":false}})",
        quoted(prose(random, 12)), quoted(prose(random, 12)), quoted(prose(random, 12)), i);
    tools.push_back(std::move(tool));
  }
  return tools;
}

Message talk_system() {
  std::mt19937 random(7);
  return text_message(Role::system, prose(random, 1'500));
}

std::vector<Message> talk_turn(int number) {
  std::mt19937 random(static_cast<std::uint32_t>(1'000 + number));
  Message assistant = text_message(Role::assistant, prose(random, 20));
  if (number % 8 == 0) {
    if (number == 0) return {text_message(Role::user, prose(random, 60))};
    return {std::move(assistant), text_message(Role::user, prose(random, 60))};
  }
  assistant.tool_calls.push_back(call_of(random, number));
  Message result = result_of(assistant.tool_calls.front(), source(random, 14));
  return {std::move(assistant), std::move(result)};
}

std::string messages_body(const std::vector<Tool>& tools, const std::vector<Message>& messages) {
  std::string out = R"({"model": "any", "max_tokens": 1000, "stream": true, "tools": [)";
  for (const Tool& tool : tools) {
    if (out.back() != '[') out += ", ";
    out += fmt::format(R"({{"name": "{}", "description": {}, "input_schema": {}}})", tool.name,
                       quoted(tool.description), tool.parameters);
  }
  out +=
      fmt::format(R"(], "system": [{{"type": "text", "text": {}}}], "messages": [)", quoted(messages.front().content));
  for (std::size_t i = 1; i < messages.size(); ++i) {
    if (i > 1) out += ", ";
    append_block(out, messages[i]);
  }
  return out + "]}";
}

}  // namespace kvern::bench
