// A memory of earlier requests makes reading cheap and never changes what is read.
#include "api/request_body.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "api/anthropic_messages.h"
#include "api/openai_chat.h"
#include "api/openai_responses.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

std::string chat_tool(std::string_view name) {
  return fmt::format(R"({{"type":"function","function":{{"name":"{}","parameters":{{"type":"object"}}}}}})", name);
}

std::string anthropic_tool(std::string_view name, bool deferred = false) {
  return fmt::format(R"({{"name":"{}","description":"does {}","input_schema":{{"type":"object"}}{}}})", name, name,
                     deferred ? R"(,"defer_loading":true)" : "");
}

template <typename Request>
void expect_same(const Result<Request>& fresh, const Result<Request>& remembered, std::string_view body) {
  ASSERT_EQ(fresh.has_value(), remembered.has_value()) << body;
  if (!fresh) {
    EXPECT_EQ(fresh.error().message, remembered.error().message) << body;
    EXPECT_EQ(fresh.error().field, remembered.error().field) << body;
    EXPECT_EQ(fresh.error().code, remembered.error().code) << body;
    return;
  }
  EXPECT_EQ(fresh->messages, remembered->messages) << body;
  EXPECT_EQ(fresh->tools, remembered->tools) << body;
  EXPECT_EQ(fresh->model, remembered->model) << body;
  EXPECT_EQ(fresh->tool_choice.name, remembered->tool_choice.name) << body;
}

Result<ChatRequest> chat_of(std::string_view body, TextMemory* memory) {
  return parse_chat_batch(body, {}, memory).map([](const ChatBatch& batch) { return batch.request; });
}

class NothingStored final : public StoredItems {
 public:
  std::optional<std::vector<ItemText>> conversation(std::string_view) const override { return std::nullopt; }
  ItemText item(std::string_view) const override { return nullptr; }
};

Result<ResponsesRequest> responses_of(std::string_view body, TextMemory* memory) {
  return parse_responses_request(body, NothingStored(), {}, false, memory);
}

// Twice: when it is new and when all of it is known.
void expect_same_everywhere(std::string_view body, TextMemory& memory) {
  for (int time = 0; time < 2; ++time) {
    expect_same(chat_of(body, nullptr), chat_of(body, &memory), body);
    expect_same(parse_messages_request(body), parse_messages_request(body, {}, &memory), body);
  }
}

TEST(RequestBody, OddDocumentsReadTheSameWithAMemory) {
  TextMemory memory(limits::kRequestMemoryBytes);
  const std::string good = R"({"role":"user","content":"hi"})";
  const std::string deep = std::string(300, '[') + std::string(300, ']');
  const std::string nearly_deep = std::string(254, '[') + std::string(254, ']');
  const std::vector<std::string> bodies = {
      R"({"messages":[)" + good + "]}",
      R"( {"model" : "m", "messages" : [ )" + good + " , " + good + " ] } ",
      R"({"messages":[)" + good + R"(],"messages":[{"role":"user","content":"twice"}]})",
      R"({"messages":[)" + good + R"(],"m\u0065ssages":[{"role":"user","content":"escaped"}]})",
      R"({"messages":[)" + good + R"(],"tools":[)" + chat_tool("a") + "]}",
      R"({"messages":[)" + good + R"(],"tools":[)" + chat_tool("a") + "," + chat_tool("a") + "]}",
      R"({"messages":[)" + good + R"(],"tools":{}})",
      R"({"messages":[)" + good + R"(],"tools":[1]})",
      R"({"messages":[)" + good + R"(],"tools":[}]})",
      R"({"messages":[)" + good + R"(,]})",
      R"({"messages":[)" + good + "5]}",
      R"({"messages":[)" + good + ".5]}",
      R"({"messages":[)" + good + good + "]}",
      R"({"messages":[)" + good + "] junk}",
      R"({"messages":[)" + good + "]} junk",
      R"({"messages":[)" + good + R"(],"n":1e999})",
      R"({"messages":[{"role":"user","content":"hi","x":1e999}]})",
      R"({"messages":[{"role":"user","content":"hi","content":"twice"}]})",
      R"({"messages":[{"role":"user","content":"half \ud83d a pair"}]})",
      R"({"messages":[{"role":"user","content":"half \ud83d a pair"}],"model":"\udc00"})",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"bad \xFF byte\"}]}",
      R"({"messages":[)" + good + R"(],"x":)" + deep + "}",
      R"({"messages":[{"role":"user","content":"hi","x":)" + nearly_deep + "}]}",
      R"({"messages":[{"role":"user","content":"hi","x":[)" + nearly_deep + "]}]}",
      R"({"messages":[{"role":"user"}]})",
      R"({"messages":[)" + good + R"(,{"role":"nobody","content":"hi"}]})",
      R"({"messages":[)" + good + R"(,{"role":"user","content":7}]})",
      R"({"messages":[[)" + good + "],[" + good + "]]}",
      R"({"messages":[)" + good + R"(,"text"]})",
      R"({"messages":[]})",
      R"({"messages":{}})",
      R"({"messages":null})",
      R"({"messages":[)" + good + R"(],"system":[{"type":"text","text":"be good"}]})",
      R"({"messages":[)" + good + R"(],"system":[{"type":"text","text":7}]})",
      R"({"messages":[)" + good + R"(],"system":[{"type":"text",]})",
      R"({"messages":[)" + good + R"(],"system":"be good"})",
      std::string("\xEF\xBB\xBF") + R"({"messages":[)" + good + "]}",
      R"({"messages":[)" + good + "]",
      std::string("[]"),
      std::string(),
  };
  for (const std::string& body : bodies) expect_same_everywhere(body, memory);
}

