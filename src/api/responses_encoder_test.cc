#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "api/openai_responses.h"
#include "api/response_items_page.h"
#include "api/test_json.h"
#include "base/json.h"

namespace kvern::api {
namespace {

using testing::parsed;

constexpr const char* kTag = "TTTTTTTTTTTTTTTTTTTTTTTT";

ResponsesHead head() {
  ResponsesHead head;
  head.tag = kTag;
  head.model = "model \"m\"";
  head.created_s = 1700000000;
  head.echo = R"("tools":[])";
  head.names = {{"run", {CallKind::function, "run"}},
                {"s__close", {CallKind::function, "close", "s"}},
                {"patch", {CallKind::custom, "patch"}},
                {"find", {CallKind::tool_search, "tool_search"}},
                {"sh", {CallKind::local_shell, "local_shell"}}};
  head.seals_reasoning = true;
  return head;
}

Usage usage() {
  Usage usage;
  usage.prompt_tokens = 10;
  usage.reused_device_tokens = 7;
  usage.completion_tokens = 5;
  usage.reasoning_tokens = 2;
  return usage;
}

std::vector<Frame> streamed(const std::vector<Event>& events, FinishReason reason, std::size_t batch = 1) {
  ResponsesEncoder encoder(head());
  std::vector<Frame> frames;
  encoder.start(frames);
  for (std::size_t i = 0; i < events.size(); i += batch)
    encoder.events(0, std::span(events).subspan(i, std::min(batch, events.size() - i)), {}, frames);
  encoder.ending(0, reason, "", frames);
  encoder.done(usage(), frames);
  return frames;
}

// What a client has put together of a stream; every rule of the format is checked on the way.
Json received(const std::vector<Frame>& frames) {
  Json items = Json::array();
  std::string text;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(frames[i].data.find_first_of("\r\n"), std::string::npos);
    const Json event = parsed(frames[i].data);
    EXPECT_EQ(event.at("type"), frames[i].event);
    EXPECT_EQ(event.at("sequence_number"), i);
    if (event.contains("response")) continue;
    const std::string type = event.at("type");
    if (type == "response.output_item.added") {
      EXPECT_EQ(event.at("output_index"), items.size());
      items.push_back(event.at("item"));
      text.clear();
      continue;
    }
    EXPECT_EQ(event.at("output_index"), items.size() - 1);
    Json& item = items.back();
    if (type == "response.output_item.done") {
      EXPECT_EQ(event.at("item").at("id"), item.at("id"));
      item = event.at("item");
      continue;
    }
    EXPECT_EQ(event.at("item_id"), item.at("id"));
    EXPECT_EQ(event.contains("content_index"), item.contains("content")) << type;
    if (event.contains("delta")) text += event.at("delta").get<std::string>();
    for (const char* whole : {"text", "arguments", "input"})
      EXPECT_EQ(event.contains(whole) ? event.at(whole) : Json(text), text) << type;
  }
  return items;
}

Choice collected(const std::vector<Event>& events, FinishReason reason) {
  Choice choice;
  for (const Event& event : events) collect(choice, event);
  choice.reason = reason;
  return choice;
}

void expect_whole_is_stream(const std::vector<Event>& events, FinishReason reason) {
  const std::vector<Frame> frames = streamed(events, reason);
  const Choice choice = collected(events, reason);
  ResponsesEncoder encoder(head());
  const std::string whole = encoder.whole(std::span(&choice, 1), usage());
  const Json last = parsed(frames.back().data);
  EXPECT_EQ(last.at("response"), parsed(whole));
  EXPECT_EQ(received(frames), last.at("response").at("output"));
  EXPECT_EQ(received(streamed(events, reason, 3)), last.at("response").at("output"));
  Json items = Json::array();
  for (const ItemText& item : encoder.items()) items.push_back(parsed(*item));
  EXPECT_EQ(items, last.at("response").at("output"));
}

TEST(ResponsesStream, ATurnsEventsAreTheseBytes) {
  const std::vector<Frame> frames =
      streamed({TextEvent{"a\n"}, CallStartEvent{0, "call_1", "s__close"}, CallArgsEvent{0, "{}"}, CallEndEvent{0}},
               FinishReason::stop);
  const std::vector<std::string> expected = {
      R"({"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"msg_T_0","type":"message","status":"in_progress","role":"assistant","content":[]}})",
      R"({"type":"response.content_part.added","sequence_number":3,"item_id":"msg_T_0","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}})",
      R"({"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_T_0","output_index":0,"content_index":0,"delta":"a\n","logprobs":[]})",
      R"({"type":"response.output_text.done","sequence_number":5,"item_id":"msg_T_0","output_index":0,"content_index":0,"text":"a\n","logprobs":[]})",
      R"({"type":"response.content_part.done","sequence_number":6,"item_id":"msg_T_0","output_index":0,"content_index":0,"part":{"type":"output_text","text":"a\n","annotations":[],"logprobs":[]}})",
      R"({"type":"response.output_item.done","sequence_number":7,"output_index":0,"item":{"id":"msg_T_0","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"a\n","annotations":[],"logprobs":[]}]}})",
      R"({"type":"response.output_item.added","sequence_number":8,"output_index":1,"item":{"id":"fc_T_1","type":"function_call","status":"in_progress","call_id":"call_1","name":"close","namespace":"s","arguments":""}})",
      R"({"type":"response.function_call_arguments.delta","sequence_number":9,"item_id":"fc_T_1","output_index":1,"delta":"{}"})",
      R"({"type":"response.function_call_arguments.done","sequence_number":10,"item_id":"fc_T_1","output_index":1,"name":"close","arguments":"{}"})",
      R"({"type":"response.output_item.done","sequence_number":11,"output_index":1,"item":{"id":"fc_T_1","type":"function_call","status":"completed","call_id":"call_1","name":"close","namespace":"s","arguments":"{}"}})",
  };
  ASSERT_EQ(frames.size(), expected.size() + 3);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    std::string line = expected[i];
    for (std::size_t at = line.find("_T_"); at != std::string::npos; at = line.find("_T_", at + 1))
      line.replace(at + 1, 1, kTag);
    EXPECT_EQ(frames[i + 2].data, line);
  }
  EXPECT_EQ(frames.back().event, "response.completed");
}

