#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/anthropic_messages.h"
#include "api/test_json.h"
#include "base/json.h"

namespace kvern::api {
namespace {

using testing::parsed;

ResponseHead head() { return {"msg_1", "model \"m\"", 1700000000}; }

Usage usage() {
  Usage usage;
  usage.prompt_tokens = 100;
  usage.reused_device_tokens = 60;
  usage.reused_memory_tokens = 10;
  usage.completion_tokens = 7;
  return usage;
}

struct End {
  FinishReason reason = FinishReason::stop;
  std::string stop = {};
};

std::vector<Frame> stream(const std::vector<Event>& events, const End& end = {}, Shown shown = Shown::content) {
  MessagesEncoder encoder(head(), shown);
  std::vector<Frame> frames;
  encoder.start(frames);
  for (const Event& event : events) encoder.events(0, std::span(&event, 1), {}, frames);
  encoder.ending(0, end.reason, end.stop, frames);
  encoder.done(usage(), frames);
  return frames;
}

Json whole(const std::vector<Event>& events, const End& end = {}, Shown shown = Shown::content) {
  Choice choice;
  for (const Event& event : events) collect(choice, event);
  choice.reason = end.reason;
  choice.stop = end.stop;
  return parsed(MessagesEncoder(head(), shown).whole(std::span(&choice, 1), usage()));
}

void take_delta(Json& block, std::string& input, const Json& delta) {
  const std::string type = delta.at("type");
  if (type == "text_delta") block["text"] = block["text"].get<std::string>() + delta.at("text").get<std::string>();
  if (type == "thinking_delta")
    block["thinking"] = block["thinking"].get<std::string>() + delta.at("thinking").get<std::string>();
  if (type == "signature_delta") block["signature"] = delta.at("signature");
  if (type == "input_json_delta") input += delta.at("partial_json").get<std::string>();
}

// The message an SDK has after the stream, which is checked to be in order on the way.
Json received(const std::vector<Frame>& frames) {
  Json message;
  bool open = false;
  std::string input;
  for (const Frame& frame : frames) {
    const Json event = parsed(frame.data);
    EXPECT_EQ(event.at("type"), frame.event);
    EXPECT_EQ(frame.data.find_first_of("\r\n"), std::string::npos);
    if (frame.event == "message_start") message = event.at("message");
    Json& content = message["content"];
    if (frame.event == "content_block_start") {
      EXPECT_FALSE(open) << "one block after another";
      EXPECT_EQ(event.at("index"), content.size());
      open = true;
      input.clear();
      content.push_back(event.at("content_block"));
    } else if (frame.event == "content_block_delta") {
      EXPECT_TRUE(open);
      take_delta(content.back(), input, event.at("delta"));
    } else if (frame.event == "content_block_stop") {
      EXPECT_TRUE(open);
      open = false;
      if (!input.empty()) content.back()["input"] = parsed(input);
    } else if (frame.event == "message_delta") {
      message.update(event.at("delta"));
      message["usage"].update(event.at("usage"));
    }
  }
  EXPECT_FALSE(open);
  EXPECT_EQ(frames.back().event, "message_stop");
  return message;
}

const std::vector<Event> kTurn = {ReasoningEvent{"\n"},
                                  ReasoningEvent{"h\"m"},
                                  TextEvent{"\n\n"},
                                  TextEvent{"a\n"},
                                  CallStartEvent{0, "t1", "run"},
                                  CallArgsEvent{0, "{\"x\": "},
                                  CallArgsEvent{0, "1.50}"},
                                  CallEndEvent{0},
                                  TextEvent{"\n"},
                                  CallStartEvent{1, "t2", "stop"},
                                  CallEndEvent{1}};

// The exact bytes: what the SDKs and Claude Code were tested against.
TEST(MessagesStream, ATurnIsItsBlocksOneAfterAnother) {
  const std::string signature = whole(kTurn).at("content").at(0).at("signature");
  EXPECT_EQ(signature.size(), 64U);
  const std::vector<std::string> expected = {
      R"({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"model \"m\"",)"
      R"("content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,)"
      R"("cache_read_input_tokens":0,"output_tokens":0}}})",
      R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}})",
      R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"\nh\"m"}})",
      R"({"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":")" + signature +
          R"("}})",
      R"({"type":"content_block_stop","index":0})",
      R"({"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}})",
      R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"\n\na\n"}})",
      R"({"type":"content_block_stop","index":1})",
      R"({"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t1","name":"run","input":{}}})",
      R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"x\": "}})",
      R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1.50}"}})",
      R"({"type":"content_block_stop","index":2})",
      R"({"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"t2","name":"stop","input":{}}})",
      R"({"type":"content_block_stop","index":3})",
  };
  const std::vector<Frame> frames = stream(kTurn);
  ASSERT_EQ(frames.size(), expected.size() + 2);
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(frames[i].data, expected[i]);
  const Json end = parsed(frames[frames.size() - 2].data);
  EXPECT_EQ(end.at("delta"), (Json{{"stop_reason", "tool_use"}, {"stop_sequence", nullptr}}));
  EXPECT_EQ(end.at("usage").at("input_tokens"), 30);
  EXPECT_EQ(end.at("usage").at("cache_read_input_tokens"), 70);
  EXPECT_EQ(end.at("usage").at("cache_creation_input_tokens"), 0);
  EXPECT_EQ(end.at("usage").at("output_tokens"), 7);
  EXPECT_EQ(end.at("usage").at("kvern").at("reused_device_tokens"), 60);
}

