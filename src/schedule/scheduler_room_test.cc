// More work than cells: it takes longer, nothing else.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "schedule/scheduler_test_world.h"

namespace kvern::schedule {
namespace {

constexpr std::int32_t kCells = 2048;
constexpr engine::Overrides kPool{.context = kCells, .sequences = 0, .cells = kCells};

GenerateRequest question(const World& world, int i, bool call) {
  const std::string own(420, static_cast<char>('a' + i));
  GenerateRequest r = world.request("<|im_start|>system\n" + own + "<|im_end|>\n" + World::turn("long story"));
  if (call) r.constraint.lark = R"(start: "{\"items\": [" (/[a-z]{1,9}/ ", ")* "]}")";
  return r;
}

// Half of them calls, whose grammars must go on where they were.
TEST(SchedulerRoom, SixRequestsOfOneAndAHalfTimesThePoolSayWhatTheySayAlone) {
  for (const std::uint64_t memory : {64 << 20, 0}) {
    SchedulerOptions six;
    six.parallel = 6;
    World world(kPool, {.memory_bytes = memory}, six);
    std::vector<std::shared_ptr<Stream>> streams;
    std::size_t tokens = 0;
    for (int i = 0; i < 6; ++i) {
      streams.push_back(world.submit(question(world, i, i % 2 == 1)));
      tokens += question(world, i, false).prompt.tokens.size() + 85;
    }
    EXPECT_GE(tokens, 3 * std::size_t{kCells} / 2);
    world.run();
    for (int i = 0; i < 6; ++i) {
      World alone(kPool);
      const Answer answer = World::take(*streams[static_cast<std::size_t>(i)]);
      EXPECT_EQ(answer.ending.reason, FinishReason::stop) << i;
      EXPECT_EQ(answer.text, alone.ask(question(alone, i, i % 2 == 1)).text) << i;
    }
  }
}

// Cells are promised to a prompt when it is admitted, long before it fills them: two prompts that only fit
// one after the other do not meet in the middle.
TEST(SchedulerRoom, NobodyIsAdmittedIntoCellsAnotherPromptWillNeed) {
  World world(kPool);
  const auto prompt = [](char c) { return std::string(1500, c) + World::turn("hello"); };
  const auto one = world.submit(world.request(prompt('a')));
  const auto two = world.submit(world.request(prompt('b')));
  world.scheduler().step();
  EXPECT_EQ(world.scheduler().stats().running, 1);
  EXPECT_EQ(world.scheduler().stats().waiting, 1);
  world.run();
  EXPECT_EQ(World::take(*one).text, "Fine.");
  EXPECT_EQ(World::take(*two).text, "Fine.");
}

// The background gives way first, though it came first.
TEST(SchedulerRoom, WhenCellsRunOutThePersonGoesOn) {
  World world(kPool);
  engine::FakeCost cost{1000, 0, 0};
  world.engine().charge(world.clock(), cost);
  const auto tell = [&](char c, Priority priority) {
    GenerateRequest r = world.request(std::string(930, c) + World::turn("long story"));
    r.priority = priority;
    return world.submit(std::move(r));
  };
  const auto background = tell('a', Priority::background);
  const auto person = tell('b', Priority::interactive);
  world.run();
  const Answer first = World::take(*person);
  const Answer second = World::take(*background);
  EXPECT_TRUE(first.text.ends_with("on and on."));
  EXPECT_TRUE(second.text.ends_with("on and on."));
  EXPECT_LT(first.ending.usage.decode_us, second.ending.usage.decode_us);
}

}  // namespace
}  // namespace kvern::schedule