TEST(ResponsesStream, AWholeAnswerIsTheCollectedStream) {
  expect_whole_is_stream({}, FinishReason::stop);
  expect_whole_is_stream({TextEvent{""}}, FinishReason::stop);
  expect_whole_is_stream({ReasoningEvent{"r"}, TextEvent{"t"}}, FinishReason::length);
  expect_whole_is_stream({CallStartEvent{0, "c", "run"}, CallArgsEvent{0, "{\"a"}}, FinishReason::length);
  expect_whole_is_stream({CallStartEvent{0, "c", "run"}, CallEndEvent{0}}, FinishReason::length);
}

TEST(ResponsesStream, AndSoIsOneOfAnyEventsInAnyOrder) {
  std::mt19937 random(7);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const std::vector<std::string> names = {"run", "s__close", "patch", "find", "sh", "unknown"};
  const std::vector<std::string> pieces = {"{\"input\": \"a", "\\n🦊\"}", "{}", "{\"command\":[\"ls\"]}", "\"", "x"};
  for (int round = 0; round < 300; ++round) {
    std::vector<Event> events;
    std::int32_t calls = 0;
    for (int i = pick(8); i > 0; --i) {
      switch (pick(3)) {
        case 0: events.emplace_back(TextEvent{pieces[static_cast<std::size_t>(pick(6))]}); break;
        case 1: events.emplace_back(ReasoningEvent{pieces[static_cast<std::size_t>(pick(6))]}); break;
        default:
          events.emplace_back(
              CallStartEvent{calls, fmt::format("c{}", calls), names[static_cast<std::size_t>(pick(6))]});
          for (int n = pick(3); n > 0; --n)
            events.emplace_back(CallArgsEvent{calls, pieces[static_cast<std::size_t>(pick(6))]});
          if (i > 1 || pick(2) == 0) events.emplace_back(CallEndEvent{calls});
          ++calls;
      }
    }
    expect_whole_is_stream(events, pick(2) == 0 ? FinishReason::stop : FinishReason::length);
  }
}