TEST(MessagesStream, TheWholeMessageIsWhatTheStreamCollectsTo) {
  const std::vector<std::vector<Event>> turns = {
      kTurn,
      {},
      {TextEvent{" \n"}},
      {TextEvent{"a"}, ReasoningEvent{"b"}, TextEvent{"c"}, ReasoningEvent{"d"}, ReasoningEvent{"e"}},
      {ReasoningEvent{"a"}, TextEvent{"\n"}, ReasoningEvent{"b"}},
      {TextEvent{"\xFF broken \x01"}},
      {CallStartEvent{0, "t", "n"}, CallArgsEvent{0, "{\"k\": \"\\u00e9\"}"}, CallEndEvent{0}, TextEvent{"after"}},
  };
  for (std::size_t i = 0; i < turns.size(); ++i) EXPECT_EQ(received(stream(turns[i])), whole(turns[i])) << i;
}

TEST(MessagesStream, TheStopReasonSaysWhyATurnEnded) {
  struct Case {
    std::vector<Event> events;
    End end;
    const char* word;
    Json stop;
  };
  const std::vector<Event> text = {TextEvent{"a"}};
  for (const Case& c : std::initializer_list<Case>{{text, {}, "end_turn", nullptr},
                                                   {text, {FinishReason::length}, "max_tokens", nullptr},
                                                   {text, {FinishReason::stop, "</b>"}, "stop_sequence", "</b>"},
                                                   {kTurn, {}, "tool_use", nullptr},
                                                   {kTurn, {FinishReason::length}, "max_tokens", nullptr}}) {
    for (const Json& message : {received(stream(c.events, c.end)), whole(c.events, c.end)}) {
      EXPECT_EQ(message.at("stop_reason"), c.word);
      EXPECT_EQ(message.at("stop_sequence"), c.stop) << c.word;
    }
  }
}

// There is no object to give; nothing that was generated is hidden all the same.
TEST(MessagesResponse, ACallThatWasCutKeepsItsText) {
  const Json message =
      whole({CallStartEvent{0, "t", "run"}, CallArgsEvent{0, "{\"path\": \"a"}}, {FinishReason::length});
  EXPECT_EQ(message.at("content").at(0), Json({{"type", "tool_use"},
                                               {"id", "t"},
                                               {"name", "run"},
                                               {"input", Json::object()},
                                               {"unparsed_input", "{\"path\": \"a"}}));
}

TEST(MessagesResponse, NumbersStayAsTheModelWroteThem) {
  Choice choice;
  for (const Event& event : kTurn) collect(choice, event);
  const std::string body = MessagesEncoder(head()).whole(std::span(&choice, 1), usage());
  EXPECT_NE(body.find("\"input\":{\"x\": 1.50}"), std::string::npos) << body;
}

TEST(MessagesResponse, WhatWasOnlyToBeComputedIsNotShown) {
  const End end{FinishReason::length};
  for (const Json& message :
       {received(stream({TextEvent{"a"}}, end, Shown::nothing)), whole({TextEvent{"a"}}, end, Shown::nothing)}) {
    EXPECT_EQ(message.at("content"), Json::array());
    EXPECT_EQ(message.at("usage").at("output_tokens"), 0);
    EXPECT_EQ(message.at("stop_reason"), "max_tokens");
  }
}

TEST(MessagesStream, AFailureIsAnErrorEvent) {
  MessagesEncoder encoder(head());
  std::vector<Frame> frames;
  encoder.start(frames);
  encoder.failed({Code::failed, "out of memory", ""}, frames);
  ASSERT_EQ(frames.back().event, "error");
  const Json error = parsed(frames.back().data);
  EXPECT_EQ(error.at("type"), "error");
  EXPECT_EQ(error.at("error"), (Json{{"type", "api_error"}, {"message", "out of memory"}}));
}

TEST(MessagesResponse, ATokenCountIsOneNumber) { EXPECT_EQ(encode_token_count(17), R"({"input_tokens":17})"); }

}  // namespace
}  // namespace kvern::api
