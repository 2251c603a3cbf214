// Replays tests/templates/FAMILY/*.case: what a family's own template makes of a conversation.
//
// template: a file of llama.cpp's models/templates; messages: one JSON object a line; rendered: the
// text from the first user's message on, as Python's Jinja writes it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "chat/renderer.h"
#include "chat/test_byte_vocab.h"

namespace kvern::chat {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::filesystem::path templates() { return std::filesystem::path(KVERN_LLAMA_DIR) / "models" / "templates"; }

std::vector<std::filesystem::path> case_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::filesystem::path(KVERN_SOURCE_DIR) / "tests" / "templates"))
    if (entry.path().extension() == ".case") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

struct Case {
  std::string template_file;
  std::vector<Message> messages;
  std::string rendered;
};

Message message_of(const Json& json) {
  Message message;
  for (const Role role : {Role::system, Role::user, Role::assistant, Role::tool})
    if (json.at("role") == to_string(role)) message.role = role;
  message.content = json.at("content");
  message.reasoning = json.value("reasoning", "");
  message.tool_call_id = json.value("tool_call_id", "");
  message.name = json.value("name", "");
  for (const Json& call : json.value("tool_calls", Json::array())) {
    const Json& function = call.at("function");
    message.tool_calls.push_back({.id = call.at("id"),
                                  .name = function.at("name"),
                                  .arguments = dump_json(function.at("arguments")),
                                  .written_id = {}});
  }
  return message;
}

Case read_case(const std::filesystem::path& path) {
  constexpr std::string_view kTemplate = "template: ";
  constexpr std::string_view kMessages = "\nmessages:\n";
  constexpr std::string_view kRendered = "\nrendered:\n";
  const std::string text = read(path);
  const std::size_t messages = text.find(kMessages);
  const std::size_t rendered = text.find(kRendered);
  Case result;
  result.template_file = text.substr(kTemplate.size(), messages - kTemplate.size());
  std::size_t at = messages + kMessages.size();
  while (at < rendered) {
    const std::size_t end = text.find('\n', at);
    result.messages.push_back(message_of(*parse_json(text.substr(at, end - at))));
    at = end + 1;
  }
  result.rendered = text.substr(rendered + kRendered.size());
  result.rendered.pop_back();  // the file's last line break
  return result;
}

Tool tool(const char* name, const char* description, const char* parameters) {
  Tool result;
  result.name = name;
  result.description = description;
  result.parameters = parameters;
  return result;
}

std::vector<Tool> tools() {
  return {tool("read_file", "Reads a “file”.",
               R"({"type": "object", "properties": {"path": {"type": "string", "description": "Where"},)"
               R"( "limit": {"type": "integer", "description": "Lines"}}, "required": ["path"]})"),
          tool("now", "Tells the time.", R"({"type": "object", "properties": {}})")};
}

const std::string& first_question(const Case& one) {
  return std::find_if(one.messages.begin(), one.messages.end(), [](const Message& m) { return m.role == Role::user; })
      ->content;
}

TEST(RendererCases, EveryFamilyIsWrittenAsItsOwnTemplateDoes) {
  if (!std::filesystem::exists(templates())) GTEST_SKIP() << "no llama.cpp templates at " << templates();
  const ByteVocab vocab;
  std::set<std::filesystem::path> families;
  for (const std::filesystem::path& path : case_files()) {
    SCOPED_TRACE(path);
    const Case one = read_case(path);
    const auto renderer = Renderer::create(vocab, {read(templates() / one.template_file), "", false});
    ASSERT_TRUE(renderer) << renderer.error().message;
    ChatRequest request;
    request.messages = one.messages;
    request.tools = tools();
    const auto rendered = (*renderer)->render_text(request);
    ASSERT_TRUE(rendered) << rendered.error().message;
    const std::size_t begin = rendered->find(first_question(one));
    ASSERT_NE(begin, std::string::npos) << *rendered;
    EXPECT_EQ(rendered->substr(begin), one.rendered);
    EXPECT_NE(rendered->find("read_file"), std::string::npos) << "the tools are not in the prompt";
    families.insert(path.parent_path());
  }
  EXPECT_GE(families.size(), 20U);
}

}  // namespace
}  // namespace kvern::chat
