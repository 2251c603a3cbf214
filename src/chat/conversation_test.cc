#include "chat/conversation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "chat/renderer.h"
#include "chat/test_byte_vocab.h"

namespace kvern::chat {
namespace {

using Messages = std::vector<Message>;

Message said(Role role, std::string content) {
  Message message;
  message.role = role;
  message.content = std::move(content);
  return message;
}

Message user(std::string content) { return said(Role::user, std::move(content)); }
Message assistant(std::string content) { return said(Role::assistant, std::move(content)); }
Message system(std::string content) { return said(Role::system, std::move(content)); }

ToolCall call(std::string id, std::string arguments = R"({"path": "arg-a"})", std::string name = "read_file") {
  return {.id = std::move(id), .name = std::move(name), .arguments = std::move(arguments), .written_id = {}};
}

Message calling(std::vector<ToolCall> calls, std::string content = {}) {
  Message message = assistant(std::move(content));
  message.tool_calls = std::move(calls);
  return message;
}

Message result(std::string id, std::string content) {
  Message message = said(Role::tool, std::move(content));
  message.tool_call_id = std::move(id);
  return message;
}

const Dialect& hermes() { return *find_dialect("hermes"); }

// "user:Hi assistant:[read_file#1]Text tool#1:R"
std::string shown(const Messages& messages) {
  std::string text;
  for (const Message& message : messages) {
    text += (text.empty() ? "" : " ") + std::string(to_string(message.role));
    if (!message.tool_call_id.empty()) text += "#" + message.tool_call_id;
    text += ":";
    for (const ToolCall& one : message.tool_calls) text += "[" + one.name + "#" + one.id + "]";
    text += message.content;
  }
  return text;
}

std::string after(std::vector<Adaptation> list, const Messages& messages) {
  Adaptations adaptations;
  for (const Adaptation one : list) adaptations = adaptations.with(one);
  return shown(adapted(messages, adaptations, hermes()));
}

std::string arguments_json(const std::string& text, ArgumentForm form, Adaptations adaptations = {}) {
  JsonForm json;
  json.arguments = form;
  const Messages messages = {calling({call("1", text)})};
  return dump_json(messages_json(messages, json, adaptations, hermes())[0]["tool_calls"][0]["function"]["arguments"]);
}

TEST(Conversation, ResultsStandInTheOrderOfTheirCalls) {
  EXPECT_EQ(after({}, {calling({call("1"), call("2")}), result("2", "B"), result("1", "A")}),
            "assistant:[read_file#1][read_file#2] tool#1:A tool#2:B");
}

TEST(Conversation, AResultOfAnUnknownCallAnswersTheCallWithoutOne) {
  EXPECT_EQ(after({}, {calling({call("1"), call("2")}), result("x", "B"), result("1", "A")}),
            "assistant:[read_file#1][read_file#2] tool#1:A tool#2:B");
  EXPECT_EQ(adapted(Messages{calling({call("1")}), result("1", "A")}, {}, hermes())[1].name, "read_file");
}

TEST(Conversation, ResultsOfNoCallBecomeTextWhereTheyMust) {
  const Messages messages = {user("Hi"), result("9", "A"), calling({call("1")}), result("1", "B"), result("8", "C")};
  EXPECT_EQ(after({}, messages), "user:Hi tool#9:A assistant:[read_file#1] tool#1:B tool#8:C");
  EXPECT_EQ(after({Adaptation::orphans_as_text}, messages),
            "user:Hi user:<tool_response>\nA\n</tool_response> assistant:[read_file#1] tool#1:B "
            "user:<tool_response>\nC\n</tool_response>");
}

TEST(Conversation, SeveralCallsBecomeSeveralTurnsEachWithItsResult) {
  EXPECT_EQ(after({Adaptation::one_call}, {calling({call("1"), call("2")}, "T"), result("1", "A"), result("2", "B")}),
            "assistant:[read_file#1]T tool#1:A assistant:[read_file#2] tool#2:B");
  EXPECT_EQ(after({Adaptation::one_call}, {calling({call("1"), call("2")}), result("2", "B"), user("Hi")}),
            "assistant:[read_file#1] assistant:[read_file#2] tool#2:B user:Hi");
}

TEST(Conversation, TextApartFromCallsIsATurnOfItsOwn) {
  EXPECT_EQ(
      after({Adaptation::apart_text, Adaptation::one_call}, {calling({call("1"), call("2")}, "T"), result("1", "A")}),
      "assistant:T assistant:[read_file#1] tool#1:A assistant:[read_file#2]");
}

TEST(Conversation, SystemTextsAreMovedNotLost) {
  const Messages messages = {system("S"), system("T"), user("Hi"), system("U"), user("Ho")};
  EXPECT_EQ(after({Adaptation::one_system}, messages), "system:S\n\nT user:Hi system:U user:Ho");
  EXPECT_EQ(after({Adaptation::user_systems}, messages), "system:S system:T user:Hi user:[system] U user:Ho");
  EXPECT_EQ(after({Adaptation::folded_system, Adaptation::user_systems, Adaptation::merged_turns}, messages),
            "user:S\n\nT\n\nHi\n\n[system] U\n\nHo");
  EXPECT_EQ(after({Adaptation::folded_system}, {system("S")}), "user:S");
}

TEST(Conversation, TurnsAlternateWhereTheyMust) {
  EXPECT_EQ(after({Adaptation::merged_turns}, {user("A"), user("B"), assistant("C"), assistant("D")}),
            "user:A\n\nB assistant:C\n\nD");
  EXPECT_EQ(after({Adaptation::merged_turns}, {assistant("C"), calling({call("1")}, "D")}),
            "assistant:[read_file#1]C\n\nD");
  EXPECT_EQ(after({Adaptation::user_first}, {system("S"), assistant("A")}), "system:S user:Continue. assistant:A");
  EXPECT_EQ(after({Adaptation::answered_results}, {calling({call("1")}), result("1", "A"), user("B")}),
            "assistant:[read_file#1] tool#1:A assistant:[interrupted] user:B");
}

TEST(Conversation, WhatNeedsNoChangeStaysAsItIs) {
  const Messages messages = {system("S"),       user("Hi"),    calling({call("call00001")}), result("call00001", "A"),
                             assistant("Done"), user("Thanks")};
  for (const Adaptation one : kAdaptations) {
    if (one == Adaptation::folded_system || one == Adaptation::results_as_text || one == Adaptation::calls_as_text)
      continue;
    EXPECT_EQ(after({one}, messages), shown(messages)) << to_string(one);
    EXPECT_EQ(messages_json(messages, {}, Adaptations().with(one), hermes()),
              messages_json(messages, {}, {}, hermes()));
  }
}

TEST(Conversation, AnyTextIsAllowedAsArguments) {
  constexpr ArgumentForm kObject = ArgumentForm::object;
  constexpr ArgumentForm kText = ArgumentForm::text;
  const Adaptations adapts = Adaptations().with(Adaptation::object_arguments);
  EXPECT_EQ(arguments_json(R"({"a": 1})", kObject), R"({"a":1})");
  EXPECT_EQ(arguments_json(R"("{\"a\": 1}")", kObject), R"({"a":1})");  // encoded twice
  EXPECT_EQ(arguments_json(" \n", kObject), "{}");
  EXPECT_EQ(arguments_json("not json", kObject), R"("not json")");
  EXPECT_EQ(arguments_json("not json", kObject, adapts), R"({"arguments":"not json"})");
  EXPECT_EQ(arguments_json("[1]", kObject, adapts), R"({"arguments":"[1]"})");
  EXPECT_EQ(arguments_json(R"({"a":  1})", kText), R"("{\"a\":  1}")");
  EXPECT_EQ(arguments_json("", kText), R"("{}")");
  EXPECT_EQ(arguments_json("not json", kText, adapts), R"("{\"arguments\":\"not json\"}")");
}

TEST(Conversation, IdsBecomeNineLettersAndDigitsOnce) {
  const Adaptations nine = Adaptations().with(Adaptation::nine_ids);
  const Messages messages = {calling({call("toolu_1"), call("abcdefgh1")}), result("toolu_1", "A"), result("x", "B")};
  const Json json = messages_json(messages, {}, nine, hermes());
  EXPECT_EQ(json[0]["tool_calls"][0]["id"], "call00000");
  EXPECT_EQ(json[0]["tool_calls"][1]["id"], "abcdefgh1");
  EXPECT_EQ(json[1]["tool_call_id"], "call00000");
  EXPECT_EQ(json[2]["tool_call_id"], "call00001");
}

TEST(Conversation, AToolWithoutParametersHasAnEmptyObjectOfThem) {
  Tool tool;
  tool.name = "now";
  tool.parameters = "{}";
  const Json json = tools_json(std::span(&tool, 1));
  EXPECT_EQ(dump_json(json[0]["function"]["parameters"]), R"({"type":"object","properties":{}})");
}

// What clients really send, through every real template: no refusal, and no message lost.
class RealTemplates : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(KVERN_LLAMA_DIR) / "models" / "templates";
    if (!std::filesystem::exists(folder_)) GTEST_SKIP() << "no llama.cpp templates at " << folder_;
  }

  template <typename Check>
  void each(Check check) const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      if (entry.path().extension() == ".jinja") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const std::filesystem::path& path : files) {
      SCOPED_TRACE(path.stem());
      std::ifstream file(path);
      const auto made = Renderer::create(vocab_, {std::string(std::istreambuf_iterator<char>(file), {}), "", false});
      ASSERT_TRUE(made) << made.error().message;
      check(path.stem().string(), **made);
    }
  }

  static ChatRequest request(Messages messages) {
    ChatRequest chat;
    chat.messages = std::move(messages);
    Tool tool;
    tool.name = "read_file";
    tool.description = "Reads.";
    tool.parameters = R"({"type": "object", "properties": {"path": {"type": "string", "description": "Where"}}})";
    chat.tools = {tool};
    chat.tools.push_back({"now", "Tells.", "{}", false, {}});
    return chat;
  }

  ByteVocab vocab_;
  std::filesystem::path folder_;
};

struct Odd {
  const char* what;
  Messages messages;
  std::vector<std::string> marks;
};

std::vector<Odd> odd_histories() {
  const Message two = calling({call("call_abc123", R"({"path": "arg-a"})"), call("toolu_9", R"({"path": "arg-b"})")});
  return {
      {"two calls",
       {user("mark-1"), two, result("call_abc123", "mark-2"), result("toolu_9", "mark-3")},
       {"mark-1", "arg-a", "arg-b", "mark-2", "mark-3"}},
      {"other order",
       {user("mark-1"), two, result("toolu_9", "mark-3"), result("call_abc123", "mark-2")},
       {"arg-a", "arg-b", "mark-2", "mark-3"}},
      {"no JSON", {user("mark-1"), calling({call("1", "arg-a, no json")}), result("1", "mark-2")}, {"arg-a", "mark-2"}},
      {"a list", {user("mark-1"), calling({call("1", R"(["arg-a"])")}), result("1", "mark-2")}, {"arg-a", "mark-2"}},
      {"a text", {user("mark-1"), calling({call("1", R"("arg-a")")}), result("1", "mark-2")}, {"arg-a", "mark-2"}},
      {"no arguments", {user("mark-1"), calling({call("1", "")}), result("1", "mark-2")}, {"read_file", "mark-2"}},
      {"orphan",
       {user("mark-1"), result("7", "mark-2"), assistant("mark-3"), user("mark-4")},
       {"mark-1", "mark-2", "mark-3", "mark-4"}},
      {"no result", {user("mark-1"), calling({call("1")}), user("mark-2")}, {"mark-1", "arg-a", "mark-2"}},
      {"interrupted",
       {user("mark-1"), calling({call("1")}), result("1", "mark-2"), user("mark-3")},
       {"arg-a", "mark-2", "mark-3"}},
      {"text and calls",
       {user("mark-1"), calling({call("1")}, "mark-2"), result("1", "mark-3"), assistant("mark-4"), user("mark-5")},
       {"mark-1", "mark-2", "arg-a", "mark-3", "mark-4", "mark-5"}},
      {"two users", {user("mark-1"), user("mark-2")}, {"mark-1", "mark-2"}},
      {"two assistants",
       {user("mark-1"), assistant("mark-2"), assistant("mark-3"), user("mark-4")},
       {"mark-2", "mark-3", "mark-4"}},
      {"assistant first", {assistant("mark-1"), user("mark-2")}, {"mark-1", "mark-2"}},
      {"system in the middle",
       {system("mark-1"), user("mark-2"), assistant("mark-3"), system("mark-4"), user("mark-5")},
       {"mark-1", "mark-2", "mark-3", "mark-4", "mark-5"}},
      {"system last", {user("mark-1"), assistant("mark-2"), system("mark-3")}, {"mark-1", "mark-2", "mark-3"}},
      {"two systems", {system("mark-1"), system("mark-2"), user("mark-3")}, {"mark-1", "mark-2", "mark-3"}},
      {"system only", {system("mark-1")}, {"mark-1"}},
      {"empty", {user(""), assistant(""), user("mark-1")}, {"mark-1"}},
      {"result first", {result("1", "mark-1"), user("mark-2")}, {"mark-1", "mark-2"}},
  };
}

// Templates that by themselves leave out the text before calls and refuse it as a turn of its own.
bool leaves_out(const std::string& name, std::string_view what) {
  const bool mistral = name.starts_with("mistralai-Mistral-Nemo") || name.starts_with("Mistral-Small");
  return mistral && what == "text and calls";
}

TEST_F(RealTemplates, NothingClientsSendIsRefusedOrLost) {
  each([](const std::string& name, const Renderer& renderer) {
    for (const Odd& odd : odd_histories()) {
      const auto text = renderer.render_text(request(odd.messages));
      EXPECT_TRUE(text) << odd.what << ": " << text.error().message;
      if (!text || leaves_out(name, odd.what)) continue;
      for (const std::string& mark : odd.marks)
        EXPECT_NE(text->find(mark), std::string::npos) << odd.what << " lost " << mark;
    }
  });
}

// Templates that by themselves write old messages in another way than the latest.
bool rewrites_history(const std::string& name) {
  static const std::set<std::string> names = {
      "Bielik-11B-v3.0-Instruct",                       // ends results with the next user's turn only
      "CohereForAI-c4ai-command-r-plus-tool_use",       // asks for calls behind the last message, unasked
      "CohereForAI-c4ai-command-r7b-12-2024-tool_use",  // opens the model's turn unasked
      "Mistral-Small-3.2-24B-Instruct-2506",            // shows the tools before the last user's message
      "mistralai-Mistral-Nemo-Instruct-2407",           // so does this one
      "NVIDIA-Nemotron-Nano-v2",                        // an empty reasoning block for the last answer
      "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",  // no line break behind the last result
      "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",    // so does this one
      "Qwen-Qwen3-0.6B",                                // reasoning of the turns since the last question
      "Qwen3.5-4B",                                     // so does this one
      "StepFun3.5-Flash",                               // so does this one
      "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",       // calls after results go on in one section
      "fireworks-ai-llama-3-firefunction-v2",           // opens the model's turn unasked
      "microsoft-Phi-3.5-mini-instruct",                // ends with the end token unasked
      "openai-gpt-oss-120b",                            // the last answer ends with another token
  };
  return names.contains(name);
}

// The cached prefix of a conversation must serve its next request.
TEST_F(RealTemplates, TheFirstMessagesAreAPrefixWhateverFollows) {
  const Messages messages = {system("Be brief."),
                             user("Question."),
                             calling({call("call00001"), call("call00002")}),
                             result("call00001", "One."),
                             result("call00002", "Two."),
                             calling({call("call00003")}),
                             result("call00003", "Three."),
                             assistant("Answer."),
                             user("More?"),
                             assistant("Yes."),
                             user("Go.")};
  each([&](const std::string& name, const Renderer& renderer) {
    if (rewrites_history(name)) return;
    ChatRequest whole = request(messages);
    whole.template_kwargs = R"({"add_generation_prompt": false})";
    const auto all = renderer.render_text(whole);
    ASSERT_TRUE(all) << all.error().message;
    for (std::size_t count = 2; count < messages.size(); ++count) {
      if (messages[count].role == Role::tool) continue;  // a turn is not over before its results
      ChatRequest part = whole;
      part.messages.resize(count);
      const auto text = renderer.render_text(part);
      ASSERT_TRUE(text) << text.error().message;
      EXPECT_TRUE(all->starts_with(*text)) << count << "\n" << *text << "\n----\n" << *all;
    }
  });
}

}  // namespace
}  // namespace kvern::chat
