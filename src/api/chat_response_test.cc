#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "api/openai_chat.h"
#include "api/test_json.h"
#include "api/test_vocab.h"
#include "base/json.h"
#include "base/utf8.h"

namespace kvern::api {
namespace {

using testing::parsed;

const ByteVocab kVocab;

ResponseHead head() { return {"chatcmpl-1", "model \"m\"", 1700000000}; }

// What a client holds of one choice after it has read all chunks.
struct Received {
  Json message = Json::object();
  Json logprobs = Json::array();
  std::string finish_reason;
};

void take_calls(Json& calls, const Json& deltas) {
  for (const Json& delta : deltas) {
    const auto index = delta.at("index").get<std::size_t>();
    if (delta.contains("id")) {
      ASSERT_EQ(index, calls.size()) << "calls begin in order";
      Json call = delta;
      call.erase("index");
      calls.push_back(call);
    } else {
      ASSERT_FALSE(delta.contains("type")) << "type is sent once";
      auto& arguments = calls.at(index).at("function").at("arguments").get_ref<std::string&>();
      arguments += delta.at("function").at("arguments").get<std::string>();
    }
  }
}

void take_chunk(Received& received, const Json& choice) {
  const Json& delta = choice.at("delta");
  for (const char* field : {"content", "reasoning_content"}) {
    if (!delta.contains(field)) continue;
    if (!received.message.contains(field)) received.message[field] = "";
    received.message[field].get_ref<std::string&>() += delta.at(field).get<std::string>();
  }
  if (delta.contains("role")) received.message["role"] = delta.at("role");
  if (delta.contains("tool_calls")) {
    if (!received.message.contains("tool_calls")) received.message["tool_calls"] = Json::array();
    take_calls(received.message["tool_calls"], delta.at("tool_calls"));
  }
  if (!choice.at("logprobs").is_null())
    for (const Json& entry : choice.at("logprobs").at("content")) received.logprobs.push_back(entry);
  if (!choice.at("finish_reason").is_null()) received.finish_reason = choice.at("finish_reason").get<std::string>();
}

// Every chunk is checked to be one line of JSON with the head's fields.
std::vector<Received> receive(const std::vector<Frame>& frames, std::size_t choices) {
  std::vector<Received> received(choices);
  EXPECT_EQ(frames.back().data, "[DONE]");
  for (std::size_t i = 0; i + 1 < frames.size(); ++i) {
    EXPECT_EQ(frames[i].data.find_first_of("\r\n"), std::string::npos);
    const Json chunk = parsed(frames[i].data);
    EXPECT_EQ(chunk.at("object"), "chat.completion.chunk");
    EXPECT_EQ(chunk.at("model"), "model \"m\"");
    for (const Json& choice : chunk.at("choices"))
      take_chunk(received.at(choice.at("index").get<std::size_t>()), choice);
  }
  return received;
}

std::vector<Frame> stream(const std::vector<Event>& events, FinishReason reason) {
  ChatEncoder encoder(head(), 1, false, kVocab);
  std::vector<Frame> frames;
  encoder.start(frames);
  encoder.events(0, events, {}, frames);
  encoder.ending(0, reason, "", frames);
  encoder.done({}, frames);
  return frames;
}

// The exact bytes of a whole turn: what SDKs and agents were tested against.
TEST(ChatStream, ATurnIsRoleReasoningTextCallsAndEnd) {
  const std::vector<Frame> frames = stream({ReasoningEvent{"hm"}, TextEvent{"a\n"}, CallStartEvent{0, "call_1", "run"},
                                            CallArgsEvent{0, "{\"x\":"}, CallArgsEvent{0, "1}"}, CallEndEvent{0}},
                                           FinishReason::stop);
  const std::vector<std::string> deltas = {
      R"({"role":"assistant","content":""})",
      R"({"reasoning_content":"hm"})",
      R"({"content":"a\n"})",
      R"({"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"run","arguments":""}}]})",
      R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]})",
      R"({"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]})",
  };
  const std::string open =
      R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"model \"m\"",)"
      R"("choices":[{"index":0,"delta":)";
  std::vector<std::string> expected;
  for (const std::string& delta : deltas)
    expected.push_back(open + delta + R"(,"logprobs":null,"finish_reason":null}]})");
  expected.push_back(open + R"({},"logprobs":null,"finish_reason":"tool_calls"}]})");
  expected.emplace_back("[DONE]");

  std::vector<std::string> data;
  for (const Frame& frame : frames) {
    EXPECT_EQ(frame.event, "");
    data.push_back(frame.data);
  }
  EXPECT_EQ(data, expected);
}

