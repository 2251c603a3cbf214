// What the outside sees of requests while they run: progress of a prompt, and the list of requests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/scheduler_test_world.h"

namespace kvern::schedule {
namespace {

using testing::IsEmpty;

std::vector<PromptProgress> progress_of(Stream& stream) {
  std::vector<Step> steps;
  stream.take(steps);
  std::vector<PromptProgress> told;
  for (const Step& step : steps) {
    if (!step.progress) continue;
    EXPECT_EQ(step.token, -1);
    EXPECT_EQ(step.text, "");
    told.push_back(*step.progress);
  }
  return told;
}

SchedulerOptions small_chunks() {
  SchedulerOptions options;
  options.limits.batch = 256;
  return options;
}

TEST(SchedulerProgress, IsToldFromWhatWasHeldToTheWholePrompt) {
  World world({}, {.memory_bytes = 64 << 20}, small_chunks());
  world.ask(kHead + World::turn("hello"));
  GenerateRequest request = world.request(kHead + World::turn("long " + std::string(2'000, 'x')));
  request.progress = true;
  const auto total = static_cast<std::int32_t>(request.prompt.tokens.size());
  const auto stream = world.submit(std::move(request));
  world.run();
  const std::vector<PromptProgress> told = progress_of(*stream);
  ASSERT_GE(told.size(), 3U);
  EXPECT_GT(told.front().reused, 3'000);
  EXPECT_EQ(told.front().processed, told.front().reused);
  EXPECT_EQ(told.back().processed, total);
  for (std::size_t i = 0; i < told.size(); ++i) {
    EXPECT_EQ(told[i].total, total);
    EXPECT_EQ(told[i].reused, told.front().reused);
    EXPECT_GE(told[i].processed, told[i > 0 ? i - 1 : 0].processed);
  }
}

TEST(SchedulerProgress, IsNotToldUnasked) {
  World world;
  const auto stream = world.submit(world.request(kHead + World::turn("hello")));
  world.run();
  EXPECT_THAT(progress_of(*stream), IsEmpty());
}

// Three steps would fill this client's stream before the prompt is done.
TEST(SchedulerProgress, AClientThatTakesNothingGetsItsPromptComputedAllTheSame) {
  World world({}, {.memory_bytes = 64 << 20}, small_chunks());
  GenerateRequest request = world.request(kHead + World::turn("hello"));
  request.progress = true;
  const auto stream = world.submit(std::move(request), 3);
  world.run();
  const std::vector<RequestReport> reports = world.scheduler().requests();
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].reused_tokens + reports[0].computed_tokens, reports[0].prompt_tokens);
  Answer answer;
  while (!answer.ended) {
    world.run();
    const Answer more = World::take(*stream);
    answer.text += more.text;
    answer.ended = more.ended;
  }
  EXPECT_EQ(answer.text, "Fine.");
}

TEST(SchedulerRequests, AreListedWithTheirNumbersWhileTheyLast) {
  SchedulerOptions options;
  options.parallel = 1;
  World world({}, {.memory_bytes = 64 << 20}, options);
  GenerateRequest first = world.request(World::turn("long story"));
  first.id = "first";
  first.tokens_max = 500;
  const auto running = world.submit(std::move(first), 4);  // parks after four tokens
  world.scheduler().step();
  GenerateRequest second = world.request(World::turn("hello"));
  second.id = "second";
  const auto waiting = world.submit(std::move(second));
  world.scheduler().step();
  const std::vector<RequestReport> reports = world.scheduler().requests();
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].id, "first");
  EXPECT_TRUE(reports[0].running);
  EXPECT_EQ(reports[0].tokens_max, 500);
  EXPECT_EQ(reports[0].prompt_tokens, reports[0].reused_tokens + reports[0].computed_tokens);
  EXPECT_GT(reports[0].completion_tokens, 0);
  EXPECT_EQ(reports[1].id, "second");
  EXPECT_FALSE(reports[1].running);
  running->cancel();
  waiting->cancel();
  world.run();
  EXPECT_THAT(world.scheduler().requests(), IsEmpty());
}

}  // namespace
}  // namespace kvern::schedule
