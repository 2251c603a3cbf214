#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "api/openai_responses.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

class Stored final : public StoredItems {
 public:
  std::optional<std::vector<ItemText>> conversation(std::string_view id) const override {
    const auto found = conversations.find(std::string(id));
    return found == conversations.end() ? std::nullopt : std::optional(found->second);
  }
  ItemText item(std::string_view id) const override {
    const auto found = items.find(std::string(id));
    return found == items.end() ? nullptr : found->second;
  }

  std::map<std::string, std::vector<ItemText>> conversations;
  std::map<std::string, ItemText> items;
};

ItemText text(std::string json) { return std::make_shared<const std::string>(std::move(json)); }

Result<ResponsesRequest> parse(std::string_view items, std::string_view fields = "", const Stored& stored = {}) {
  return parse_responses_request(fmt::format(R"({{"input":{}{}{}}})", items, fields.empty() ? "" : ",", fields),
                                 stored);
}

// One line a message: "user: words", "assistant(reasoning): words [name id args]".
std::string shown(const Result<ResponsesRequest>& request) {
  if (!request) return request.error().field + ": " + request.error().message;
  std::string out;
  for (const Message& message : request->chat.messages) {
    out += to_string(message.role);
    if (!message.reasoning.empty()) out += "(" + message.reasoning + ")";
    if (!message.tool_call_id.empty()) out += "<" + message.tool_call_id + ">";
    out += ": " + message.content;
    for (const ToolCall& call : message.tool_calls)
      out += fmt::format(" [{} {} {}]", call.name, call.id, call.arguments);
    out += '\n';
  }
  return out;
}

constexpr const char* kTagA = "AAAAAAAAAAAAAAAAAAAAAAAA";
constexpr const char* kTagB = "BBBBBBBBBBBBBBBBBBBBBBBB";

std::string call(std::string_view id, std::string_view arguments = "{}", std::string_view tag = "") {
  const std::string item = tag.empty() ? "" : fmt::format(R"("id":"fc_{}_0",)", tag);
  return fmt::format(R"({{{}"type":"function_call","call_id":"{}","name":"f","arguments":"{}"}})", item, id, arguments);
}

std::string result(std::string_view id, std::string_view words) {
  return fmt::format(R"({{"type":"function_call_output","call_id":"{}","output":"{}"}})", id, words);
}

constexpr const char* kUser = R"({"role":"user","content":"u"})";

TEST(ResponsesRequest, AStringIsAUsersMessage) {
  EXPECT_EQ(shown(parse(R"("Hi")")), "user: Hi\n");
  EXPECT_EQ(shown(parse(R"("")")), "user: \n");
  EXPECT_EQ(shown(parse(R"("Hi")", R"("instructions":"Be kind.")")), "system: Be kind.\nuser: Hi\n");
}

TEST(ResponsesRequest, AStringAndOnePartAreTheSame) {
  const std::string expected = "system: s\nuser: uv\nassistant: a\n";
  EXPECT_EQ(shown(parse(R"([{"role":"developer","content":"s"},{"role":"user","content":"uv"},
                            {"role":"assistant","content":"a"}])")),
            expected);
  EXPECT_EQ(shown(parse(R"([{"type":"message","role":"system","content":[{"type":"input_text","text":"s"}]},
      {"type":"message","role":"user","content":[{"type":"input_text","text":"u"},{"type":"input_text","text":"v"}]},
      {"type":"message","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[]}]}])")),
            expected);
}

TEST(ResponsesRequest, NeighbouringItemsOfAnAssistantAreOneTurn) {
  EXPECT_EQ(shown(parse(fmt::format(R"([{},{{"type":"reasoning","content":[{{"type":"reasoning_text","text":"r"}}]}},
      {{"role":"assistant","content":"a"}},{},{},{},{},{}])",
                                    kUser, call("c1"), call("c2"), result("c1", "1"), result("c2", "2"), call("c3")))),
            "user: u\nassistant(r): a [f c1 {}] [f c2 {}]\ntool<c1>: 1\ntool<c2>: 2\nassistant:  [f c3 {}]\n");
}

