// Guessed tokens: how many come of a step changes, which ones does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/scheduler_test_world.h"

namespace kvern::schedule {
namespace {

const std::string kFile =
    "def load(path):\n    with open(path) as f:\n        return f.read()\n\n"
    "def save(path, text):\n    with open(path, 'w') as f:\n        f.write(text)\n";
const std::string kEdited =
    "def load(path):\n    with open(path) as f:\n        return f.read().strip()\n\n"
    "def save(path, text):\n    with open(path, 'wb') as f:\n        f.write(text)\n";

std::string json(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\n' ? std::string("\\n") : std::string(1, c);
  return out;
}

// state: of which the model is, "" for attention.
std::string script(const std::string& state = "") {
  return R"({"context": 8192, )" + state + R"("rules": [{"when": "strip", "say": ")" + json(kEdited) +
         R"("}, {"say": "Nothing of the kind was ever said before."}]})";
}

// Every step costs more than a few rows, as everywhere.
class DraftWorld : public World {
 public:
  explicit DraftWorld(std::int32_t draft_max = 16, engine::Overrides overrides = {}, double latency_target = 1.5,
                      const std::string& state = "")
      : World(overrides, {.memory_bytes = 64 << 20}, options(draft_max, latency_target), script(state)) {
    engine().charge(clock(), {.step_us = 10'000, .token_us = 200, .position_us = 0});
  }

 private:
  static SchedulerOptions options(std::int32_t draft_max, double latency_target) {
    SchedulerOptions made;
    made.draft_max = draft_max;
    made.latency_target = latency_target;
    return made;
  }
};

const std::string kAsk = World::turn("Strip what is read, please: strip.\n" + kFile);

TEST(SchedulerDraft, ARepeatedFileTakesAFractionOfTheStepsAndTheTextIsTheSame) {
  DraftWorld with;
  DraftWorld without(0);
  const Told quick = tell(with, with.request(kAsk));
  const Told slow = tell(without, without.request(kAsk));
  EXPECT_EQ(quick.answer.text, kEdited);
  EXPECT_EQ(slow.answer.text, kEdited);
  EXPECT_LT(quick.steps * 3, slow.steps);
  const Usage& usage = quick.answer.ending.usage;
  EXPECT_GT(usage.accepted_tokens, usage.completion_tokens / 2);
  EXPECT_GE(usage.drafted_tokens, usage.accepted_tokens);
  EXPECT_EQ(slow.answer.ending.usage.drafted_tokens, 0);
  EXPECT_EQ(usage.completion_tokens, slow.answer.ending.usage.completion_tokens);
}

TEST(SchedulerDraft, WhatIsSampledIsWhatWouldHaveBeenSampled) {
  int accepted = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::string texts[2];
    for (const int draft_max : {16, 0}) {
      DraftWorld world(draft_max);
      GenerateRequest r = world.request(kAsk);
      r.sampling.temperature = 1.5F;
      r.sampling.top_k = 0;
      r.sampling.top_p = 1;
      r.sampling.min_p = 0;
      r.sampling.seed = seed;
      r.tokens_max = 120;
      const Told told = tell(world, std::move(r));
      texts[draft_max == 0] = told.answer.text;
      accepted += told.answer.ending.usage.accepted_tokens;
    }
    EXPECT_EQ(texts[0], texts[1]) << "seed " << seed;
  }
  EXPECT_GT(accepted, 0);
}

TEST(SchedulerDraft, WrongGuessesLeaveNothingInTheCells) {
  DraftWorld world;
  const Answer first = world.ask(kAsk);
  EXPECT_LT(first.ending.usage.accepted_tokens, first.ending.usage.drafted_tokens);
  // The engine checks that the cells are those of this conversation.
  const Answer second = world.ask(kAsk + first.text + "<|im_end|>\n" + World::turn("strip again"));
  EXPECT_GE(second.ending.usage.reused_tokens(), static_cast<std::int32_t>(world.tokens(kAsk + first.text).size()) - 1);
}

// Cells leave a window step by step; what was guessed wrongly is forgotten before they do.
TEST(SchedulerDraft, ASlidingWindowIsGuessedForToo) {
  const std::string state = R"("state": "sliding_window", "window": 24, )";
  DraftWorld with(16, {}, 1.5, state);
  DraftWorld without(0, {}, 1.5, state);
  const Told quick = tell(with, with.request(kAsk));
  const Told slow = tell(without, without.request(kAsk));
  EXPECT_EQ(quick.answer.text, kEdited);
  EXPECT_LT(quick.steps * 3, slow.steps);
  const Usage& usage = quick.answer.ending.usage;
  EXPECT_GT(usage.drafted_tokens, usage.accepted_tokens) << "some were wrong";
  // And the conversation goes on where it was.
  const Answer next = with.ask(kAsk + kEdited + "<|im_end|>\n" + World::turn("strip again"));
  EXPECT_GE(next.ending.usage.reused_tokens(), static_cast<std::int32_t>(with.tokens(kAsk + kEdited).size()) - 1);
}

TEST(SchedulerDraft, WhereNothingCanBeForgottenNothingIsGuessed) {
  DraftWorld world(16, {}, 1.5, R"("state": "recurrent", )");
  const Answer answer = world.ask(kAsk);
  EXPECT_EQ(answer.text, kEdited);
  EXPECT_EQ(answer.ending.usage.drafted_tokens, 0);
}

TEST(SchedulerDraft, LimitsAndStopsCutWhereTheyWould) {
  DraftWorld world;
  for (const std::int32_t limit : {1, 2, 50, 77, 120}) {
    GenerateRequest r = world.request(kAsk);
    r.tokens_max = limit;
    const Answer answer = world.ask(std::move(r));
    EXPECT_EQ(answer.ending.reason, FinishReason::length);
    EXPECT_EQ(answer.ending.usage.completion_tokens, limit);
    EXPECT_EQ(answer.text, kEdited.substr(0, answer.text.size()));
  }
  GenerateRequest r = world.request(kAsk);
  r.stops = {"as f"};
  EXPECT_EQ(world.ask(std::move(r)).text, kEdited.substr(0, kEdited.find("as f")));
}

TEST(SchedulerDraft, ASlowClientGetsEverything) {
  DraftWorld world;
  const auto stream = world.submit(world.request(kAsk), 3);
  std::string text;
  std::optional<Ending> ending;
  for (int i = 0; i < 1000 && !ending; ++i) {
    world.run();
    std::vector<Step> steps;
    ending = stream->take(steps);
    EXPECT_LE(steps.size(), 4U);
    for (const Step& step : steps) text += step.text;
  }
  EXPECT_EQ(text, kEdited);
}

TEST(SchedulerDraft, EveryTokenHasItsOwnLogProbabilities) {
  std::vector<float> values[2];
  for (const int draft_max : {16, 0}) {
    DraftWorld world(draft_max);
    GenerateRequest r = world.request(kAsk);
    r.sampling.top_logprobs = 0;
    const auto stream = world.submit(std::move(r));
    world.run();
    std::vector<Step> steps;
    ASSERT_TRUE(stream->take(steps));
    for (const Step& step : steps) {
      ASSERT_TRUE(step.logprobs);
      EXPECT_EQ(step.logprobs->drawn.token, step.token);
      values[draft_max == 0].push_back(step.logprobs->drawn.logprob);
    }
  }
  EXPECT_EQ(values[0], values[1]);
}

TEST(SchedulerDraft, AGrammarHoldsForGuesses) {
  for (const int draft_max : {16, 0}) {
    DraftWorld world(draft_max);
    GenerateRequest r = world.request(kAsk);
    r.constraint.lark = R"(start: /def load\(path\):\n    with open\(path\) as g[a-z]{3}/)";
    const Answer answer = world.ask(std::move(r));
    EXPECT_TRUE(answer.text.starts_with("def load(path):\n    with open(path) as g")) << answer.text;
    EXPECT_EQ(answer.ending.reason, FinishReason::stop);
  }
}

TEST(SchedulerDraft, OtherStreamsWaitNoLongerThanForAPrompt) {
  DraftWorld world(16, {}, 1.1);  // a step of two may take 11.4 ms instead of 10.4: five rows more
  const auto a = world.submit(world.request(kAsk));
  const auto b = world.submit(world.request(World::turn("Again, strip.\n" + kFile)));
  std::int64_t longest_us = 0;
  std::int64_t before_us = world.clock().now_us();
  while (world.scheduler().step()) {
    const bool both = world.scheduler().stats().running == 2;
    const std::int64_t now_us = world.clock().now_us();
    if (both && world.scheduler().requests()[1].completion_tokens > 1)
      longest_us = std::max(longest_us, now_us - before_us);
    before_us = now_us;
  }
  EXPECT_LE(longest_us, 11'440);
  const Answer first = World::take(*a);
  EXPECT_EQ(first.text, kEdited);
  EXPECT_GT(first.ending.usage.accepted_tokens, 0);
  EXPECT_EQ(World::take(*b).text, kEdited);
}

TEST(SchedulerDraft, AFullPoolMakesNoRoomForGuesses) {
  DraftWorld roomy;
  const auto prompt = static_cast<std::int32_t>(roomy.tokens(kAsk).size());
  const auto text = static_cast<std::int32_t>(roomy.tokens(kEdited).size());
  DraftWorld tight(16, {.context = 0, .sequences = 0, .cells = prompt + text + 1});
  const Told told = tell(tight, tight.request(kAsk));
  EXPECT_EQ(told.answer.text, kEdited);
  EXPECT_EQ(told.answer.ending.usage.completion_tokens, text + 1);
}

TEST(SchedulerDraft, NothingIsGuessedBesideAPrompt) {
  DraftWorld world;
  const auto stream = world.submit(world.request(kAsk));
  while (world.scheduler().stats().running == 0 || world.scheduler().requests()[0].completion_tokens < 20)
    ASSERT_TRUE(world.scheduler().step());
  const auto other = world.submit(world.request(World::turn(std::string(2000, 'x'))));
  ASSERT_TRUE(world.scheduler().step());
  for (;;) {
    const auto before = world.scheduler().requests();
    if (before.size() < 2 || before[1].completion_tokens > 0) break;
    ASSERT_TRUE(world.scheduler().step());
    EXPECT_EQ(world.scheduler().requests()[0].completion_tokens, before[0].completion_tokens + 1);
  }
  world.run();
  EXPECT_EQ(World::take(*stream).text, kEdited);
  EXPECT_TRUE(World::take(*other).ended);
}

}  // namespace
}  // namespace kvern::schedule