// The same block shows a definition in one conversation, a pointer to it in another, and nothing in a third.
TEST(RequestBody, WhatShowsAToolIsReadAnew) {
  TextMemory memory(limits::kRequestMemoryBytes);
  const std::string shows = R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[)"
                            R"({"type":"tool_reference","tool_name":"late"}]}]})";
  for (const std::string& tools : {anthropic_tool("a"), anthropic_tool("late", true), anthropic_tool("late")}) {
    for (const std::string& messages : {shows, shows + "," + shows})
      expect_same_everywhere(fmt::format(R"({{"tools":[{}],"messages":[{}]}})", tools, messages), memory);
  }
}

TEST(RequestBody, ResponsesReadAndRepeatTheSameWithAMemory) {
  TextMemory memory(limits::kRequestMemoryBytes);
  const std::string tools = R"([{"type":"function","name":"a","parameters":{"type":"object","x":1.50}}])";
  const std::string call = R"({"type":"function_call","call_id":"c","name":"a","arguments":"{}"})";
  const std::string result = R"({"type":"function_call_output","call_id":"c","output":"ok \ud83d half"})";
  for (const std::string& input : {std::string(R"("hello")"), "[" + call + "," + result + "]", "[" + call + "]",
                                   "[" + result + ", {} ]", "[" + call + ",7]", std::string("[]"), "[" + call + ",]"}) {
    const std::string body = fmt::format(R"({{"input":{},"tools":{},"store":true}})", input, tools);
    for (int time = 0; time < 2; ++time) {
      const auto fresh = responses_of(body, nullptr);
      const auto remembered = responses_of(body, &memory);
      expect_same(fresh.map([](const auto& request) { return request.chat; }),
                  remembered.map([](const auto& request) { return request.chat; }), body);
      if (!fresh || !remembered) continue;
      EXPECT_EQ(fresh->echo, remembered->echo);
      ASSERT_EQ(fresh->items.size(), remembered->items.size());
      for (std::size_t i = 0; i < fresh->items.size(); ++i) EXPECT_EQ(*fresh->items[i], *remembered->items[i]);
      EXPECT_EQ(fresh->names, remembered->names);
    }
  }
}

// Small values take many times their text.
TEST(RequestBody, WhatIsKeptOfItemsIsCountedByWhatItTakes) {
  const std::size_t count = 10'000;
  struct Case {
    std::string element;
    std::size_t bytes_min;  // of one, with its place in the list
  };
  for (const Case& one :
       {Case{"1", 16}, Case{"[]", 16 + 24}, Case{R"({"a":1})", 16 + 24 + 48}, Case{R"("b")", 16 + 32}}) {
    std::string list;
    for (std::size_t i = 0; i < count; ++i) list += (i > 0 ? "," : "") + one.element;
    const std::string body = fmt::format(R"({{"input":[{{"role":"user","content":"u","x":[{}]}}]}})", list);
    TextMemory memory(limits::kRequestMemoryBytes);
    ASSERT_TRUE(responses_of(body, &memory));
    EXPECT_GT(memory.bytes(), 2 * list.size() + count * one.bytes_min) << one.element;
    EXPECT_LT(memory.bytes(), 2 * list.size() + 8 * count * one.bytes_min) << one.element;
  }
}

std::string random_message(std::mt19937& random) {
  static const std::string texts[] = {
      R"({"role":"user","content":"hello \"you\" \\ there"})",
      R"({"role":"assistant","content":"yes, [brackets] {here}"})",
      R"({"role":"assistant","content":[{"type":"text","text":"a"},{"type":"tool_use","id":"c1","name":"a","input":{"x":[1,2.50,{}]}}]})",
      R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"ok","is_error":true},{"type":"text","text":"and?"}]})",
      R"({"role":"assistant","content":null,"tool_calls":[{"id":"c2","type":"function","function":{"name":"a","arguments":"{\"x\": 1}"}}]})",
      R"({"role":"tool","tool_call_id":"c2","content":"done"})",
      R"({"role":"system","content":"mind"})",
      R"({"role":"user","content":[{"type":"image"}]})"};
  return texts[random() % std::size(texts)];
}

// Conversations that grow, fork and are cut, from several threads at once, in a memory too small for them.
TEST(RequestBody, ConversationsReadTheSameWhateverCameBefore) {
  TextMemory memory(20'000);
  std::vector<std::jthread> threads;
  for (std::uint32_t thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&memory, thread] {
      std::mt19937 random(thread);
      std::vector<std::string> messages = {random_message(random)};
      for (int i = 0; i < 300; ++i) {
        if (random() % 5 == 0) messages.resize(1 + random() % messages.size());
        if (random() % 5 == 0) messages[random() % messages.size()] = random_message(random);
        if (messages.size() < 30) messages.push_back(random_message(random));
        const std::string tools = random() % 2 == 0 ? chat_tool("a") : anthropic_tool("a");
        const std::string body = fmt::format(R"({{"tools":[{}],"messages":[{}]}})", tools,
                                             fmt::join(messages, random() % 2 == 0 ? "," : " ,\n"));
        expect_same_everywhere(body, memory);
      }
    });
  }
  threads.clear();
  EXPECT_LE(memory.bytes(), 20'000u);
}

}  // namespace
}  // namespace kvern::api
