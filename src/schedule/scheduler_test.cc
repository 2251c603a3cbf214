// The scheduler over the cache over the fake engine, which checks at every step that each sequence's
// cells belong to its tokens: a wrong reuse fails the request that caused it.
#include "schedule/scheduler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "schedule/scheduler_test_world.h"

namespace kvern::schedule {
namespace {

TEST(Scheduler, AnswersAsTheModelWould) {
  World world;
  const Answer answer = world.ask(World::turn("count to ten"));
  EXPECT_EQ(answer.text, "one two three up to ten");
  EXPECT_EQ(answer.ending.reason, FinishReason::stop);
  EXPECT_EQ(answer.ending.usage.completion_tokens, 24) << "23 characters and the end token";
}

TEST(Scheduler, ASecondTurnComputesOnlyItsNewTokens) {
  World world;
  const std::string first = kHead + World::turn("count to ten");
  const Answer one = world.ask(first);
  EXPECT_EQ(one.ending.usage.why, ReuseStop::cold);
  const std::string second = first + one.text + "<|im_end|>\n" + World::turn("and on");
  const Answer two = world.ask(second);
  const auto fresh = world.tokens(second).size() - world.tokens(first + one.text).size();
  EXPECT_EQ(two.ending.usage.computed_tokens(), static_cast<std::int32_t>(fresh));
  EXPECT_EQ(two.ending.usage.why, ReuseStop::new_text);
}

TEST(Scheduler, AnExactRepeatComputesOneToken) {
  World world;
  world.ask(kHead + World::turn("hello"));
  const Answer again = world.ask(kHead + World::turn("hello"));
  EXPECT_EQ(again.ending.usage.computed_tokens(), 1);
  EXPECT_EQ(again.ending.usage.why, ReuseStop::end);
}

TEST(Scheduler, ABranchReusesEverythingBeforeIt) {
  World world;
  world.ask(kHead + World::turn("hello there"));
  const Answer branch = world.ask(kHead + World::turn("hello world"));
  const auto shared = world.tokens(kHead + "<|im_start|>user\nhello ").size();
  EXPECT_EQ(branch.ending.usage.reused_tokens(), static_cast<std::int32_t>(shared));
  EXPECT_EQ(branch.ending.usage.why, ReuseStop::edited);
}

TEST(Scheduler, SiblingsAtOnceComputeTheirHeadOnce) {
  World world;
  std::vector<std::shared_ptr<Stream>> streams;
  std::int32_t prompts = 0;
  for (int i = 0; i < 4; ++i) {
    auto r = world.request(kHead + World::turn("question " + std::to_string(i)));
    prompts += static_cast<std::int32_t>(r.prompt.tokens.size());
    streams.push_back(world.submit(std::move(r)));
  }
  world.run();
  const auto head = static_cast<std::int32_t>(world.tokens(kHead + "<|im_start|>user\nquestion ").size());
  std::int32_t computed = 0;
  for (const auto& stream : streams) {
    const Answer answer = World::take(*stream);
    EXPECT_EQ(answer.text, "Fine.");
    computed += answer.ending.usage.computed_tokens();
  }
  EXPECT_EQ(computed, prompts - 3 * head);
}

TEST(Scheduler, IdenticalRequestsAtOnceComputeThePromptOnce) {
  World world;
  std::vector<std::shared_ptr<Stream>> streams;
  for (int i = 0; i < 3; ++i) streams.push_back(world.submit(world.request(kHead + World::turn("hello"))));
  world.run();
  std::int32_t computed = 0;
  for (const auto& stream : streams) computed += World::take(*stream).ending.usage.computed_tokens();
  EXPECT_EQ(computed, static_cast<std::int32_t>(world.tokens(kHead + World::turn("hello")).size()) + 2);
}

// More conversations than cells: what left the device comes back from RAM, not from the model.
TEST(Scheduler, InterleavedConversationsBeyondTheDeviceAreReloadedFromMemory) {
  engine::Overrides small;
  small.cells = 8192;
  World world(small);
  const auto prompt = [](int i) {
    return "<|im_start|>system\n" + std::string(3000, static_cast<char>('a' + i)) + "<|im_end|>\n" +
           World::turn("hello");
  };
  for (int i = 0; i < 5; ++i) world.ask(prompt(i));
  for (int i = 0; i < 5; ++i) {
    const Answer again = world.ask(prompt(i));
    EXPECT_EQ(again.ending.usage.computed_tokens(), 1) << i;
  }
  EXPECT_GT(world.cache().tree().bytes(), 0U);
}

TEST(Scheduler, WithoutMemoryEvictedPromptsAreComputedAgain) {
  engine::Overrides small;
  small.cells = 4096;
  small.context = 4096;
  World world(small, {.memory_bytes = 0});
  world.ask(kHead + World::turn("hello"));
  world.ask("<|im_start|>system\n" + std::string(3500, 'x') + World::turn("hello"));
  const Answer again = world.ask(kHead + World::turn("hello"));
  EXPECT_LT(again.ending.usage.reused_tokens(), 100);
}

TEST(Scheduler, WithTheCacheOffEverythingIsComputed) {
  World world({}, {.memory_bytes = 1 << 20, .mode = cache::Mode::off});
  world.ask(kHead + World::turn("hello"));
  const Answer again = world.ask(kHead + World::turn("hello"));
  EXPECT_EQ(again.ending.usage.reused_tokens(), 0);
  EXPECT_EQ(again.ending.usage.why, ReuseStop::disabled);
  EXPECT_EQ(world.cache().used_cells(), 0);
}

// An overfull pool delays, it never fails, and what is resumed goes on as if nothing had happened.
TEST(Scheduler, APoolSmallerThanDemandDelaysButLosesNothing) {
  engine::Overrides small;
  small.cells = 1024;
  small.context = 1024;
  World world(small);
  std::vector<std::shared_ptr<Stream>> streams;
  for (int i = 0; i < 6; ++i) {
    const std::string own(350, static_cast<char>('a' + i));
    streams.push_back(
        world.submit(world.request("<|im_start|>system\n" + own + "<|im_end|>\n" + World::turn("long story"))));
  }
  world.run();
  for (const auto& stream : streams) {
    const Answer answer = World::take(*stream);
    ASSERT_TRUE(answer.ended);
    EXPECT_EQ(answer.ending.reason, FinishReason::stop);
    EXPECT_TRUE(answer.text.ends_with("on and on.")) << answer.text;
  }
}

// Preempted, admitted again, preempted again would go on for ever: here little room is left beside a
// long prefill, and the youngest would just fit into it.
TEST(Scheduler, APreemptedSequenceIsNotAdmittedIntoTheRoomItLeft) {
  engine::Overrides small;
  small.cells = 1000;
  small.context = 1000;
  World world(small);
  const auto prompt = [](std::size_t n, char c) { return std::string(n, c) + World::turn("long story"); };
  std::vector<std::shared_ptr<Stream>> streams{world.submit(world.request(prompt(60, 'd')))};
  for (int i = 0; i < 3; ++i) world.scheduler().step();
  streams.push_back(world.submit(world.request(prompt(650, 'a'))));
  streams.push_back(world.submit(world.request(prompt(350, 'b'))));
  streams.push_back(world.submit(world.request(prompt(2, 'c'))));
  for (int round = 0; round < 5000 && world.scheduler().step(); ++round) {
  }
  for (const auto& stream : streams) EXPECT_TRUE(World::take(*stream).text.ends_with("on and on."));
}

TEST(Scheduler, SlowReadersHoldCellsButNoPlace) {
  SchedulerOptions options;
  options.parallel = 2;
  World world({}, {.memory_bytes = 0}, options);
  std::vector<std::shared_ptr<Stream>> slow;
  for (int i = 0; i < 2; ++i) slow.push_back(world.submit(world.request(World::turn("long story")), 4));
  world.run();
  EXPECT_EQ(world.ask(World::turn("count to ten")).text, "one two three up to ten");
}

TEST(Scheduler, ACancelledRequestEndsOnceAndKeepsWhatItComputed) {
  World world;
  const auto stream = world.submit(world.request(kHead + World::turn("hello")));
  for (int i = 0; i < 3; ++i) world.scheduler().step();
  stream->cancel();
  world.run();
  const Answer cancelled = World::take(*stream);
  EXPECT_EQ(cancelled.ending.reason, FinishReason::cancelled);
  const Answer retry = world.ask(kHead + World::turn("hello"));
  EXPECT_GE(retry.ending.usage.reused_tokens(), 512);
}

TEST(Scheduler, ACancelledWaitingRequestNeverRuns) {
  SchedulerOptions one;
  one.parallel = 1;
  World world({}, {.memory_bytes = 0}, one);
  const auto first = world.submit(world.request(World::turn("long story")));
  const auto second = world.submit(world.request(World::turn("hello")));
  world.scheduler().step();
  second->cancel();
  world.run();
  EXPECT_EQ(World::take(*second).ending.reason, FinishReason::cancelled);
  EXPECT_EQ(World::take(*first).ending.reason, FinishReason::stop);
}

// The sequence of a client that does not read parks; others go on.
TEST(Scheduler, ASlowReaderParksItsSequenceOnly) {
  World world;
  const auto slow = world.submit(world.request(World::turn("long story")), 4);
  const auto quick = world.submit(world.request(World::turn("count to ten")));
  world.run();
  EXPECT_TRUE(World::take(*quick).ended);
  std::string text;
  Answer part = World::take(*slow);
  EXPECT_FALSE(part.ended);
  while (!part.ended) {
    text += part.text;
    world.run();
    part = World::take(*slow);
  }
  EXPECT_TRUE((text + part.text).ends_with("on and on."));
}

TEST(Scheduler, StopStringsEndTheTurnBeforeThem) {
  World world;
  auto r = world.request(World::turn("count to ten"));
  r.stops = {"three", "zzz"};
  const Answer answer = world.ask(std::move(r));
  EXPECT_EQ(answer.text, "one two ");
  EXPECT_EQ(answer.ending.stop, "three");
}

TEST(Scheduler, TokenLimitsAreKeptAndSaidSo) {
  World world;
  auto r = world.request(World::turn("long story"));
  r.tokens_max = 5;
  const Answer answer = world.ask(std::move(r));
  EXPECT_EQ(answer.ending.usage.completion_tokens, 5);
  EXPECT_EQ(answer.text, "Once ");
  EXPECT_EQ(answer.ending.reason, FinishReason::length);
}

TEST(Scheduler, TheContextIsALimitToo) {
  engine::Overrides small;
  small.context = 128;
  small.cells = 512;
  World world(small);
  const std::string prompt = World::turn("long story " + std::string(70, 'x'));
  const Answer answer = world.ask(prompt);
  EXPECT_EQ(answer.ending.reason, FinishReason::length);
  EXPECT_EQ(answer.ending.usage.prompt_tokens + answer.ending.usage.completion_tokens, 128);
}

TEST(Scheduler, APromptThatCannotFitIsRefusedWithNumbers) {
  engine::Overrides small;
  small.context = 100;
  World world(small);
  const Status status = world.scheduler().submit(world.request(kHead), std::make_shared<Stream>(10));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::too_long);
  EXPECT_NE(status.error().message.find("> 99 maximum"), std::string::npos) << status.error().message;
}

TEST(Scheduler, ConstraintsOverruleTheModel) {
  World world;
  auto r = world.request(World::turn("count to ten"));
  r.constraint.lark = R"(start: "{\"n\": " /[0-9]+/ "}")";
  const Answer answer = world.ask(std::move(r));
  EXPECT_EQ(answer.ending.reason, FinishReason::stop);
  EXPECT_TRUE(answer.text.starts_with("{\"n\": ") && answer.text.ends_with("}")) << answer.text;
}

TEST(Scheduler, TooManyWaitingRequestsAreRefused) {
  SchedulerOptions options;
  options.parallel = 1;
  options.waiting_max = 2;
  World world({}, {.memory_bytes = 0}, options);
  std::vector<std::shared_ptr<Stream>> streams;
  for (int i = 0; i < 3; ++i) streams.push_back(world.submit(world.request(World::turn("hello"))));
  const Status status = world.scheduler().submit(world.request(World::turn("x")), std::make_shared<Stream>(10));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::busy);
  world.run();
  for (const auto& stream : streams) EXPECT_TRUE(World::take(*stream).ended);
}