TEST(ResponsesStream, CallsAreTheItemsOfTheirTools) {
  const Choice choice =
      collected({CallStartEvent{0, "c0", "patch"}, CallArgsEvent{0, R"({"input": "a\nb"})"}, CallEndEvent{0},
                 CallStartEvent{1, "c1", "find"}, CallArgsEvent{1, R"({"q":1})"}, CallEndEvent{1},
                 CallStartEvent{2, "c2", "sh"}, CallArgsEvent{2, R"({"command":["ls"],"timeout_ms":5})"},
                 CallEndEvent{2}, CallStartEvent{3, "c3", "sh"}, CallArgsEvent{3, R"({"comm)"}},
                FinishReason::length);
  ResponsesEncoder encoder(head());
  const Json response = parsed(encoder.whole(std::span(&choice, 1), usage()));
  const Json& output = response.at("output");
  EXPECT_EQ(output[0].at("type"), "custom_tool_call");
  EXPECT_EQ(output[0].at("input"), "a\nb");
  EXPECT_EQ(output[1].at("type"), "tool_search_call");
  EXPECT_EQ(output[1].at("arguments"), Json({{"q", 1}}));
  EXPECT_EQ(output[2].at("action").at("command"), Json::array({"ls"}));
  EXPECT_EQ(output[3].at("action").at("command"), Json::array());
  EXPECT_EQ(output[3].at("status"), "incomplete");
  EXPECT_EQ(response.at("status"), "incomplete");
  EXPECT_EQ(response.at("incomplete_details").at("reason"), "max_output_tokens");
}

TEST(ResponsesStream, AFailureSaysWhatClientsActOn) {
  const auto failed = [](Code code) {
    ResponsesEncoder encoder(head());
    std::vector<Frame> frames;
    encoder.start(frames);
    const std::vector<Event> events = {TextEvent{"half"}};
    encoder.events(0, events, {}, frames);
    encoder.failed({code, "why \"so\"", ""}, frames);
    EXPECT_EQ(received(frames)[0].at("status"), "incomplete");
    EXPECT_EQ(frames.back().event, "response.failed");
    return parsed(frames.back().data).at("response");
  };
  EXPECT_EQ(failed(Code::too_long).at("error").at("code"), "context_length_exceeded");
  const Json response = failed(Code::failed);
  EXPECT_EQ(response.at("error"), Json({{"code", "server_error"}, {"message", "why \"so\""}}));
  EXPECT_EQ(response.at("status"), "failed");
}

// A server that goes down must not make half an answer look like one.
TEST(ResponsesStream, AnAnswerTheServerBrokeOffHasFailed) {
  const std::vector<Frame> frames = streamed({TextEvent{"half"}}, FinishReason::cancelled);
  EXPECT_EQ(frames.back().event, "response.failed");
  const Json response = parsed(frames.back().data).at("response");
  EXPECT_EQ(response.at("status"), "failed");
  EXPECT_EQ(response.at("error").at("code"), "server_error");
  expect_whole_is_stream({TextEvent{"half"}}, FinishReason::cancelled);
}

TEST(ResponsesStream, UsageTellsCachedAndReasoningTokens) {
  const Json json = parsed(encode_responses_usage(usage()));
  EXPECT_EQ(json.at("input_tokens"), 10);
  EXPECT_EQ(json.at("input_tokens_details").at("cached_tokens"), 7);
  EXPECT_EQ(json.at("output_tokens"), 5);
  EXPECT_EQ(json.at("output_tokens_details").at("reasoning_tokens"), 2);
  EXPECT_EQ(json.at("total_tokens"), 15);
}

TEST(ResponsesIds, TellWhichAnswerAnItemIsFrom) {
  EXPECT_EQ(tag_of_item(fmt::format("msg_{}_12", kTag)), kTag);
  for (const char* id :
       {"", "msg", "msg_1", "msg_a_b", "msg_0123456789abcdef01234567", "_______________________________"})
    EXPECT_EQ(tag_of_item(id), "") << id;
}

TEST(ResponsePages, EveryFieldOfAQueryIsChecked) {
  EXPECT_EQ(query_value("limit=3&order=asc", "order"), "asc");
  EXPECT_EQ(query_value("xlimit=3", "limit"), "");
  EXPECT_EQ(query_value("", "limit"), "");
  EXPECT_EQ(parse_page_query("limit=100&order=asc&after=x")->limit, 100U);
  for (const char* query : {"limit=0", "limit=101", "limit=1x", "limit=-1", "order=up"})
    EXPECT_FALSE(parse_page_query(query)) << query;
}

}  // namespace
}  // namespace kvern::api
