// Tokens the grammar forces are taken without a draw, several to a step; nothing else may change.
#include <gtest/gtest.h>

#include "schedule/scheduler_test_world.h"

namespace kvern::schedule {
namespace {

constexpr const char* kCall =
    R"(start: "{\"name\": \"" /[a-z]{3}/ "\", \"arguments\": {\"path\": \"" /[a-z]{4}/ "\"}}")";

GenerateRequest call(const World& world, const std::string& prompt, const char* lark = kCall) {
  GenerateRequest r = world.request(prompt);
  r.constraint.lark = lark;
  return r;
}

// A matcher that forces nothing, so that every token is drawn.
class DrawingMatcher final : public constrain::Matcher {
 public:
  explicit DrawingMatcher(std::unique_ptr<constrain::Matcher> inner) : inner_(std::move(inner)) {}
  bool allows(TokenId token) override { return inner_->allows(token); }
  Result<std::span<const std::uint32_t>> mask() override { return inner_->mask(); }
  Status accept(TokenId token) override { return inner_->accept(token); }
  bool finished() const override { return inner_->finished(); }
  std::vector<TokenId> forced() override { return {}; }
  std::size_t allowed_of(std::span<const TokenId> tokens) override { return inner_->allowed_of(tokens); }

 private:
  std::unique_ptr<constrain::Matcher> inner_;
};

class DrawingCompiler final : public constrain::Compiler {
 public:
  explicit DrawingCompiler(std::unique_ptr<constrain::Compiler> inner) : inner_(std::move(inner)) {}
  Result<std::shared_ptr<const constrain::Compiled>> compile(const std::string& lark) override {
    TRY(auto compiled, inner_->compile(lark));
    return std::make_shared<const Drawing>(std::move(compiled));
  }
  std::size_t compiled_count() const override { return inner_->compiled_count(); }