TEST(ResponsesRequest, TwoMessagesInARowAreTwoTurnsUnlessTheirIdsSayOtherwise) {
  const auto two = [](std::string_view first, std::string_view second) {
    return shown(parse(fmt::format(R"([{{"id":"{}","role":"assistant","content":"a"}},
                                       {{"id":"{}","role":"assistant","content":"b"}}])",
                                   first, second)));
  };
  EXPECT_EQ(two("x", "y"), "assistant: a\nassistant: b\n");
  EXPECT_EQ(two(fmt::format("msg_{}_0", kTagA), fmt::format("msg_{}_2", kTagA)), "assistant: ab\n");
  EXPECT_EQ(two(fmt::format("msg_{}_0", kTagA), fmt::format("msg_{}_0", kTagB)), "assistant: a\nassistant: b\n");
}

TEST(ResponsesRequest, ResultsMayStandBetweenTheCallsOfOneAnswer) {
  EXPECT_EQ(shown(parse(fmt::format("[{},{},{},{}]", call("c1", "{}", kTagA), result("c1", "1"),
                                    call("c2", "{}", kTagA), result("c2", "2")))),
            "assistant:  [f c1 {}] [f c2 {}]\ntool<c1>: 1\ntool<c2>: 2\n");
  EXPECT_EQ(shown(parse(fmt::format("[{},{},{},{}]", call("c1"), result("c1", "1"), call("c2"), result("c2", "2")))),
            "assistant:  [f c1 {}]\ntool<c1>: 1\nassistant:  [f c2 {}]\ntool<c2>: 2\n");
}

TEST(ResponsesRequest, ACallToldTwiceIsOneCallWithOneResult) {
  const std::string once = "assistant:  [f c1 {'a':1}]\ntool<c1>: good\n";
  const std::string full = call("c1", "{'a':1}");
  const std::string good = result("c1", "good");
  const std::string bad = result("c1", "bad");
  EXPECT_EQ(shown(parse(fmt::format("[{},{},{},{}]", full, call("c1"), good, bad))), once);
  EXPECT_EQ(shown(parse(fmt::format("[{},{},{},{}]", call("c1"), full, good, bad))), once);
  EXPECT_EQ(shown(parse(fmt::format("[{},{},{},{}]", full, good, call("c1"), bad))), once);
}

// Clients that number their calls anew in each turn mean different calls.
TEST(ResponsesRequest, AnIdOfAnEarlierTurnMayComeAgain) {
  EXPECT_EQ(shown(parse(fmt::format("[{},{},{},{}]", call("c1"), result("c1", "1"), call("c1"), result("c1", "2")))),
            "assistant:  [f c1 {}]\ntool<c1>: 1\nassistant:  [f c1 {}]\ntool<c1>: 2\n");
}

TEST(ResponsesRequest, AResultStandsBehindItsCallWhateverCameBetween) {
  EXPECT_EQ(shown(parse(fmt::format("[{},{},{},{}]", call("c1"), call("c2"), result("c1", "1"), kUser))),
            "assistant:  [f c1 {}] [f c2 {}]\ntool<c1>: 1\nuser: u\n");
  EXPECT_EQ(shown(parse(fmt::format("[{},{},{},{}]", call("c1"), kUser, result("c1", "1"), kUser))),
            "assistant:  [f c1 {}]\ntool<c1>: 1\nuser: u\nuser: u\n");
}

TEST(ResponsesRequest, ReasoningIsReadFromWhatIsThere) {
  const auto reasoning = [](std::string_view fields) {
    return shown(parse(fmt::format(R"([{{"type":"reasoning",{}}},{{"role":"assistant","content":"a"}}])", fields)));
  };
  const char* content = R"("content":[{"type":"reasoning_text","text":"c"}])";
  const char* summary = R"("summary":[{"type":"summary_text","text":"s"},{"type":"summary_text","text":"t"}])";
  EXPECT_EQ(reasoning(fmt::format("{},{}", summary, content)), "assistant(c): a\n");
  EXPECT_EQ(reasoning(summary), "assistant(s\n\nt): a\n");
  EXPECT_EQ(reasoning(R"("summary":[],"content":null)"), "assistant: a\n");
  EXPECT_EQ(reasoning(R"("summary":[],"encrypted_content":"gAAAA")"), "assistant: a\n");
}

