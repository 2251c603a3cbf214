#include "schedule/scheduler_test_world.h"

namespace kvern::schedule {
namespace {

// States that cannot be cut: the prefill stops where prompts part, and the siblings go on from there.
class SchedulerWithStates : public testing::TestWithParam<const char*> {
 protected:
  static std::string script() {
    const std::string kind = GetParam();
    const std::string window = kind == "sliding_window" ? R"(, "window": 100)" : "";
    return R"({"context": 8192, "state": ")" + kind + "\"" + window + R"(, "rules": [{"say": "Fine."}]})";
  }
};

TEST_P(SchedulerWithStates, SiblingsAtOnceComputeTheirSharedHeadOnce) {
  World world({}, {.memory_bytes = 64 << 20}, {}, script());
  std::vector<std::shared_ptr<Stream>> streams;
  for (const char* user : {"alpha", "bravo", "charlie", "delta"})
    streams.push_back(world.submit(world.request(kHead + World::turn(user))));
  world.run();
  std::int32_t computed = 0;
  for (const auto& stream : streams) {
    const Answer answer = World::take(*stream);
    EXPECT_EQ(answer.text, "Fine.");
    computed += answer.ending.usage.computed_tokens();
  }
  const auto head = static_cast<std::int32_t>(world.tokens(kHead).size());
  EXPECT_LT(computed, head + 4 * 60);
}

TEST_P(SchedulerWithStates, TheSecondBranchOfAPromptFindsWhereTheFirstParted) {
  World world({}, {.memory_bytes = 64 << 20}, {}, script());
  world.ask(kHead + World::turn("alpha"));
  const Answer second = world.ask(kHead + World::turn("bravo"));
  EXPECT_EQ(second.ending.usage.why, ReuseStop::snapshot) << "nobody knew that prompts part there";
  const Answer third = world.ask(kHead + World::turn("charlie"));
  EXPECT_LT(third.ending.usage.computed_tokens(), 60) << "now it is known";
}

TEST_P(SchedulerWithStates, AnExactRepeatOfARawPromptComputesOneToken) {
  World world({}, {.memory_bytes = 64 << 20}, {}, script());
  world.ask(kHead + World::turn("alpha"));
  EXPECT_EQ(world.ask(kHead + World::turn("alpha")).ending.usage.computed_tokens(), 1);
}

TEST_P(SchedulerWithStates, ABoundaryOfThePromptIsAPlaceToReturnTo) {
  World world({}, {.memory_bytes = 64 << 20}, {}, script());
  GenerateRequest first = world.request(kHead + World::turn("alpha"));
  first.prompt.boundaries = {static_cast<std::int32_t>(world.tokens(kHead).size())};
  world.ask(std::move(first));
  EXPECT_LT(world.ask(kHead + World::turn("bravo")).ending.usage.computed_tokens(), 60);
}

TEST_P(SchedulerWithStates, ASecondTurnComputesOnlyItsNewTokens) {
  World world({}, {.memory_bytes = 64 << 20}, {}, script());
  const std::string first = kHead + World::turn("alpha");
  const Answer one = world.ask(first);
  const std::string second = first + one.text + "<|im_end|>\n" + World::turn("and on");
  const auto fresh = world.tokens(second).size() - world.tokens(first + one.text).size();
  EXPECT_EQ(world.ask(second).ending.usage.computed_tokens(), static_cast<std::int32_t>(fresh));
}

INSTANTIATE_TEST_SUITE_P(Kinds, SchedulerWithStates, testing::Values("sliding_window", "hybrid", "recurrent"),
                         [](const auto& kind) { return std::string(kind.param); });

}  // namespace
}  // namespace kvern::schedule
