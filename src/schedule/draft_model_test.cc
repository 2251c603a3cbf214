// A small model that guesses for a large one: both fake, so what each says is known to the letter.
#include "schedule/draft_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/scheduler_test_world.h"

namespace kvern::schedule {
namespace {

using ::testing::HasSubstr;

const std::string kStory = "Once upon a time there was a small model that knew what a large one would say.";

std::string says(const std::string& text, int context = 8192) {
  return R"({"context": )" + std::to_string(context) + R"(, "rules": [{"say": ")" + text + R"("}]})";
}

std::unique_ptr<engine::FakeEngine> fake(const std::string& script, engine::Overrides overrides = {}) {
  auto made = engine::make_fake_engine_from_text(script, overrides);
  CHECK(made.has_value(), made ? "" : made.error().message);
  return std::move(*made);
}

// A draft model alone, and the tokens of a conversation it is asked about.
class Drafter {
 public:
  explicit Drafter(const std::string& script, engine::Overrides overrides = {}) {
    auto engine = fake(script, overrides);
    engine_ = engine.get();
    engine_->charge(clock_, {.step_us = 100, .token_us = 10, .position_us = 0});
    model_ = std::move(*DraftModel::create(std::move(engine), vocab_, clock_));
  }

  std::vector<TokenId> tokens(const std::string& text) const {
    std::vector<TokenId> out;
    vocab_.tokenize(text, SpecialTokens::as_tokens, out);
    return out;
  }

  std::string guess(std::uint64_t stream, const std::string& text, std::int32_t tokens_max,
                    std::int32_t catch_up_max = 4096) {
    const std::vector<TokenId> all = tokens(text);
    DraftModel::Wanted wanted{stream, all, tokens_max, {}};
    DraftModel::Wanted* one = &wanted;
    model_->guess(std::span(&one, 1), catch_up_max);
    std::string out;
    for (const TokenId token : wanted.guessed) out += vocab_.piece(token);
    return out;
  }

  // After as many calls as it takes to catch up.
  void follow(std::uint64_t stream, const std::string& text) {
    while (model_->behind(stream, tokens(text)) > 0) guess(stream, text, 0);
  }

  DraftModel& model() { return *model_; }
  engine::FakeEngine& engine() { return *engine_; }