// Seeded synthetic traffic over a pool smaller than demand: parents, siblings, cancels, slow
// readers. Every request ends exactly once with the right text, no cell is wrong, none leaks.
TEST(Scheduler, RandomTrafficEndsEveryRequestOnceWithTheRightText) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    engine::Overrides small;
    small.cells = 3000;
    small.context = 1500;
    World world(small, {.memory_bytes = random() % 2 == 0 ? 200'000U : 2'000U});
    struct Running {
      std::shared_ptr<Stream> stream;
      std::string wanted;
      std::string text;
      bool cancelled = false;
    };
    std::vector<Running> running;
    int ended = 0;
    int submitted = 0;
    for (int round = 0; round < 1500; ++round) {
      if (running.size() < 12 && random() % 3 == 0 && submitted < 120) {
        const std::string head(200 + 100 * (random() % 8), static_cast<char>('a' + random() % 3));
        const std::string word(1 + random() % 5, static_cast<char>('k' + random() % 4));
        auto r = world.request("<|im_start|>system\n" + head + "<|im_end|>\n" + World::turn("count to " + word));
        running.push_back({world.submit(std::move(r), 1 + random() % 64), "one two three up to " + word, "", false});
        ++submitted;
      }
      world.scheduler().step();
      for (std::size_t i = running.size(); i-- > 0;) {
        Running& one = running[i];
        if (random() % 200 == 0) {
          one.stream->cancel();
          one.cancelled = true;
        }
        if (random() % 2 == 0) continue;
        const Answer answer = World::take(*one.stream);
        one.text += answer.text;
        if (!answer.ended) continue;
        ++ended;
        if (one.cancelled && answer.ending.reason == FinishReason::cancelled) {
          EXPECT_TRUE(one.wanted.starts_with(one.text));
        } else {
          ASSERT_EQ(answer.ending.reason, FinishReason::stop) << answer.ending.error.message;
          EXPECT_EQ(one.text, one.wanted);
        }
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
      }
      ASSERT_LE(world.cache().used_cells(), 3000);
      ASSERT_LE(world.cache().tree().bytes(), world.cache().tree().budget_bytes());
    }
    for (int round = 0; round < 20'000 && !running.empty(); ++round) {
      world.scheduler().step();
      for (std::size_t i = running.size(); i-- > 0;) {
        const Answer answer = World::take(*running[i].stream);
        if (!answer.ended) continue;
        ++ended;
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    EXPECT_EQ(ended, submitted);
    EXPECT_EQ(world.scheduler().stats().running + world.scheduler().stats().waiting, 0);
  }
}

// Shared heads, forks, loads and clients that leave, on cells for less than two of them: when fewer
// than no cells seem free, nobody may decode what was not planned.
TEST(Scheduler, ACrowdOnFewCellsEndsEveryRequestWithoutAnError) {
  engine::Overrides few;
  few.cells = 1200;
  few.context = 1000;
  few.sequences = 12;
  World world(few, {.memory_bytes = 200'000});
  std::mt19937 random(7);
  for (int round = 0; round < 150; ++round) {
    std::vector<std::shared_ptr<Stream>> streams;
    for (int i = 0; i < 8; ++i) {
      const std::string head(300 + random() % 300, static_cast<char>('a' + random() % 3));
      streams.push_back(
          world.submit(world.request(head + World::turn("count to x" + std::string(random() % 99, 'y')))));
    }
    for (std::size_t steps = random() % 30; steps > 0; --steps) world.scheduler().step();
    streams[random() % 8]->cancel();
    world.run();
    for (const auto& stream : streams) {
      const Answer answer = World::take(*stream);
      ASSERT_TRUE(answer.ended);
      ASSERT_EQ(answer.ending.error.message, "");
    }
  }
}

}  // namespace
}  // namespace kvern::schedule