 private:
  struct Drawing final : constrain::Compiled {
    explicit Drawing(std::shared_ptr<const constrain::Compiled> one) : inner(std::move(one)) {}
    std::unique_ptr<constrain::Matcher> start() const override {
      return std::make_unique<DrawingMatcher>(inner->start());
    }
    std::shared_ptr<const constrain::Compiled> inner;
  };
  std::unique_ptr<constrain::Compiler> inner_;
};

std::unique_ptr<constrain::Compiler> drawing(std::unique_ptr<constrain::Compiler> inner) {
  return std::make_unique<DrawingCompiler>(std::move(inner));
}

// Says what should be said, token by token.
class DrawingWorld : public World {
 public:
  DrawingWorld() : World({}, {.memory_bytes = 64 << 20}, {}, kScript, drawing) {}
};

TEST(SchedulerForced, ForcedTokensCostNoStepsOfTheirOwnAndTheTextIsTheSame) {
  World with;
  const Told quick = tell(with, call(with, World::turn("hello")));
  DrawingWorld without;
  const Told slow = tell(without, call(without, World::turn("hello")));
  EXPECT_EQ(quick.answer.text, slow.answer.text);
  EXPECT_TRUE(quick.answer.text.ends_with("\"}}")) << quick.answer.text;
  EXPECT_EQ(quick.answer.ending.reason, FinishReason::stop);
  const Usage& usage = quick.answer.ending.usage;
  EXPECT_EQ(usage.completion_tokens, slow.answer.ending.usage.completion_tokens);
  EXPECT_EQ(slow.answer.ending.usage.forced_tokens, 0);
  EXPECT_GT(usage.forced_tokens, 30);
  EXPECT_EQ(usage.forced_tokens + quick.steps, slow.steps);
}

TEST(SchedulerForced, WithLogProbabilitiesEveryTokenHasItsOwn) {
  World world;
  GenerateRequest r = call(world, World::turn("hello"));
  r.sampling.top_logprobs = 0;
  const auto stream = world.submit(std::move(r));
  world.run();
  std::vector<Step> steps;
  const auto ending = stream->take(steps);
  ASSERT_TRUE(ending);
  EXPECT_EQ(ending->usage.forced_tokens, 0);
  for (const Step& step : steps) {
    ASSERT_TRUE(step.logprobs);
    EXPECT_EQ(step.logprobs->drawn.token, step.token);
  }
}

// A seed promises the same text; where a run is cut must not matter.
TEST(SchedulerForced, WithASeedTheTextDoesNotDependOnHowFastItIsRead) {
  World world;
  const auto seeded = [&](std::size_t capacity) {
    GenerateRequest r = call(world, World::turn("hello"));
    r.sampling.temperature = 5;
    r.sampling.seed = 42;
    const auto stream = world.submit(std::move(r), capacity);
    Answer answer;
    std::string text;
    while (!answer.ended) {
      world.run();
      answer = World::take(*stream);
      text += answer.text;
    }
    return text;
  };
  const std::string wanted = seeded(1000);
  for (const std::size_t capacity : {1U, 2U, 3U, 5U, 9U}) EXPECT_EQ(seeded(capacity), wanted) << capacity;
}

TEST(SchedulerForced, EveryTokenIsAStepOfTheStream) {
  World world;
  const auto stream = world.submit(call(world, World::turn("hello")));
  world.run();
  std::vector<Step> steps;
  const auto ending = stream->take(steps);
  ASSERT_TRUE(ending);
  EXPECT_EQ(steps.size(), static_cast<std::size_t>(ending->usage.completion_tokens));
  std::string bytes;
  for (const Step& step : steps) bytes += world.engine().vocab().piece(step.token);
  EXPECT_TRUE(bytes.starts_with("{\"name\": \""));
}

// Batches far smaller than what is pending: runs are computed in parts, nobody is left out.
TEST(SchedulerForced, ManyAtOnceSayWhatEachSaysAlone) {
  DrawingWorld alone;
  const std::string wanted = tell(alone, call(alone, World::turn("hello"))).answer.text;
  for (const std::int32_t batch : {4, 8, 512}) {
    SchedulerOptions options;
    options.parallel = 6;
    options.limits = {batch, {}};
    World world({}, {.memory_bytes = 64 << 20}, options);
    std::vector<std::shared_ptr<Stream>> calls;
    std::vector<std::shared_ptr<Stream>> texts;
    for (int i = 0; i < 3; ++i) {
      calls.push_back(world.submit(call(world, World::turn("hello"))));
      texts.push_back(world.submit(world.request(World::turn("count to ten"))));
    }
    world.run();
    for (const auto& stream : calls) EXPECT_EQ(World::take(*stream).text, wanted) << batch;
    for (const auto& stream : texts) EXPECT_EQ(World::take(*stream).text, "one two three up to ten") << batch;
  }
}

// Every step of this stream has forced tokens in it.
TEST(SchedulerForced, AGrammarThatForcesAfterEveryDrawKeepsNoPromptFromBeingComputed) {
  World world;
  world.engine().charge(world.clock(), {10'000, 100, 0});
  GenerateRequest r = call(world, World::turn("hello"), R"(start: (/[a-z]/ "--")+ "!")");
  r.tokens_max = 3000;
  const auto endless = world.submit(std::move(r));
  for (int i = 0; i < 4; ++i) world.scheduler().step();
  const auto prompt = world.submit(world.request(World::turn(std::string(20, 'p'))));
  Answer answer;
  for (int steps = 0; !answer.ended && steps < 100; ++steps) {
    world.scheduler().step();
    answer = World::take(*prompt);
  }
  EXPECT_TRUE(answer.ended);
  EXPECT_FALSE(World::take(*endless).ended) << "there was a stream to wait for";
}

TEST(SchedulerForced, TokenLimitsCutARun) {
  World world;
  for (int tokens = 1; tokens < 30; ++tokens) {
    GenerateRequest r = call(world, World::turn("hello"));
    r.tokens_max = tokens;
    const Answer answer = world.ask(std::move(r));
    EXPECT_EQ(answer.ending.usage.completion_tokens, tokens);
    EXPECT_EQ(answer.ending.reason, FinishReason::length);
    EXPECT_EQ(answer.text.size(), static_cast<std::size_t>(tokens));
  }
}

TEST(SchedulerForced, AStopStringWithinARunEndsTheTurnBeforeIt) {
  World world;
  GenerateRequest r = call(world, World::turn("hello"));
  r.stops = {"me\""};
  const Answer answer = world.ask(std::move(r));
  EXPECT_EQ(answer.text, "{\"na");
  EXPECT_EQ(answer.ending.stop, "me\"");
}

TEST(SchedulerForced, ARunNeverFillsAStreamBeyondItsRoom) {
  World world;
  const std::string wanted = tell(world, call(world, World::turn("hello"))).answer.text;
  const auto stream = world.submit(call(world, World::turn("hello")), 4);
  std::string text;
  std::optional<Ending> ending;
  while (!ending) {
    world.run();
    std::vector<Step> steps;
    ending = stream->take(steps);
    ASSERT_LE(steps.size(), 4U);
    for (const Step& step : steps) text += step.text;
  }
  EXPECT_EQ(text, wanted);
}

// Between the draw that began a run and the step that computes it.
TEST(SchedulerForced, ACancelWithinARunLeavesACacheThatIsRight) {
  World world;
  const std::string prompt = kHead + World::turn("hello");
  const auto stream = world.submit(call(world, prompt));
  Answer part;
  while (part.text.empty()) {
    world.scheduler().step();
    part = World::take(*stream);
  }
  ASSERT_GT(part.text.size(), 1U) << "a run is pending";
  stream->cancel();
  world.run();
  EXPECT_EQ(World::take(*stream).ending.reason, FinishReason::cancelled);
  const Answer next = world.ask(prompt + part.text + "<|im_end|>\n" + World::turn("count to ten"));
  EXPECT_EQ(next.text, "one two three up to ten");
  EXPECT_GE(next.ending.usage.reused_tokens(), static_cast<std::int32_t>(world.tokens(prompt).size()));
}

// Cells for about two of them: somebody is always sent back, often with a run pending.
TEST(SchedulerForced, PreemptionWithinARunLosesNothing) {
  constexpr const char* kLong =
      R"(start: "<call>" /[a-z]{2}/ " a long text that is the same in every call " /[a-z]{2}/ " and goes on </call>")";
  DrawingWorld alone;
  engine::Overrides small;
  small.cells = 420;
  small.context = 400;
  World world(small, {.memory_bytes = 100'000});
  std::vector<std::shared_ptr<Stream>> streams;
  std::vector<std::string> wanted;
  for (int i = 0; i < 4; ++i) {
    const std::string prompt = std::string(90, static_cast<char>('a' + i)) + World::turn("hello");
    wanted.push_back(tell(alone, call(alone, prompt, kLong)).answer.text);
    streams.push_back(world.submit(call(world, prompt, kLong)));
  }
  int sent_back = 0;
  std::int32_t running = 0;
  std::int32_t ended = 0;
  std::vector<Answer> answers(streams.size());
  for (int round = 0; round < 5000 && ended < 4; ++round) {
    world.scheduler().step();
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (answers[i].ended) continue;
      const Answer part = World::take(*streams[i]);
      answers[i].text += part.text;
      answers[i].ended = part.ended;
      answers[i].ending = part.ending;
      ended += part.ended;
    }
    const std::int32_t now = world.scheduler().stats().running;
    sent_back += now + ended < running;
    running = now + ended;
  }
  EXPECT_GT(sent_back, 0);
  for (std::size_t i = 0; i < streams.size(); ++i) {
    EXPECT_EQ(answers[i].text, wanted[i]);
    EXPECT_EQ(answers[i].ending.reason, FinishReason::stop) << answers[i].ending.error.message;
  }
}

class SchedulerForcedStates : public testing::TestWithParam<const char*> {};

// The end of a run was never computed: the next turn does that, and reuses all before it.
TEST_P(SchedulerForcedStates, ATurnThatEndedInARunIsReusedByTheNext) {
  const std::string kind = GetParam();
  const std::string window = kind == "sliding_window" ? R"(, "window": 100)" : "";
  World world({}, {.memory_bytes = 64 << 20}, {},
              R"({"context": 8192, "state": ")" + kind + "\"" + window + R"(, "rules": [{"say": "Fine."}]})");
  const std::string first = kHead + World::turn("hello");
  const Answer one = world.ask(call(world, first));
  const std::string second = first + one.text + "<|im_end|>\n" + World::turn("and on");
  const Answer two = world.ask(second);
  EXPECT_EQ(two.text, "Fine.");
  const auto fresh = static_cast<std::int32_t>(world.tokens(second).size() - world.tokens(first + one.text).size());
  const auto run = static_cast<std::int32_t>(std::string("\"}}").size());
  EXPECT_GE(two.ending.usage.computed_tokens(), fresh);
  EXPECT_LE(two.ending.usage.computed_tokens(), fresh + run + 1);
}

INSTANTIATE_TEST_SUITE_P(Kinds, SchedulerForcedStates,
                         testing::Values("attention", "sliding_window", "hybrid", "recurrent"),
                         [](const auto& kind) { return std::string(kind.param); });

// Calls among texts over a pool smaller than demand, clients that read slowly or leave.
TEST(SchedulerForced, RandomTrafficWithGrammarsEndsEveryRequestWithItsText) {
  DrawingWorld alone;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    engine::Overrides small;
    small.cells = 1500;
    small.context = 1000;
    SchedulerOptions options;
    options.limits = {static_cast<std::int32_t>(8 + random() % 64), {}};
    World world(small, {.memory_bytes = random() % 2 == 0 ? 100'000U : 2'000U}, options);
    struct Running {
      std::shared_ptr<Stream> stream;
      std::string wanted;
      std::string text;
      bool cancelled = false;
    };
    std::vector<Running> running;
    int submitted = 0;
    for (int round = 0; round < 20'000 && (submitted < 60 || !running.empty()); ++round) {
      if (submitted < 60 && running.size() < 10 && random() % 3 == 0) {
        const std::string head(100 + 50 * (random() % 8), static_cast<char>('a' + random() % 3));
        const std::string prompt = head + World::turn("count to " + std::string(1 + random() % 4, 'k'));
        const bool calls = random() % 2 == 0;
        GenerateRequest r = calls ? call(world, prompt) : world.request(prompt);
        const std::string wanted = tell(alone, calls ? call(alone, prompt) : alone.request(prompt)).answer.text;
        running.push_back({world.submit(std::move(r), 1 + random() % 40), wanted, "", false});
        ++submitted;
      }
      world.scheduler().step();
      for (std::size_t i = running.size(); i-- > 0;) {
        Running& one = running[i];
        if (random() % 300 == 0) {
          one.stream->cancel();
          one.cancelled = true;
        }
        if (random() % 2 == 0) continue;
        const Answer answer = World::take(*one.stream);
        one.text += answer.text;
        if (!answer.ended) continue;
        ASSERT_EQ(answer.ending.error.message, "");
        if (answer.ending.reason == FinishReason::cancelled) {
          EXPECT_TRUE(one.cancelled && one.wanted.starts_with(one.text));
        } else {
          EXPECT_EQ(one.text, one.wanted);
        }
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    EXPECT_EQ(submitted, 60);
    EXPECT_TRUE(running.empty());
  }
}

}  // namespace
}  // namespace kvern::schedule