 private:
  FakeClock clock_;
  engine::FakeVocab vocab_;
  engine::FakeEngine* engine_ = nullptr;
  std::unique_ptr<DraftModel> model_;
};

const std::string kAsk = World::turn("Tell me a story.");

TEST(DraftModel, SaysWhatItFindsLikeliestAndKnowsWhereItIs) {
  Drafter drafter(says(kStory));
  EXPECT_EQ(drafter.guess(1, kAsk, 8), kStory.substr(0, 8));
  EXPECT_EQ(drafter.model().behind(1, drafter.tokens(kAsk)), 0);
  EXPECT_EQ(drafter.guess(1, kAsk + kStory.substr(0, 5), 4), kStory.substr(5, 4));
  // The large model went another way, and back: wrong guesses are forgotten.
  drafter.guess(1, kAsk + "Twice", 4);
  EXPECT_EQ(drafter.guess(1, kAsk + kStory.substr(0, 3), 3), kStory.substr(3, 3));
  EXPECT_EQ(engine::FakeEngine::mismatches(), 0U);
}

TEST(DraftModel, TheEndOfATurnIsNotGuessed) {
  Drafter drafter(says("Yes."));
  EXPECT_EQ(drafter.guess(1, kAsk, 16), "Yes.");
}

TEST(DraftModel, CatchesUpWithALongPromptOverSomeCalls) {
  Drafter drafter(says(kStory));
  const std::string prompt = kHead + kAsk;
  const auto all = static_cast<std::int32_t>(drafter.tokens(prompt).size());
  EXPECT_EQ(drafter.model().behind(7, drafter.tokens(prompt)), all - 1);
  int calls = 0;
  std::string guessed;
  for (; guessed.empty() && calls < 100; ++calls) guessed = drafter.guess(7, prompt, 4, 500);
  EXPECT_EQ(guessed, kStory.substr(0, 4));
  EXPECT_EQ(calls, all / 500 + 1);
  EXPECT_GT(drafter.model().catch_up_us(), 0);
  EXPECT_GT(drafter.model().guess_us(1), 0);
}

TEST(DraftModel, TheNextTurnGoesOnWhereTheLastOneWas) {
  Drafter drafter(says(kStory));
  drafter.follow(1, kHead + kAsk);
  drafter.guess(2, World::turn("Somebody else's words."), 4);
  drafter.guess(2, World::turn("Somebody else's words."), 4);
  const std::string next = kHead + kAsk + kStory + "<|im_end|>\n" + World::turn("Another.");
  // No more than the new turn, and the words the large model found by itself.
  const auto fresh = static_cast<std::int32_t>(drafter.tokens(next).size() - drafter.tokens(kHead + kAsk).size());
  EXPECT_NE(drafter.guess(3, next, 4, fresh + 1), "");
}

TEST(DraftModel, TwoStreamsWithOneHeadShareItsRows) {
  Drafter drafter(says(kStory));
  drafter.follow(1, kHead + kAsk);
  EXPECT_NE(drafter.guess(2, kHead + World::turn("What else?"), 4, 200), "");
  EXPECT_NE(drafter.guess(1, kHead + kAsk + kStory.substr(0, 2), 4, 200), "");
}

TEST(DraftModel, StreamsThatBeginTogetherWithOneHeadAllCatchUp) {
  Drafter drafter(says(kStory));
  std::vector<std::vector<TokenId>> tokens;
  for (const char* question : {"One?", "Two?", "Three?"})
    tokens.push_back(drafter.tokens(kHead + World::turn(question)));
  std::vector<std::string> guessed(3);
  for (int calls = 0; calls < 30; ++calls) {
    std::vector<DraftModel::Wanted> wanted;
    std::vector<DraftModel::Wanted*> asked;
    for (std::uint64_t i = 0; i < 3; ++i) wanted.push_back({i, tokens[i], 3, {}});
    for (DraftModel::Wanted& each : wanted) asked.push_back(&each);
    drafter.model().guess(asked, 800);
    for (std::size_t i = 0; i < 3; ++i) guessed[i] += std::string(wanted[i].guessed.size(), '.');
  }
  for (const std::string& each : guessed) EXPECT_GE(each.size(), 3U);
  EXPECT_EQ(engine::FakeEngine::mismatches(), 0U);
}

TEST(DraftModel, WhereCellsAreShortWhoIsNotAskedForGivesWay) {
  const auto prompt = [](char c) { return "<|im_start|>system\n" + std::string(600, c) + "<|im_end|>\n" + kAsk; };
  Drafter drafter(says(kStory), {.context = 0, .sequences = 4, .cells = 1500});
  for (const char c : std::string("abcabc"))
    EXPECT_EQ(drafter.guess(static_cast<std::uint64_t>(c), prompt(c), 4), kStory.substr(0, 4)) << c;
}

TEST(DraftModel, AConversationBeyondItsContextIsNotGuessed) {
  Drafter drafter(says(kStory, 512));
  EXPECT_EQ(drafter.guess(1, kHead + kAsk, 4), "");
  EXPECT_EQ(drafter.guess(2, kAsk, 4), kStory.substr(0, 4));
}

TEST(DraftModel, AModelThatCannotForgetIsRefused) {
  const engine::FakeVocab vocab;
  const FakeClock clock;
  const auto refused = DraftModel::create(fake(R"({"state": "recurrent", "rules": [{"say": "x"}]})"), vocab, clock);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "--draft");
  EXPECT_THAT(refused.error().message, HasSubstr("forget"));
}

// Another family's: one token is something else there.
class OtherVocab final : public Vocab {
 public:
  explicit OtherVocab(std::int32_t size = engine::FakeVocab::kSize) : size_(size) {}
  std::int32_t size() const override { return size_; }
  void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const override {
    like_.tokenize(text, special, out);
  }
  std::string_view piece(TokenId token) const override { return token == 65 ? "\n" : like_.piece(token); }
  bool is_control(TokenId token) const override { return like_.is_control(token); }
  bool ends_generation(TokenId token) const override { return like_.ends_generation(token); }
  TokenId find(std::string_view text) const override { return like_.find(text); }
  std::string_view bos_text() const override { return like_.bos_text(); }
  std::string_view eos_text() const override { return like_.eos_text(); }
  TokenId required_bos() const override { return like_.required_bos(); }

