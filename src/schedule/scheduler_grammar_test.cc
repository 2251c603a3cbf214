// When grammars are compiled, and what becomes of a turn whose grammar fails.
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "schedule/scheduler_test_world.h"

namespace kvern::schedule {
namespace {

constexpr const char* kNumber = R"(start: "{\"n\": " /[0-9]+/ "}")";

// Open at first; closed, whoever compiles waits.
class Gate {
 public:
  void close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void open() {
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
    }
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void wait_for_arrivals(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int arrived_ = 0;
};

class GatedCompiler final : public constrain::Compiler {
 public:
  GatedCompiler(std::unique_ptr<constrain::Compiler> inner, Gate& gate) : inner_(std::move(inner)), gate_(gate) {}
  Result<std::shared_ptr<const constrain::Compiled>> compile(const std::string& lark) override {
    gate_.pass();
    return inner_->compile(lark);
  }
  std::size_t compiled_count() const override { return inner_->compiled_count(); }

 private:
  std::unique_ptr<constrain::Compiler> inner_;
  Gate& gate_;
};

class LateGrammar : public testing::Test {
 protected:
  LateGrammar() { gate_.close(); }
  ~LateGrammar() override { finish_compiling(); }

  // Its prompt is queued when this returns; its grammar is not compiled yet.
  std::shared_ptr<Stream> submit_late(const std::string& prompt, const char* lark = kNumber) {
    GenerateRequest r = world_.request(prompt);
    r.constraint.lark = lark;
    auto stream = std::make_shared<Stream>(1000);
    threads_.emplace_back([this, r = std::move(r), stream]() mutable {
      const Status status = world_.scheduler().submit(std::move(r), stream);
      EXPECT_TRUE(status) << status.error().message;
    });
    gate_.wait_for_arrivals(static_cast<int>(threads_.size()));
    return stream;
  }

  void finish_compiling() {
    gate_.open();
    threads_.clear();
  }

  Gate gate_;
  World world_{{}, {.memory_bytes = 64 << 20}, {}, kScript, [this](std::unique_ptr<constrain::Compiler> inner) {
                 return std::make_unique<GatedCompiler>(std::move(inner), gate_);
               }};
  std::vector<std::jthread> threads_;
};

TEST_F(LateGrammar, ThePromptIsComputedWhileItsGrammarIsCompiled) {
  const auto prompt = static_cast<std::int32_t>(world_.tokens(kHead + World::turn("hello")).size());
  const auto stream = submit_late(kHead + World::turn("hello"));
  world_.run();
  EXPECT_EQ(world_.cache().used_cells(), prompt - 1) << "all but the token to draw after";
  EXPECT_EQ(World::take(*stream).text, "");
  finish_compiling();
  EXPECT_LT(world_.run(), 10) << "nothing is computed again";
  const Answer answer = World::take(*stream);
  EXPECT_TRUE(answer.text.starts_with("{\"n\": ") && answer.text.ends_with("}")) << answer.text;
  EXPECT_EQ(answer.ending.usage.computed_tokens(), prompt);
}

TEST_F(LateGrammar, OthersRunMeanwhileAndTakeItsPlace) {
  std::vector<std::shared_ptr<Stream>> streams;
  for (int i = 0; i < 4; ++i) streams.push_back(submit_late(World::turn("hello " + std::to_string(i))));
  world_.run();
  EXPECT_EQ(world_.ask(World::turn("count to ten")).text, "one two three up to ten");
  finish_compiling();
  world_.run();
  for (const auto& stream : streams) EXPECT_TRUE(World::take(*stream).text.ends_with("}"));
}

TEST_F(LateGrammar, AGrammarThatIsNoneEndsItsTurnWithItsError) {
  const auto stream = submit_late(World::turn("hello"), "start: (");
  world_.run();
  finish_compiling();
  world_.run();
  const Answer answer = World::take(*stream);
  ASSERT_TRUE(answer.ended);
  EXPECT_EQ(answer.ending.reason, FinishReason::failed);
  EXPECT_EQ(answer.ending.error.code, Code::invalid);
  EXPECT_NE(answer.ending.error.message, "");
  EXPECT_EQ(world_.ask(World::turn("count to ten")).text, "one two three up to ten");
}

// Not admitted yet when its grammar turns out to be none.
TEST_F(LateGrammar, AWaitingRequestEndsWithItsGrammarsErrorToo) {
  const auto stream = submit_late(World::turn("hello"), "start: (");
  finish_compiling();
  world_.run();
  EXPECT_EQ(World::take(*stream).ending.reason, FinishReason::failed);
  EXPECT_EQ(world_.cache().used_cells(), 0);
}

TEST_F(LateGrammar, ACancelDoesNotWaitForTheCompiler) {
  const auto stream = submit_late(World::turn("hello"));
  world_.run();
  stream->cancel();
  world_.run();
  EXPECT_EQ(World::take(*stream).ending.reason, FinishReason::cancelled);
}

// The gate is closed: submit() would not return.
TEST_F(LateGrammar, NothingIsCompiledForWhoLeftBefore) {
  GenerateRequest request = world_.request(World::turn("hello"));
  request.constraint.lark = kNumber;
  const auto stream = std::make_shared<Stream>(1000);
  stream->cancel();
  const Status status = world_.scheduler().submit(std::move(request), stream);
  EXPECT_TRUE(status) << status.error().message;
  world_.run();
  EXPECT_EQ(World::take(*stream).ending.reason, FinishReason::cancelled);
}

TEST_F(LateGrammar, TheEndOfTheSchedulerDoesNotWaitForTheCompiler) {
  const auto stream = submit_late(World::turn("hello"));
  std::stop_source stop;
  stop.request_stop();
  world_.scheduler().run(stop.get_token());
  EXPECT_EQ(World::take(*stream).ending.reason, FinishReason::cancelled);
}

// The engine's thread sleeps while only grammars are missing: their arrival wakes it.
TEST_F(LateGrammar, AFinishedGrammarWakesTheScheduler) {
  const std::jthread engine([this](const std::stop_token& stop) { world_.scheduler().run(stop); });
  const auto stream = submit_late(World::turn("hello"));
  gate_.open();
  std::string text;
  Answer part;
  while (!part.ended) {
    stream->wait();
    part = World::take(*stream);
    text += part.text;
  }
  EXPECT_TRUE(text.ends_with("}")) << text;
}

TEST(SchedulerGrammar, TheFirstTokenMayBeForced) {
  World world;
  GenerateRequest r = world.request(World::turn("hello"));
  r.constraint.lark = R"(start: "exactly this")";
  const Answer answer = world.ask(std::move(r));
  EXPECT_EQ(answer.text, "exactly this");
  EXPECT_EQ(answer.ending.reason, FinishReason::stop);
}

// Allows everything, until so many tokens were accepted: then it is out of budget.
class TiringMatcher final : public constrain::Matcher {
 public:
  explicit TiringMatcher(int tokens) : left_(tokens) {}
  bool allows(TokenId) override { return left_ > 0; }
  Result<std::span<const std::uint32_t>> mask() override { return fail(Code::invalid, "out of budget"); }
  Status accept(TokenId) override {
    --left_;
    return {};
  }
  bool finished() const override { return false; }
  std::vector<TokenId> forced() override { return {}; }
  std::size_t allowed_of(std::span<const TokenId> tokens) override { return tokens.size(); }