TEST(ResponsesRequest, EveryKindOfCallBecomesACallOfTheTurn) {
  EXPECT_EQ(shown(parse(R"([{"type":"custom_tool_call","call_id":"c1","name":"p","input":"a\"b"},
      {"type":"local_shell_call","call_id":"c2","action":{"type":"exec","command":["ls"],"env":{},"timeout_ms":null}},
      {"type":"function_call","call_id":"c3","name":"n","namespace":"s","arguments":"{"},
      {"type":"tool_search_call","call_id":"c4","arguments":{"q":1}},
      {"type":"local_shell_call_output","id":"c2","output":"out"},
      {"type":"custom_tool_call_output","call_id":"c1","output":[{"type":"input_text","text":"x"},{"type":"input_image"}]},
      {"type":"function_call_output","call_id":"c3","output":null},
      {"type":"tool_search_output","call_id":"c4","tools":[]}])")),
            "assistant:  [p c1 {\"input\": \"a\\\"b\"}] [local_shell c2 {\"command\":[\"ls\"]}] [s__n c3 {] "
            "[tool_search c4 {\"q\":1}]\n"
            "tool<c2>: out\ntool<c1>: x\n[image left out: this model reads only text]\n\ntool<c3>: \n"
            "tool<c4>: No tools were found.\n");
}

TEST(ResponsesRequest, WhatIsUnknownIsDroppedAndTold) {
  const auto request = parse(R"(["ignored below"])");
  EXPECT_EQ(shown(request), "input[0]: expected an object, found a string");
  const auto dropped =
      parse(fmt::format(R"([{},{{"type":"web_search_call","id":"w"}},{{"type":"new_thing"}}])", kUser));
  EXPECT_EQ(shown(dropped), "user: u\n");
  EXPECT_EQ(dropped->dropped, (std::vector<std::string>{"web_search_call", "new_thing"}));
}

TEST(ResponsesRequest, AStoredConversationComesBefore) {
  Stored stored;
  stored.conversations["resp_1"] = {text(kUser), text(R"({"role":"assistant","content":"a"})")};
  stored.items["msg_1"] = text(R"({"role":"assistant","content":"kept"})");
  const auto request = parse(R"("on")", R"("previous_response_id":"resp_1","instructions":"i")", stored);
  EXPECT_EQ(shown(request), "system: i\nuser: u\nassistant: a\nuser: on\n");
  EXPECT_EQ(request->items.size(), 3U);
  EXPECT_EQ(request->items[0], stored.conversations["resp_1"][0]) << "items are shared";
  EXPECT_EQ(shown(parse(R"([{"type":"item_reference","id":"msg_1"},{"id":"msg_2"},{"role":"user","content":"u"}])", "",
                        stored)),
            "assistant: kept\nuser: u\n");
  const auto unknown = parse(R"("on")", R"("previous_response_id":"resp_2")", stored);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::not_found);
  EXPECT_EQ(unknown.error().field, "previous_response_id");
  EXPECT_TRUE(parse(R"("on")", R"("store":false)")->items.empty());
}

TEST(ResponsesRequest, TooManyItemsAreRefused) {
  std::string items = "[";
  for (std::size_t i = 0; i <= limits::kMessages; ++i) items += std::string(i > 0 ? "," : "") + kUser;
  const auto request = parse(items + "]");
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, Code::too_large);
}

TEST(ResponsesTools, AreFlattenedForThePromptAndKeepTheirNames) {
  const auto request = parse(R"("u")", R"("tools":[
      {"type":"function","name":"f","parameters":{"type":"object"}},
      {"type":"namespace","name":"s","description":"About s.","tools":[{"type":"function","name":"f","description":"Does f."}]},
      {"type":"namespace","name":"mcp__x__","tools":[{"type":"function","name":"g"}]},
      {"type":"custom","name":"p","format":{"type":"grammar","syntax":"regex","definition":"a+"}},
      {"type":"web_search"},{"type":"tool_search"},{"type":"local_shell"}])");
  ASSERT_TRUE(request) << shown(request);
  std::vector<std::string> names;
  for (const Tool& tool : request->chat.tools) names.push_back(tool.name);
  EXPECT_EQ(names, (std::vector<std::string>{"f", "s__f", "mcp__x__g", "p", "local_shell"}));
  EXPECT_EQ(request->names.at("s__f"), (CallName{CallKind::function, "f", "s"}));
  EXPECT_EQ(request->names.at("mcp__x__g"), (CallName{CallKind::function, "g", "mcp__x__"}));
  EXPECT_EQ(request->names.at("p").kind, CallKind::custom);
  EXPECT_EQ(request->chat.tools[1].description, "About s.\nDoes f.");
  EXPECT_EQ(request->chat.tools[3].input.syntax, TextSyntax::regex);
}