TEST(ChatStream, FinishReasonsAreWordsClientsKnow) {
  const auto last_word = [](FinishReason reason) {
    return receive(stream({TextEvent{"x"}}, reason), 1)[0].finish_reason;
  };
  EXPECT_EQ(last_word(FinishReason::stop), "stop");
  EXPECT_EQ(last_word(FinishReason::length), "length");
  EXPECT_EQ(last_word(FinishReason::tool_calls), "tool_calls");
  EXPECT_EQ(last_word(FinishReason::cancelled), "stop");
  EXPECT_EQ(last_word(FinishReason::failed), "stop");
}

TEST(ChatStream, ACallCutOffByTheLimitIsNotAFinishedCall) {
  const auto received =
      receive(stream({CallStartEvent{0, "c", "run"}, CallArgsEvent{0, "{\"cut"}}, FinishReason::length), 1);
  EXPECT_EQ(received[0].finish_reason, "length");
}

TEST(ChatStream, UsageComesInAChunkWithoutChoicesOnlyWhenAskedFor) {
  Usage usage;
  usage.prompt_tokens = 100;
  usage.reused_device_tokens = 60;
  usage.reused_memory_tokens = 30;
  usage.completion_tokens = 7;
  usage.why = ReuseStop::new_text;
  usage.ttft_us = 12500;
  ChatEncoder encoder(head(), 1, true, kVocab);
  std::vector<Frame> frames;
  encoder.done(usage, frames);
  ASSERT_EQ(frames.size(), 2U);
  const Json chunk = parsed(frames[0].data);
  EXPECT_EQ(chunk.at("choices"), Json::array());
  EXPECT_EQ(chunk.at("usage"), parsed(R"({"prompt_tokens":100,"completion_tokens":7,"total_tokens":107,
    "prompt_tokens_details":{"cached_tokens":90},
    "kvern":{"reused_device_tokens":60,"reused_memory_tokens":30,"computed_tokens":10,"why":"new_text","ttft_ms":12.5}})"));

  for (const Frame& frame : stream({TextEvent{"x"}}, FinishReason::stop))
    EXPECT_EQ(frame.data.find("usage"), std::string::npos);
}

TEST(ChatStream, ChoicesAreInterleavedUnderTheirIndices) {
  ChatEncoder encoder(head(), 2, false, kVocab);
  std::vector<Frame> frames;
  encoder.start(frames);
  encoder.events(1, std::vector<Event>{TextEvent{"one"}}, {}, frames);
  encoder.events(0, std::vector<Event>{CallStartEvent{0, "c", "f"}}, {}, frames);
  encoder.events(1, std::vector<Event>{TextEvent{" more"}}, {}, frames);
  encoder.ending(1, FinishReason::stop, "", frames);
  encoder.ending(0, FinishReason::stop, "", frames);
  encoder.done({}, frames);
  const auto received = receive(frames, 2);
  EXPECT_EQ(received[1].message.at("content"), "one more");
  EXPECT_EQ(received[1].finish_reason, "stop");
  EXPECT_EQ(received[0].finish_reason, "tool_calls");
  for (const Received& choice : received) EXPECT_EQ(choice.message.at("role"), "assistant");
}

StepLogprobs step(TokenId token, float logprob) { return {{token, logprob}, {{'a', -0.5F}, {token, logprob}}}; }

