// Reasoning that grows too long is closed with tokens the model did not draw.
#include <gtest/gtest.h>

#include "base/utf8.h"
#include "schedule/scheduler_test_world.h"

namespace kvern::schedule {
namespace {

constexpr const char* kThinker = R"json({"context": 8192, "rules": [
  {"when": "caf", "say": "<think>é é é é é</think>Yes."},
  {"say": "<think>I have to think about it.</think>Yes."}]})json";
constexpr const char* kClose = " enough</think>\n";
// Any reasoning, then a number.
constexpr const char* kThenNumber = R"(start: think "\n"? "{\"n\": " /[0-9]+/ "}"
think[suffix="</think>"]: /(.|\n)*/)";

class SchedulerReasoning : public testing::Test {
 protected:
  GenerateRequest limited(const std::string& prompt, std::int32_t tokens) const {
    GenerateRequest r = world_.request(prompt);
    r.reasoning.tokens_max = tokens;
    r.reasoning.begin = "<think>";
    r.reasoning.end = "</think>";
    r.reasoning.close = world_.tokens(kClose);
    return r;
  }

  GenerateRequest opened(std::int32_t tokens) const {
    GenerateRequest r = limited(World::turn("hello") + "<think>", tokens);
    r.reasoning.open = true;
    return r;
  }

  World world_{{}, {.memory_bytes = 64 << 20}, {}, kThinker};
};

TEST_F(SchedulerReasoning, ABlockTheModelOpensIsClosedAfterItsTokens) {
  EXPECT_EQ(world_.ask(limited(World::turn("hello"), 0)).text, "<think> enough</think>\n");
  EXPECT_EQ(world_.ask(limited(World::turn("hello"), 1)).text, "<think>I enough</think>\n");
  EXPECT_EQ(world_.ask(limited(World::turn("hello"), 6)).text, "<think>I have enough</think>\n");
}

TEST_F(SchedulerReasoning, ABlockThePromptOpenedIsClosedAfterItsTokens) {
  EXPECT_EQ(world_.ask(opened(0)).text, " enough</think>\n");
  EXPECT_EQ(world_.ask(opened(1)).text, "I enough</think>\n");
  EXPECT_EQ(world_.ask(opened(6)).text, "I have enough</think>\n");
}

TEST_F(SchedulerReasoning, TheCloseCostsNoStepsOfItsOwn) {
  const auto stream = world_.submit(opened(0));
  EXPECT_EQ(world_.run(), 2) << "the prompt; the close and the end";
  const Answer answer = World::take(*stream);
  const auto close = static_cast<std::int32_t>(world_.tokens(kClose).size());
  EXPECT_EQ(answer.ending.usage.completion_tokens, close + 1);
}

TEST_F(SchedulerReasoning, ABlockThatEndsInTimeIsLeftAlone) {
  const std::string whole = "<think>I have to think about it.</think>Yes.";
  EXPECT_EQ(world_.ask(limited(World::turn("hello"), 1000)).text, whole);
  EXPECT_EQ(world_.ask(limited(World::turn("hello"), -1)).text, whole);
  const auto inside = static_cast<std::int32_t>(std::string("I have to think about it.</think>").size());
  EXPECT_EQ(world_.ask(limited(World::turn("hello"), inside)).text, whole);
  EXPECT_NE(world_.ask(limited(World::turn("hello"), inside - 1)).text, whole);
}

// Tokens of the fake model are bytes: half of the limits fall into a character.
TEST_F(SchedulerReasoning, NoLimitCutsACharacter) {
  for (std::int32_t tokens = 0; tokens < 12; ++tokens) {
    const Answer answer = world_.ask(limited(World::turn("caf"), tokens));
    EXPECT_TRUE(answer.text.ends_with(" enough</think>\n")) << answer.text;
    EXPECT_EQ(answer.text.find(kReplacementCharacter), std::string::npos) << answer.text;
  }
}

TEST_F(SchedulerReasoning, AGrammarGoesOnAfterTheClose) {
  for (const std::int32_t tokens : {0, 1, 5}) {
    GenerateRequest r = opened(tokens);
    r.constraint.lark = kThenNumber;
    const Answer answer = world_.ask(std::move(r));
    const std::string begin = std::string("I have to").substr(0, static_cast<std::size_t>(tokens)) + kClose;
    EXPECT_TRUE(answer.text.starts_with(begin + "{\"n\": ") && answer.text.ends_with("}")) << answer.text;
    EXPECT_EQ(answer.ending.reason, FinishReason::stop);
  }
}

TEST_F(SchedulerReasoning, ACloseTheGrammarRefusesIsLeftOut) {
  GenerateRequest r = opened(0);
  r.constraint.lark = R"(start: "{\"n\": " /[0-9]+/ "}")";
  const Answer answer = world_.ask(std::move(r));
  EXPECT_TRUE(answer.text.starts_with("{\"n\": ") && answer.text.ends_with("}")) << answer.text;
}

TEST_F(SchedulerReasoning, WithLogProbabilitiesEveryTokenOfTheCloseHasItsOwn) {
  GenerateRequest r = opened(2);
  r.sampling.top_logprobs = 1;
  const auto stream = world_.submit(std::move(r));
  world_.run();
  std::vector<Step> steps;
  ASSERT_TRUE(stream->take(steps));
  std::string text;
  for (const Step& step : steps) {
    ASSERT_TRUE(step.logprobs);
    EXPECT_EQ(step.logprobs->drawn.token, step.token);
    text += step.text;
  }
  EXPECT_EQ(text, "I  enough</think>\n");
}

TEST_F(SchedulerReasoning, ASlowReaderGetsTheWholeClose) {
  const auto stream = world_.submit(opened(1), 3);
  std::string text;
  std::optional<Ending> ending;
  while (!ending) {
    world_.run();
    std::vector<Step> steps;
    ending = stream->take(steps);
    ASSERT_LE(steps.size(), 3U);
    for (const Step& step : steps) text += step.text;
  }
  EXPECT_EQ(text, "I enough</think>\n");
}

TEST_F(SchedulerReasoning, TheTokenLimitCutsTheCloseToo) {
  GenerateRequest r = opened(2);
  r.tokens_max = 5;
  const Answer answer = world_.ask(std::move(r));
  EXPECT_EQ(answer.text, "I  en");
  EXPECT_EQ(answer.ending.reason, FinishReason::length);
}

TEST_F(SchedulerReasoning, ATurnThatWasClosedIsReusedByTheNext) {
  const std::string first = kHead + World::turn("hello");
  const Answer one = world_.ask(limited(first, 6));
  const std::string second = first + one.text + "<|im_end|>\n" + World::turn("and on");
  const Answer two = world_.ask(second);
  const auto fresh = world_.tokens(second).size() - world_.tokens(first + one.text).size();
  EXPECT_EQ(two.ending.usage.computed_tokens(), static_cast<std::int32_t>(fresh));
}

}  // namespace
}  // namespace kvern::schedule