 private:
  int left_;
};

class TiringCompiler final : public constrain::Compiler {
 public:
  Result<std::shared_ptr<const constrain::Compiled>> compile(const std::string& lark) override {
    return std::make_shared<const Tiring>(std::stoi(lark));
  }
  std::size_t compiled_count() const override { return 0; }

 private:
  struct Tiring final : constrain::Compiled {
    explicit Tiring(int n) : tokens(n) {}
    std::unique_ptr<constrain::Matcher> start() const override { return std::make_unique<TiringMatcher>(tokens); }
    int tokens;
  };
};

Ending ending_after(const char* tokens, std::string& text) {
  World world({}, {.memory_bytes = 0}, {}, kScript, [](auto) { return std::make_unique<TiringCompiler>(); });
  GenerateRequest r = world.request(World::turn("count to ten"));
  r.constraint.lark = tokens;
  const auto stream = world.submit(std::move(r));
  world.run();
  Answer answer = World::take(*stream);
  EXPECT_TRUE(answer.ended);
  text = answer.text;
  EXPECT_EQ(world.ask(world.request(World::turn("count to ten"))).text, "one two three up to ten");
  return answer.ending;
}

TEST(SchedulerGrammar, AGrammarThatFailsAfterSomeTextCutsTheTurn) {
  std::string text;
  const Ending ending = ending_after("7", text);
  EXPECT_EQ(text, "one two");
  EXPECT_EQ(ending.reason, FinishReason::length);
  EXPECT_EQ(ending.usage.completion_tokens, 7);
}

TEST(SchedulerGrammar, AGrammarThatFailsBeforeAnyTextFailsTheTurn) {
  std::string text;
  const Ending ending = ending_after("0", text);
  EXPECT_EQ(text, "");
  EXPECT_EQ(ending.reason, FinishReason::failed);
  EXPECT_EQ(ending.error.message, "out of budget");
}

}  // namespace
}  // namespace kvern::schedule