// Numbers of tokens whose text is held back, or never shown, still reach the client, once.
TEST(ChatStream, EveryStepsLogprobsArriveOnceAndInOrder) {
  ChatEncoder encoder(head(), 1, false, kVocab);
  std::vector<Frame> frames;
  encoder.start(frames);
  encoder.events(0, {}, std::vector{step(0xC3, -1)}, frames);
  encoder.events(0, std::vector<Event>{TextEvent{"\xC3\xA9"}, TextEvent{"x"}},
                 std::vector{step(0xA9, -2), step('x', -3)}, frames);
  encoder.events(0, std::vector<Event>{CallEndEvent{0}}, std::vector{step(ByteVocab::kEnd, -4)}, frames);
  encoder.ending(0, FinishReason::stop, "", frames);
  encoder.done({}, frames);
  const auto received = receive(frames, 1);
  EXPECT_EQ(received[0].message.at("content"), "\xC3\xA9x");
  ASSERT_EQ(received[0].logprobs.size(), 4U);
  EXPECT_EQ(received[0].logprobs[0].at("token"), kReplacementCharacter);
  EXPECT_EQ(received[0].logprobs[0].at("bytes"), Json({0xC3})) << "bytes are exact where text cannot be";
  EXPECT_EQ(received[0].logprobs[1].at("logprob"), -2);
  EXPECT_EQ(received[0].logprobs[2].at("token"), "x");
  EXPECT_EQ(received[0].logprobs[2].at("top_logprobs").size(), 2U);
  EXPECT_EQ(received[0].logprobs[2].at("top_logprobs")[0], parsed(R"({"token":"a","logprob":-0.5,"bytes":[97]})"));
  EXPECT_EQ(received[0].logprobs[3].at("token"), "<|end|>");
}

TEST(ChatResponse, LogprobsAreFiniteNumbers) {
  Choice choice;
  for (const float number : {-std::numeric_limits<float>::infinity(), std::nanf(""), -0.0F, -1e-30F, -1e30F})
    choice.logprobs.push_back({{'a', number}, {}});
  const Json response = parsed(encode_chat_response(head(), std::vector{choice}, {}, kVocab));
  const Json& content = response.at("choices")[0].at("logprobs").at("content");
  EXPECT_EQ(content[0].at("logprob"), -9999);
  EXPECT_EQ(content[1].at("logprob"), -9999);
  EXPECT_EQ(content[2].at("logprob"), 0);
  EXPECT_EQ(content[3].at("logprob").get<float>(), -1e-30F);
  EXPECT_EQ(content[4].at("logprob"), -9999);
}

TEST(ChatResponse, AnAnswerWithCallsOnlyHasNullContent) {
  Choice choice;
  for (const Event& event : std::vector<Event>{CallStartEvent{0, "c0", "f"}, CallArgsEvent{0, "{}"}, CallEndEvent{0},
                                               CallStartEvent{1, "c1", "g"}, CallArgsEvent{1, "{\"a\":1}"}})
    collect(choice, event);
  const Json response = parsed(encode_chat_response(head(), std::vector{choice}, {}, kVocab));
  EXPECT_EQ(response.at("object"), "chat.completion");
  EXPECT_EQ(response.at("choices")[0], parsed(R"({"index":0,"message":{"role":"assistant","content":null,"refusal":null,
    "tool_calls":[{"id":"c0","type":"function","function":{"name":"f","arguments":"{}"}},
                  {"id":"c1","type":"function","function":{"name":"g","arguments":"{\"a\":1}"}}]},
    "logprobs":null,"finish_reason":"tool_calls"})"));
  EXPECT_EQ(response.at("usage").at("total_tokens"), 0);
}