TEST(ResponsesTools, WhoseJoinedNamesAreEqualAreToldApart) {
  const auto request =
      parse(fmt::format(R"([{{"type":"function_call","call_id":"c","name":"b","namespace":"a"}},{}])", kUser),
            R"("tools":[{"type":"function","name":"a__b"},
      {"type":"namespace","name":"a","tools":[{"type":"function","name":"b"}]}])");
  ASSERT_TRUE(request) << shown(request);
  EXPECT_EQ(request->names.at("a__b"), (CallName{CallKind::function, "a__b"}));
  EXPECT_EQ(request->names.at("a__b_2"), (CallName{CallKind::function, "b", "a"}));
  EXPECT_EQ(shown(request), "assistant:  [a__b_2 c {}]\nuser: u\n");
}

TEST(ResponsesTools, WithLongNamesHaveNamesThatAreShortEnough) {
  const std::string space(100, 's');
  const auto request = parse(R"("u")", fmt::format(R"("tools":[{{"type":"namespace","name":"{}","tools":[
      {{"type":"function","name":"{}"}},{{"type":"function","name":"{}b"}}]}}])",
                                                   space, std::string(100, 'a'), std::string(99, 'a')));
  ASSERT_TRUE(request) << shown(request);
  for (const Tool& tool : request->chat.tools) EXPECT_EQ(tool.name.size(), limits::kToolNameBytes);
  EXPECT_NE(request->chat.tools[0].name, request->chat.tools[1].name);
}

TEST(ResponsesTools, ThatAreLoadedOnTheWayAreCallableButNotListed) {
  const std::string_view search =
      R"("tools":[{"type":"tool_search","execution":"client","parameters":{"type":"object"}},
                  {"type":"function","name":"later","defer_loading":true}])";
  const auto request = parse(fmt::format(R"([{},{{"type":"tool_search_call","call_id":"c","arguments":{{}}}},
      {{"type":"tool_search_output","call_id":"c","tools":[{{"type":"function","name":"g"}},{{"type":"function"}},7]}},
      {{"type":"additional_tools","role":"developer","tools":[{{"type":"custom","name":"h"}}]}}])",
                                         kUser),
                             search);
  ASSERT_TRUE(request) << shown(request);
  std::map<std::string, bool> deferred;
  for (const Tool& tool : request->chat.tools) deferred[tool.name] = tool.deferred;
  EXPECT_EQ(deferred, (std::map<std::string, bool>{{"g", true}, {"h", true}, {"later", true}, {"tool_search", false}}));
  EXPECT_NE(request->chat.messages[2].content.find(R"({"name":"g","description":"","parameters":{}})"),
            std::string::npos);
  EXPECT_EQ(request->chat.messages[3].role, Role::system);
}

TEST(ResponsesTools, AChoiceNamesThemByTheirOwnNames) {
  const std::string_view tools = R"("tools":[{"type":"namespace","name":"s","tools":[{"type":"function","name":"f"}]},
      {"type":"custom","name":"p"},{"type":"function","name":"g"}])";
  const auto choice = [&](std::string_view json) {
    const auto request = parse(R"("u")", fmt::format(R"({},"tool_choice":{})", tools, json));
    EXPECT_TRUE(request) << shown(request);
    return request ? request->chat.tool_choice : ToolChoice{};
  };
  EXPECT_EQ(choice(R"({"type":"function","name":"f","namespace":"s"})").name, "s__f");
  EXPECT_EQ(choice(R"({"type":"custom","name":"p"})").name, "p");
  EXPECT_EQ(choice(R"("none")").use, ToolUse::none);
  EXPECT_EQ(choice(R"({"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f","namespace":"s"},
                       {"type":"mcp","server_label":"x"}]})")
                .allowed,
            std::vector<std::string>{"s__f"});
}

}  // namespace
}  // namespace kvern::api