 private:
  engine::FakeVocab like_;
  std::int32_t size_;
};

TEST(DraftModel, AVocabularyOfAnotherFamilyIsRefusedAndNamed) {
  const FakeClock clock;
  const auto differs = DraftModel::create(fake(says("x")), OtherVocab(), clock);
  ASSERT_FALSE(differs);
  EXPECT_THAT(differs.error().message, HasSubstr(R"(token 65 is "A" to the draft model and "\n" to the model)"));
  const auto larger = DraftModel::create(fake(says("x")), OtherVocab(32000), clock);
  ASSERT_FALSE(larger);
  EXPECT_THAT(larger.error().message, HasSubstr("259 tokens and the model 32000"));
}

// The scheduler with both.
class DraftedWorld {
 public:
  explicit DraftedWorld(const std::string& large, const std::string& small, double small_us = 1'000,
                        engine::Overrides overrides = {})
      : step_us_(static_cast<std::int64_t>(small_us)),
        draft_(make(small, small_us)),
        world_(overrides, {.memory_bytes = 64 << 20}, options(), large) {
    world_.engine().charge(world_.clock(), {.step_us = 10'000, .token_us = 200, .position_us = 0});
  }

  World& world() { return world_; }
  // Steps the small model was asked for.
  std::int64_t draft_steps() const { return draft_clock_.now_us() / step_us_; }

 private:
  std::unique_ptr<DraftModel> make(const std::string& script, double step_us) {
    auto engine = fake(script, {.context = 0, .sequences = 4});
    engine->charge(draft_clock_, {.step_us = static_cast<std::int64_t>(step_us), .token_us = 1, .position_us = 0});
    return std::move(*DraftModel::create(std::move(engine), vocab_, draft_clock_));
  }

  SchedulerOptions options() {
    SchedulerOptions made;
    made.draft_model = draft_.get();
    return made;
  }

  engine::FakeVocab vocab_;
  FakeClock draft_clock_;
  const std::int64_t step_us_;
  std::unique_ptr<DraftModel> draft_;
  World world_;
};

const std::string kLong =
    "The quick brown fox jumps over the lazy dog while seven wizards box with jugs of liquid and nobody sees them do "
    "it at all.";

TEST(SchedulerDraftModel, AnAnswerTheSmallModelKnowsTakesAFractionOfTheSteps) {
  DraftedWorld with(says(kLong), says(kLong));
  const Told quick = tell(with.world(), with.world().request(kAsk));
  EXPECT_EQ(quick.answer.text, kLong);
  EXPECT_LT(quick.steps * 3, static_cast<int>(kLong.size()));
  const Usage& usage = quick.answer.ending.usage;
  EXPECT_EQ(usage.accepted_tokens, usage.drafted_tokens);
  EXPECT_EQ(usage.completion_tokens, static_cast<std::int32_t>(kLong.size()) + 1);
}

TEST(SchedulerDraftModel, OneThatIsWrongChangesNothingAndIsSeldomAsked) {
  DraftedWorld with(says(kLong), says("Something that has nothing to do with it, and goes on for as long as that."));
  const Told told = tell(with.world(), with.world().request(kAsk));
  EXPECT_EQ(told.answer.text, kLong);
  EXPECT_LT(told.answer.ending.usage.drafted_tokens, 40);
}

// It would end every turn behind the first word.
TEST(SchedulerDraftModel, OneThatSaysNothingIsSeldomAsked) {
  DraftedWorld with(says(kLong), says("The"));
  const Told told = tell(with.world(), with.world().request(kAsk));
  EXPECT_EQ(told.answer.text, kLong);
  EXPECT_LT(with.draft_steps(), 40);
}

TEST(SchedulerDraftModel, WhereItSaysNothingTheConversationIsAskedAsBefore) {
  const std::string file =
      "one line, and another line, and a third one: alpha beta gamma delta epsilon zeta eta theta.";
  const std::string ask = World::turn("Again: " + file);
  DraftedWorld with(says(file), says("o"));
  World without({}, {.memory_bytes = 64 << 20}, {}, says(file));
  without.engine().charge(without.clock(), {.step_us = 10'000, .token_us = 200, .position_us = 0});
  const Told a = tell(with.world(), with.world().request(ask));
  const Told b = tell(without, without.request(ask));
  EXPECT_EQ(a.answer.text, b.answer.text);
  EXPECT_LE(a.steps, b.steps * 5 / 4);
}

TEST(SchedulerDraftModel, AConversationBeyondItsContextIsGuessedWithoutIt) {
  DraftedWorld with(says(kLong), R"({"context": 64, "rules": [{"say": ")" + kLong + R"("}]})");
  const Told told = tell(with.world(), with.world().request(kAsk + kLong + "<|im_end|>\n" + kAsk));
  EXPECT_EQ(told.answer.text, kLong);
  EXPECT_GT(told.answer.ending.usage.accepted_tokens, 0) << "the conversation says it already";
  EXPECT_EQ(with.draft_steps(), 0);
}

TEST(SchedulerDraftModel, OneAsSlowAsTheLargeModelIsNotWorthAsking) {
  DraftedWorld with(says(kLong), says(kLong), 20'000);
  const Told told = tell(with.world(), with.world().request(kAsk));
  EXPECT_EQ(told.answer.text, kLong);
  EXPECT_LT(told.answer.ending.usage.drafted_tokens, 40) << "and these the conversation guessed";
}

TEST(SchedulerDraftModel, WhatIsSampledIsWhatWouldHaveBeenSampled) {
  int accepted = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto sampled = [seed](World& world) {
      GenerateRequest r = world.request(kAsk);
      r.sampling.temperature = 1.2F;
      r.sampling.top_k = 0;
      r.sampling.seed = seed;
      r.tokens_max = 100;
      return tell(world, std::move(r)).answer;
    };
    DraftedWorld with(says(kLong), says(kLong));
    World without({}, {.memory_bytes = 64 << 20}, {}, says(kLong));
    const Answer a = sampled(with.world());
    EXPECT_EQ(a.text, sampled(without).text) << "seed " << seed;
    accepted += a.ending.usage.accepted_tokens;
  }
  EXPECT_GT(accepted, 0);
}

TEST(SchedulerDraftModel, SeveralStreamsAreGuessedForTogether) {
  DraftedWorld with(says(kLong), says(kLong));
  World& world = with.world();
  std::vector<std::shared_ptr<Stream>> streams;
  for (int i = 0; i < 3; ++i) streams.push_back(world.submit(world.request(World::turn(std::string(40, 'a' + i)))));
  const int steps = world.run();
  EXPECT_LT(steps, 2 * static_cast<int>(kLong.size()));
  for (const auto& stream : streams) {
    const Answer answer = World::take(*stream);
    EXPECT_EQ(answer.text, kLong);
    EXPECT_GT(answer.ending.usage.accepted_tokens, 0);
  }
}

TEST(SchedulerDraftModel, AGrammarCutsItsGuesses) {
  DraftedWorld with(says(kLong), says(kLong));
  GenerateRequest r = with.world().request(kAsk);
  r.constraint.lark = R"(start: /The quick [a-z]{5} cat/)";
  const Answer answer = with.world().ask(std::move(r));
  EXPECT_EQ(answer.text, "The quick brown cat");
  EXPECT_GT(answer.ending.usage.drafted_tokens, 0);
  EXPECT_EQ(answer.ending.usage.drafted_tokens, answer.ending.usage.accepted_tokens) << "\"fox\" was not looked at";
}

TEST(SchedulerDraftModel, WhereTheLargeModelCannotForgetNothingIsGuessed) {
  const std::string large = R"({"state": "recurrent", "rules": [{"say": ")" + kLong + R"("}]})";
  DraftedWorld with(large, says(kLong));
  const Told told = tell(with.world(), with.world().request(kAsk));
  EXPECT_EQ(told.answer.text, kLong);
  EXPECT_EQ(told.answer.ending.usage.drafted_tokens, 0);
}

}  // namespace
}  // namespace kvern::schedule
