// Who has one of the few places: a short prompt does not wait for a long one that has begun.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "schedule/scheduler_test_world.h"

namespace kvern::schedule {
namespace {

class PlaceWorld : public World {
 public:
  explicit PlaceWorld(std::int32_t parallel = 1) : World({}, {.memory_bytes = 64 << 20}, with(parallel)) {
    engine().charge(clock(), {10'000, 100, 0});
  }

  GenerateRequest prompt(std::size_t tokens, char c) {
    GenerateRequest r = request(std::string(tokens - this->tokens(turn("hello")).size(), c) + turn("hello"));
    r.tokens_max = 1;
    return r;
  }

 private:
  static SchedulerOptions with(std::int32_t parallel) {
    SchedulerOptions options;
    options.parallel = parallel;
    return options;
  }
};

TEST(SchedulerPlace, AShortPromptTakesThatOfALongOneWhichKeepsWhatItHas) {
  PlaceWorld world;
  const auto long_one = world.submit(world.prompt(7000, 'a'));
  for (int i = 0; i < 3; ++i) world.scheduler().step();
  const auto short_one = world.submit(world.prompt(300, 'b'));
  world.scheduler().step();
  EXPECT_TRUE(World::take(*short_one).ended);
  world.run();
  const Usage usage = World::take(*long_one).ending.usage;
  EXPECT_EQ(usage.computed_tokens(), 7000);
  EXPECT_EQ(usage.reused_tokens(), 0) << "its own tokens are no reuse";
}

TEST(SchedulerPlace, OneThatIsNotMuchShorterWaits) {
  PlaceWorld world;
  const auto first = world.submit(world.prompt(2000, 'a'));
  world.scheduler().step();
  const auto second = world.submit(world.prompt(1000, 'b'));
  while (!World::take(*first).ended) {
    EXPECT_FALSE(World::take(*second).ended);
    ASSERT_TRUE(world.scheduler().step());
  }
  world.run();
  EXPECT_TRUE(World::take(*second).ended);
}

TEST(SchedulerPlace, AStreamKeepsItsOwn) {
  PlaceWorld world;
  const auto stream = world.submit(world.request(World::turn("long story")));
  for (int i = 0; i < 4; ++i) world.scheduler().step();
  const auto prompt = world.submit(world.prompt(40, 'b'));
  while (!World::take(*stream).ended) {
    EXPECT_FALSE(World::take(*prompt).ended);
    ASSERT_TRUE(world.scheduler().step());
  }
  world.run();
  EXPECT_TRUE(World::take(*prompt).ended);
}

TEST(SchedulerPlace, WhoIsWaitedForKeepsIts) {
  PlaceWorld world(2);
  const auto sharer = world.submit(world.request(kHead + World::turn("one")));
  const auto other = world.submit(world.prompt(1000, 'o'));
  world.scheduler().step();
  const auto waits = world.submit(world.request(kHead + World::turn("two")));
  world.scheduler().step();
  const auto short_one = world.submit(world.prompt(50, 'b'));
  while (!World::take(*short_one).ended) ASSERT_TRUE(world.scheduler().step());
  const bool other_over = World::take(*other).ended;
  EXPECT_TRUE(other_over) << "it had to wait for a place";
  world.run();
  EXPECT_GE(World::take(*waits).ending.usage.reused_tokens(), 3000);
  EXPECT_TRUE(World::take(*sharer).ended);
}

// A new short prompt at every second step.
TEST(SchedulerPlace, ALongPromptEndsHoweverManyShortOnesTakeItsPlace) {
  PlaceWorld world;
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

// It is asked often enough to lose its place three times, and there are no cells for who would take it.
TEST(SchedulerPlace, APlaceThatCouldNotBeTakenIsNotCountedAsLost) {
  World world({.context = 0, .sequences = 0, .cells = 4200}, {.memory_bytes = 64 << 20}, [] {
    SchedulerOptions options;
    options.parallel = 2;
    return options;
  }());
  GenerateRequest one = world.request(World::turn("long story"));
  const auto stream = world.submit(std::move(one));
  for (int i = 0; i < 3; ++i) world.scheduler().step();
  const auto long_one = world.submit(world.request(std::string(4000, 'a') + World::turn("hello")));
  world.scheduler().step();
  const auto short_one = world.submit(world.request(std::string(500, 'b') + World::turn("hello")));
  world.run();
  EXPECT_TRUE(World::take(*stream).ended);
  EXPECT_TRUE(World::take(*long_one).ended);
  EXPECT_TRUE(World::take(*short_one).ended);
}

TEST(SchedulerPlace, AClientThatLeavesWhileAsideLeavesNothing) {
  PlaceWorld world;
  const auto long_one = world.submit(world.prompt(7000, 'a'));
  world.scheduler().step();
  const auto short_one = world.submit(world.request(World::turn("long story")));
  for (int i = 0; i < 3; ++i) world.scheduler().step();
  EXPECT_FALSE(World::take(*long_one).ended);
  long_one->cancel();
  world.run();
  EXPECT_TRUE(World::take(*short_one).ended);
  EXPECT_EQ(World::take(*long_one).ending.reason, FinishReason::cancelled);
  world.cache().make_room(8192);
  EXPECT_EQ(world.engine().cells_in_use(), 0);
}

}  // namespace
}  // namespace kvern::schedule
