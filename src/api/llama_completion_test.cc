#include "api/llama_completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/llama_props.h"
#include "api/test_json.h"
#include "api/test_vocab.h"
#include "base/json.h"

namespace kvern::api {
namespace {

using testing::parsed;

const ByteVocab kVocab;

Ending ending(FinishReason reason, std::string stop = {}) {
  Ending out;
  out.reason = reason;
  out.stop = std::move(stop);
  out.usage.prompt_tokens = 10;
  out.usage.reused_device_tokens = 6;
  out.usage.completion_tokens = 2;
  out.usage.queue_us = 1'000;
  out.usage.ttft_us = 5'000;
  out.usage.decode_us = 4'000;
  return out;
}

LlamaCompletionEncoder encoder(std::size_t choices = 1) {
  return {"m", {}, std::vector<std::int32_t>(choices, 10), kVocab};
}

TEST(LlamaCompletion, FieldsAreLlamaServers) {
  const auto wanted = parse_llama_completion(
      R"({"prompt":"x","n_predict":5,"stream":true,"n_probs":2,"return_tokens":true,"return_progress":true,
          "cache_prompt":true,"id_slot":3,"t_max_predict_ms":0,"samplers":["top_k"]})");
  ASSERT_TRUE(wanted) << wanted.error().message;
  EXPECT_EQ(wanted->request.prompts.at(0).text, "x");
  EXPECT_EQ(wanted->request.tokens_max, 5);
  EXPECT_EQ(wanted->request.sampling.top_logprobs, 2);
  EXPECT_TRUE(wanted->return_tokens);
  EXPECT_TRUE(wanted->progress);
  EXPECT_FALSE(parse_llama_completion(R"({"prompt":[1,2],"n_predict":-1})")->request.tokens_max);
  EXPECT_FALSE(parse_llama_completion(R"({"prompt":"x","return_progress":true})")->progress) << "not streamed";
  EXPECT_EQ(parse_llama_completion(R"({"prompt":"x","n_probs":-1})").error().field, "n_probs");
  EXPECT_EQ(parse_llama_completion("{}").error().field, "prompt");
}

TEST(LlamaCompletion, AWholeAnswerHasTheNumbersClientsRead) {
  const LlamaChoice said{"a\n", {'a', '\n'}, {}, ending(FinishReason::stop)};
  const Json answer = parsed(encoder().whole(std::span(&said, 1)));
  EXPECT_EQ(answer.at("content"), "a\n");
  EXPECT_EQ(answer.at("stop"), true);
  EXPECT_EQ(answer.at("stop_type"), "eos");
  EXPECT_EQ(answer.at("tokens_predicted"), 2);
  EXPECT_EQ(answer.at("tokens_evaluated"), 10);
  EXPECT_EQ(answer.at("tokens_cached"), 12);
  EXPECT_EQ(answer.at("has_new_line"), true);
  EXPECT_EQ(answer.at("tokens"), Json::array()) << "only when asked for";
  EXPECT_EQ(answer.at("timings").at("cache_n"), 6);
  EXPECT_EQ(answer.at("timings").at("prompt_n"), 4);
  EXPECT_EQ(answer.at("timings").at("prompt_per_second"), 1000.0);
  EXPECT_EQ(answer.at("timings").at("predicted_per_second"), 500.0);
}

TEST(LlamaCompletion, SeveralPromptsAreAList) {
  const std::vector<LlamaChoice> said = {{"a", {}, {}, ending(FinishReason::length)},
                                         {"b", {}, {}, ending(FinishReason::stop, "END")}};
  const Json answer = parsed(encoder(2).whole(said));
  ASSERT_EQ(answer.size(), 2U);
  EXPECT_EQ(answer[0].at("stop_type"), "limit");
  EXPECT_EQ(answer[1].at("index"), 1);
  EXPECT_EQ(answer[1].at("stop_type"), "word");
  EXPECT_EQ(answer[1].at("stopping_word"), "END");
}

Step step(TokenId token, std::string text) {
  Step out;
  out.token = token;
  out.text = std::move(text);
  return out;
}

TEST(LlamaCompletion, AStreamIsTokensThenTheNumbers) {
  LlamaCompletionEncoder stream = encoder();
  std::vector<Frame> frames;
  Step progress = step(-1, "");
  progress.progress = PromptProgress{10, 6, 8, 3'000};
  stream.step(0, progress, frames);
  stream.step(0, step('a', "a"), frames);
  stream.step(0, step(195, ""), frames);
  stream.step(0, step(169, "\xC3\xA9"), frames);
  stream.ending(0, ending(FinishReason::stop), frames);
  ASSERT_EQ(frames.size(), 4U) << "a token without text is told with the next";
  EXPECT_EQ(parsed(frames[0].data).at("prompt_progress"),
            parsed(R"({"total":10,"cache":6,"processed":8,"time_ms":3})"));
  EXPECT_EQ(parsed(frames[1].data), parsed(R"({"index":0,"content":"a","tokens":[97],"stop":false,"id_slot":-1,
                                               "tokens_predicted":1,"tokens_evaluated":10})"));
  EXPECT_EQ(parsed(frames[2].data).at("tokens_predicted"), 3);
  EXPECT_EQ(parsed(frames[3].data).at("stop"), true);
  EXPECT_EQ(parsed(frames[3].data).at("content"), "");
}

TEST(LlamaCompletion, ProbabilitiesNameTokensAndTheirRivals) {
  LlamaChoice said{"a", {'a'}, {{{'a', -0.5F}, {{'a', -0.5F}, {'b', -1.5F}}}}, ending(FinishReason::stop)};
  const Json steps = parsed(encoder().whole(std::span(&said, 1))).at("completion_probabilities");
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(steps[0].at("id"), 97);
  EXPECT_EQ(steps[0].at("bytes"), Json({97}));
  EXPECT_EQ(steps[0].at("top_logprobs").at(1).at("token"), "b");
}

TEST(LlamaProps, SayTheContextAndTheTemplate) {
  Props props;
  props.model.id = "m";
  props.model.context = 4096;
  props.slots = 4;
  props.chat_template = "{{ \"x\" }}";
  props.version = "0.1";
  const Json json = parsed(encode_props(props));
  EXPECT_EQ(json.at("default_generation_settings").at("n_ctx"), 4096);
  EXPECT_EQ(json.at("total_slots"), 4);
  EXPECT_EQ(json.at("chat_template"), "{{ \"x\" }}");
  EXPECT_EQ(json.at("build_info"), "kvern 0.1");
}

TEST(LlamaSlots, BusyOnesComeFirstAndFreeOnesFillUp) {
  const std::vector<Slot> busy = {{"chatcmpl-1", 100, 30, 60, 4, 10}, {"chatcmpl-2", 5, 5, 0, 0, std::nullopt}};
  const Json slots = parsed(encode_slots(busy, 3, 4096));
  ASSERT_EQ(slots.size(), 3U);
  EXPECT_EQ(slots[0].at("is_processing"), true);
  EXPECT_EQ(slots[0].at("n_prompt_tokens"), 100);
  EXPECT_EQ(slots[0].at("n_prompt_tokens_processed"), 30);
  EXPECT_EQ(slots[0].at("n_prompt_tokens_cache"), 60);
  EXPECT_EQ(slots[0].at("next_token").at(0).at("n_remain"), 6);
  EXPECT_EQ(slots[1].at("next_token").at(0).at("n_remain"), -1);
  EXPECT_EQ(slots[2].at("is_processing"), false);
  EXPECT_EQ(parsed(encode_slots(busy, 1, 4096)).size(), 2U);
}

TEST(OllamaProbes, NameTheModelAndNoReleaseOfOllamas) {
  EXPECT_EQ(parsed(encode_ollama_version("0.1")), parsed(R"({"version":"0.0.0","kvern":"0.1"})"));
  ModelCard card;
  card.id = "qwen";
  card.parameters = 30'500'000'000;
  const Json tags = parsed(encode_ollama_tags(card));
  EXPECT_EQ(tags.at("models").at(0).at("name"), "qwen");
  EXPECT_EQ(tags.at("models").at(0).at("details").at("parameter_size"), "30.5B");
}

}  // namespace
}  // namespace kvern::api