TEST(ChatStream, ACallOfACustomToolIsStreamedAsItsText) {
  ChatEncoder encoder(head(), 1, false, kVocab, {"patch"});
  std::vector<Frame> frames;
  encoder.events(0,
                 std::vector<Event>{CallStartEvent{0, "c0", "patch"}, CallArgsEvent{0, "{\"input\": \"a\\"},
                                    CallArgsEvent{0, "nb\\ud83d"}, CallArgsEvent{0, "\\ude00\"}"}, CallEndEvent{0},
                                    CallStartEvent{1, "c1", "run"}, CallArgsEvent{1, "{}"}, CallEndEvent{1}},
                 {}, frames);
  std::vector<Json> deltas;
  for (const Frame& frame : frames)
    deltas.push_back(parsed(frame.data).at("choices")[0].at("delta").at("tool_calls")[0]);
  ASSERT_EQ(deltas.size(), 6U);
  EXPECT_EQ(deltas[0], parsed(R"({"index":0,"id":"c0","type":"custom","custom":{"name":"patch","input":""}})"));
  EXPECT_EQ(deltas[1], parsed(R"({"index":0,"custom":{"input":"a"}})"));
  EXPECT_EQ(deltas[2], parsed(R"({"index":0,"custom":{"input":"\nb"}})"));
  EXPECT_EQ(deltas[3], parsed(R"({"index":0,"custom":{"input":"\ud83d\ude00"}})"));
  EXPECT_EQ(deltas[4], parsed(R"({"index":1,"id":"c1","type":"function","function":{"name":"run","arguments":""}})"));
  EXPECT_EQ(deltas[5], parsed(R"({"index":1,"function":{"arguments":"{}"}})"));
}

TEST(ChatResponse, ACallOfACustomToolHasItsText) {
  Choice choice;
  for (const Event& event :
       std::vector<Event>{CallStartEvent{0, "c0", "patch"}, CallArgsEvent{0, "{\"input\": \"a\\nb"},
                          CallStartEvent{1, "c1", "run"}, CallArgsEvent{1, "{}"}})
    collect(choice, event);
  const Json response = parsed(encode_chat_response(head(), std::vector{choice}, {}, kVocab, {"patch"}));
  EXPECT_EQ(response.at("choices")[0].at("message").at("tool_calls"),
            parsed(R"([{"id":"c0","type":"custom","custom":{"name":"patch","input":"a\nb"}},
                       {"id":"c1","type":"function","function":{"name":"run","arguments":"{}"}}])"));
}

TEST(ChatResponse, OnlyCustomToolsAreCustom) {
  std::vector<Tool> tools(3);
  tools[0].name = "z";
  tools[0].custom = true;
  tools[1].name = "b";
  tools[2].name = "a";
  tools[2].custom = true;
  EXPECT_EQ(custom_tools(tools), (CustomTools{"a", "z"}));
}

TEST(ChatResponse, TheIdInTheModelsOwnTextStaysWithItsCall) {
  Choice choice;
  for (const Event& event : std::vector<Event>{CallStartEvent{0, "c0", "f"}, CallEndEvent{0, "f:0"}})
    collect(choice, event);
  EXPECT_EQ(choice.tool_calls.at(0).written_id, "f:0");
  EXPECT_EQ(choice.tool_calls.at(0).id, "c0");
}

TEST(ChatResponse, AnEmptyAnswerIsAnEmptyString) {
  const Json response = parsed(encode_chat_response(head(), std::vector<Choice>(2), {}, kVocab));
  ASSERT_EQ(response.at("choices").size(), 2U);
  EXPECT_EQ(response.at("choices")[1].at("index"), 1);
  EXPECT_EQ(response.at("choices")[1].at("message").at("content"), "");
  EXPECT_FALSE(response.at("choices")[1].at("message").contains("reasoning_content"));
}

enum class Bytes { utf8, any };

// Short texts made of what JSON and SSE care about.
std::string random_text(std::mt19937& random, Bytes bytes) {
  static const std::vector<std::string> kPieces = {
      "a",      "\"",     "\\", "\n",       "\r",           std::string(1, '\0'),
      "\x1F",   "\x7F",   "}",  "\xC3\xA9", "\xE2\x80\xA8", "\xF0\x9F\x98\x80",
      "[DONE]", "\\u0000"};
  std::string text;
  for (auto n = random() % 6; n > 0; --n)
    text +=
        bytes == Bytes::utf8 ? kPieces[random() % kPieces.size()] : std::string(1, static_cast<char>(random() % 256));
  return text;
}

