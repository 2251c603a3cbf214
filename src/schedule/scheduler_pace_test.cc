// What others notice of a prompt, in the tests' own time: each step of the fake engine takes ten
// milliseconds and a tenth of one for each of its tokens.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "schedule/scheduler_test_world.h"

namespace kvern::schedule {
namespace {

constexpr engine::FakeCost kCost{10'000, 100, 0};
constexpr std::int64_t kDecode_us = 10'100;

SchedulerOptions with(double latency_target, std::int32_t parallel = 4) {
  SchedulerOptions options;
  options.latency_target = latency_target;
  options.parallel = parallel;
  return options;
}

class PacedWorld : public World {
 public:
  explicit PacedWorld(SchedulerOptions options = {}, engine::FakeCost cost = kCost, engine::Overrides overrides = {})
      : World(overrides, {.memory_bytes = 64 << 20}, options) {
    engine().charge(clock(), cost);
  }

  // How long one step takes.
  std::int64_t step_us() {
    const std::int64_t begin = clock().now_us();
    scheduler().step();
    return clock().now_us() - begin;
  }

  // A prompt of that many tokens, and no other's beginning.
  GenerateRequest prompt(std::size_t tokens, char c, const std::string& session = "") {
    GenerateRequest r = request(std::string(tokens - this->tokens(turn("hello")).size(), c) + turn("hello"));
    r.session = session;
    return r;
  }

  // A stream that decodes.
  std::shared_ptr<Stream> story() {
    const auto stream = submit(request(turn("long story")));
    for (int i = 0; i < 4; ++i) scheduler().step();
    return stream;
  }
};

std::int64_t ttft_us(Stream& stream) { return World::take(stream).ending.usage.ttft_us; }

TEST(SchedulerPace, ALongPromptStretchesNoGapBeyondTheTarget) {
  for (const double target : {1.0, 1.2, 1.5, 3.0}) {
    SCOPED_TRACE(target);
    PacedWorld world(with(target));
    const auto stream = world.story();
    const auto prompt = world.submit(world.prompt(2000, 'a'));
    const double least_us = StepCost::Chunk().least * 100.0;
    const auto limit = static_cast<std::int64_t>(std::max(target * kDecode_us, kDecode_us + least_us));
    std::int64_t longest = 0;
    int steps = 0;
    for (; !World::take(*stream).ended; ++steps) longest = std::max(longest, world.step_us());
    EXPECT_LE(longest, limit);
    EXPECT_GE(longest, limit - 100) << "and the time there is, is used";
    EXPECT_GT(steps, 50) << "there was a stream to disturb";
    world.run();
    EXPECT_EQ(World::take(*prompt).text, "Fine.");
  }
}

// A token costs the more the deeper it is: chunks become smaller, gaps do not become longer. Only where the
// depth has doubled, which is seldom, the first step goes by what shallower tokens cost.
TEST(SchedulerPace, TheTargetHoldsAsAPromptGrowsDeep) {
  PacedWorld world({}, {10'000, 20, 0.05});
  const auto stream = world.story();
  world.submit(world.prompt(8000, 'a'));
  int longer = 0;
  int steps = 0;
  for (; !World::take(*stream).ended; ++steps) {
    const std::int64_t us = world.step_us();
    longer += us > 10'100 * 8 / 5;
    EXPECT_LE(us, 2 * 10'100);
  }
  EXPECT_LE(longer, 8);
  EXPECT_GT(steps, 60);
}

// Beside a stream 60 tokens would take twelve steps.
TEST(SchedulerPace, AShortPromptIsComputedAtOnceBesideAStreamThatRanUndisturbed) {
  PacedWorld world;
  world.ask(world.prompt(500, 'a'));
  world.story();
  for (int i = 0; i < 20; ++i) world.scheduler().step();
  const auto first = world.submit(world.prompt(60, 'b'));
  EXPECT_EQ(world.step_us(), kDecode_us + 60 * 100);
  EXPECT_EQ(World::take(*first).text, "F");
}

// A token beside a stream, and 64 at once when nothing was taken for as many steps.
TEST(SchedulerPace, WhatIsSpentMustBeSavedAgain) {
  PacedWorld world(with(1.1), {10'000, 1'000, 0});
  world.ask(world.prompt(500, 'x'));
  const auto stream = world.story();
  for (int i = 0; i < 20; ++i) world.scheduler().step();
  for (char c = 'a'; c < 'd'; ++c) world.submit(world.prompt(32, c));
  int longer = 0;
  while (!World::take(*stream).ended) longer += world.step_us() > 2 * 11'000;
  EXPECT_EQ(longer, 2);
}

TEST(SchedulerPace, OfShortPromptsThatComeTogetherEachHasItsFirstTokenBeforeTheFirstGoesOn) {
  PacedWorld world({}, {10'000, 1'000, 0});
  std::vector<std::shared_ptr<Stream>> streams;
  for (char c = 'a'; c < 'e'; ++c) {
    GenerateRequest r = world.prompt(40, c);
    r.prompt.tokens = world.tokens(std::string(1, c) + World::turn("long story"));
    streams.push_back(world.submit(std::move(r)));
  }
  for (int i = 0; i < 5; ++i) world.scheduler().step();
  for (const auto& stream : streams) {
    const std::size_t said = World::take(*stream).text.size();
    EXPECT_GE(said, 1U);
    EXPECT_LE(said, 5U);
  }
}

// One place is taken by a stream, one by a long prompt, and others wait.
TEST(SchedulerPace, WhereFewTokensAreDearAndOthersWaitAPromptIsComputedInBatches) {
  const engine::FakeCost cost{.step_us = 10'000, .token_us = 500, .position_us = 0, .few_us = 1'000};
  const auto longest_us = [&](bool crowd) {
    PacedWorld world(with(1.5, 2), cost, {.rows_in_parallel = false});
    world.ask(world.prompt(500, 'x'));
    const auto stream = world.story();
    const auto prompt = world.submit(world.prompt(1500, 'a'));
    if (crowd) world.submit(world.prompt(1000, 'b'));
    std::int64_t longest = 0;
    std::int64_t all = 0;
    while (!World::take(*stream).ended) {
      const std::int64_t us = world.step_us();
      longest = std::max(longest, us);
      all += us;
    }
    return std::pair(longest, all);
  };
  const auto [even, alone_us] = longest_us(false);
  const auto [lumpy, crowd_us] = longest_us(true);
  EXPECT_LE(even, 3 * 11'500);
  EXPECT_GE(lumpy, 10'000 + 128 * 500);
  EXPECT_LE(crowd_us, alone_us + 32 * 11'500) << "no slower on the whole, but for what was saved before";
}

// Where a step of the streams is long anyway, 64 tokens of a prompt now and then are sooner done than a few in each.
TEST(SchedulerPace, WhereFewTokensAreDearAndStepsLongAPromptHasItsTokensTogether) {
  const engine::FakeCost cost{.step_us = 30'000, .token_us = 500, .position_us = 0, .few_us = 2'000};
  PacedWorld world({}, cost, {.rows_in_parallel = false});
  world.ask(world.prompt(500, 'x'));
  const auto stream = world.story();
  const auto prompt = world.submit(world.prompt(1500, 'a'));
  std::int64_t longest_us = 0;
  std::int64_t all_us = 0;
  int steps = 0;
  for (; World::take(*prompt).text.empty(); ++steps) {
    const std::int64_t us = world.step_us();
    longest_us = std::max(longest_us, us);
    all_us += us;
  }
  EXPECT_LE(steps, 24) << "six tokens a step are three times as many";
  EXPECT_LE(longest_us, 4 * 32'500);
  EXPECT_LE(all_us, steps * 32'500 * 3 / 2 + 64 * 16'250) << "no slower on the whole, but for what was saved before";
}

TEST(SchedulerPace, WhileNobodyDecodesAPromptIsComputedInFullBatches) {
  PacedWorld world;
  world.submit(world.prompt(2048, 'a'));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(world.step_us(), 10'000 + 512 * 100);
}

TEST(SchedulerPace, WhereRowsAreComputedOneByOneStepsAreSmall) {
  PacedWorld world({}, {10'000, 5'000, 0}, {.rows_in_parallel = false});
  world.submit(world.prompt(2048, 'a'));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(world.step_us(), 10'000 + 128 * 5'000);
}

TEST(SchedulerPace, WhereRowsAreComputedOneByOneIdleConversationsLeaveWhileOthersCompute) {
  PacedWorld world({}, {10'000, 5'000, 0}, {.rows_in_parallel = false});
  world.submit(world.prompt(500, 'a'));
  world.run();
  while (world.cache().save_one()) {
  }
  EXPECT_EQ(world.cache().idle_sequences(), 1);
  world.submit(world.prompt(500, 'b'));
  for (int i = 0; i < 3; ++i) world.step_us();
  EXPECT_EQ(world.cache().idle_sequences(), 0);
  world.run();
  const auto again = world.submit(world.prompt(500, 'a'));
  world.run();
  EXPECT_GT(World::take(*again).ending.usage.reused_memory_tokens, 490);
}

TEST(SchedulerPace, AShortPromptOvertakesALongOne) {
  PacedWorld alone;
  const auto by_itself = alone.submit(alone.prompt(300, 'b'));
  alone.run();
  PacedWorld world;
  const auto long_one = world.submit(world.prompt(7000, 'a'));
  for (int i = 0; i < 3; ++i) world.scheduler().step();
  const auto short_one = world.submit(world.prompt(300, 'b'));
  world.run();
  EXPECT_EQ(ttft_us(*short_one), ttft_us(*by_itself));
  EXPECT_TRUE(World::take(*long_one).ended);
}

// A new short prompt at every step: one step in four is the long one's.
TEST(SchedulerPace, ALongPromptGetsEveryFourthStepHoweverManyShortOnesCome) {
  PacedWorld world(with(1.5, 16));
  const auto long_one = world.submit(world.prompt(7000, 'a'));
  int steps = 0;
  for (; !World::take(*long_one).ended && steps < 1000; ++steps) {
    if (steps % 2 == 0) {
      GenerateRequest r = world.request(fmt::format("{} other words ", steps) + World::turn("hello"));
      r.tokens_max = 1;
      world.submit(std::move(r));
    }
    world.scheduler().step();
  }
  EXPECT_LE(steps, (7000 / 512 + 2) * (kPassedMax + 1));
}

// One place, and somebody always comes later with less to do.
TEST(SchedulerPace, WhoWaitsForAPlaceIsPassedOverThreeTimesAndLosesItThreeTimesAtMost) {
  PacedWorld world(with(1.5, 1));
  std::vector<std::shared_ptr<Stream>> short_ones{world.submit(world.prompt(100, 'b'))};
  world.scheduler().step();
  const auto long_one = world.submit(world.prompt(3000, 'a'));
  for (char c = 'c'; c <= 'm'; ++c) short_ones.push_back(world.submit(world.prompt(100, c)));
  while (!World::take(*long_one).ended) ASSERT_TRUE(world.scheduler().step());
  std::size_t before = 0;
  for (const auto& stream : short_ones) before += World::take(*stream).ended;
  EXPECT_EQ(before, 1U + 2 * kPassedMax) << "three while it waited, and three took its place";
}

TEST(SchedulerPace, APersonGoesBeforeAnAgentAndAnAgentBeforeTheBackground) {
  PacedWorld world(with(1.5, 1));
  const auto submit = [&](Priority priority, char c) {
    GenerateRequest r = world.prompt(100, c);
    r.priority = priority;
    return world.submit(std::move(r));
  };
  const auto background = submit(Priority::background, 'b');
  const auto agent = submit(Priority::sub_agent, 'a');
  const auto person = submit(Priority::interactive, 'p');
  world.run();
  const std::int64_t first = ttft_us(*person);
  const std::int64_t second = ttft_us(*agent);
  EXPECT_LT(first, second);
  EXPECT_LT(second, ttft_us(*background));
}

// Who waits for a prefix lends its urgency to the one that computes it.
TEST(SchedulerPace, APersonDoesNotWaitBehindAnAgentForWhatTheBackgroundComputes) {
  PacedWorld world;
  GenerateRequest shared = world.request(kHead + World::turn("one"));
  shared.priority = Priority::background;
  const auto background = world.submit(std::move(shared));
  world.scheduler().step();
  GenerateRequest other = world.prompt(2000, 'a');
  other.priority = Priority::sub_agent;
  const auto agent = world.submit(std::move(other));
  const auto person = world.submit(world.request(kHead + World::turn("two")));
  world.run();
  EXPECT_LT(ttft_us(*person), ttft_us(*agent));
  EXPECT_TRUE(World::take(*background).ended);
}

// One client had a whole book computed; what it asks next, however short, goes behind the other's long one.
TEST(SchedulerPace, AClientThatHadMuchGoesBehindOneThatHadLittle) {
  PacedWorld world(with(1.5, 1), kCost, {.context = 30'000});
  const auto book = world.submit(world.prompt(20'000, 'b', "greedy"));
  world.scheduler().step();
  const auto waits = world.submit(world.prompt(6000, 'a', "modest"));
  while (!World::take(*book).ended) world.scheduler().step();
  const auto more = world.submit(world.prompt(100, 'c', "greedy"));
  const auto first = world.submit(world.prompt(2000, 'd', "modest"));
  world.run();
  EXPECT_LT(ttft_us(*first), ttft_us(*more));
  EXPECT_TRUE(World::take(*waits).ended);
}

// What a session reuses is not held against it.
TEST(SchedulerPace, CachedTokensCostAClientNothing) {
  PacedWorld world(with(1.5, 1), kCost, {.context = 30'000});
  const std::string head(7000, 'h');
  world.ask(head + World::turn("hello"));
  GenerateRequest slow = world.request(World::turn("long story"));
  slow.session = "modest";
  const auto unread = world.submit(std::move(slow), 4);
  for (int i = 0; i < 5; ++i) {
    GenerateRequest r = world.request(head + World::turn(fmt::format("hello {}", i)));
    r.session = "reuses";
    world.ask(std::move(r));
  }
  world.submit(world.prompt(100, 'x', "third"));
  world.scheduler().step();
  GenerateRequest last = world.request(head + World::turn("bye"));
  last.session = "reuses";
  const auto reuses = world.submit(std::move(last));
  const auto other = world.submit(world.prompt(2000, 'd', "modest"));
  world.run();
  EXPECT_LT(ttft_us(*reuses), ttft_us(*other)) << "equals: the shorter rest decides";
  EXPECT_FALSE(World::take(*unread).ended) << "its client was there all the time";
}

}  // namespace
}  // namespace kvern::schedule