std::vector<Event> random_turn(std::mt19937& random, Bytes bytes) {
  std::vector<Event> events;
  std::int32_t calls = 0;
  for (auto n = random() % 20; n > 0; --n) {
    const std::string text = random_text(random, bytes);
    switch (random() % 5) {
      case 0: events.emplace_back(TextEvent{text}); break;
      case 1: events.emplace_back(ReasoningEvent{text}); break;
      case 2: events.emplace_back(CallStartEvent{calls++, "call_" + text, "f" + text}); break;
      case 3:
        if (calls > 0) events.emplace_back(CallArgsEvent{static_cast<std::int32_t>(random() % 64) % calls, text});
        break;
      default:
        if (calls > 0) events.emplace_back(CallEndEvent{calls - 1});
    }
  }
  return events;
}

// Streams events in random batches, as a client's speed would cut them.
std::vector<Frame> stream_in_batches(std::mt19937& random, std::span<const Event> events,
                                     std::span<const StepLogprobs> logprobs) {
  ChatEncoder encoder(head(), 1, random() % 2 == 0, kVocab);
  std::vector<Frame> frames;
  encoder.start(frames);
  while (!events.empty() || !logprobs.empty()) {
    const std::size_t some = std::min<std::size_t>(events.size(), random() % 4);
    const std::size_t steps = std::min<std::size_t>(logprobs.size(), random() % 4);
    encoder.events(0, events.first(some), logprobs.first(steps), frames);
    events = events.subspan(some);
    logprobs = logprobs.subspan(steps);
  }
  encoder.ending(0, FinishReason::stop, "", frames);
  encoder.done({}, frames);
  return frames;
}

// Streaming is a way of sending, not another answer.
TEST(ChatStream, CollectingTheDeltasGivesTheUnstreamedMessage) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    const std::vector<Event> events = random_turn(random, Bytes::utf8);
    Choice choice;
    for (const Event& event : events) collect(choice, event);
    for (auto n = random() % 8; n > 0; --n) choice.logprobs.push_back(step(static_cast<TokenId>(random() % 257), -1));

    const Json response = parsed(encode_chat_response(head(), std::vector{choice}, {}, kVocab));
    Json expected = response.at("choices")[0].at("message");
    expected.erase("refusal");
    if (expected.at("content").is_null()) expected["content"] = "";
    const Json& logprobs = response.at("choices")[0].at("logprobs");

    const auto received = receive(stream_in_batches(random, events, choice.logprobs), 1);
    // Compared as sorted documents: the order of keys is not part of the message.
    EXPECT_EQ(nlohmann::json(received[0].message), nlohmann::json(expected)) << "seed " << seed;
    EXPECT_EQ(received[0].logprobs, logprobs.is_null() ? Json::array() : logprobs.at("content")) << "seed " << seed;
    EXPECT_EQ(received[0].finish_reason, response.at("choices")[0].at("finish_reason")) << "seed " << seed;
  }
}

// The tokenizer's bytes and a client's model name go into frames; no bytes may break one.
TEST(ChatStream, EveryFrameIsOneLineOfValidJsonForAnyBytes) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    const std::vector<Event> events = random_turn(random, Bytes::any);
    ChatEncoder encoder({random_text(random, Bytes::any), random_text(random, Bytes::any), -1}, 2, true, kVocab);
    std::vector<Frame> frames;
    encoder.start(frames);
    encoder.events(1, events, std::vector{step(static_cast<TokenId>(random() % 300), -1)}, frames);
    encoder.ending(1, FinishReason::stop, "", frames);
    encoder.done({}, frames);
    ASSERT_EQ(frames.back().data, "[DONE]");
    frames.pop_back();
    for (const Frame& frame : frames) {
      EXPECT_EQ(frame.data.find_first_of("\r\n"), std::string::npos) << "seed " << seed;
      EXPECT_TRUE(parse_json(frame.data)) << "seed " << seed << ": " << frame.data;
    }
  }
}

}  // namespace
}  // namespace kvern::api
