// What the scheduler's tests share: a scheduler over the cache over the fake engine, which checks at
// every step that each sequence's cells belong to its tokens.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "engine/fake/fake_engine.h"
#include "schedule/scheduler.h"

namespace kvern::schedule {

inline constexpr const char* kScript = R"json({"context": 8192, "rules": [
  {"when": "count to ([a-z]+)", "say": "one two three up to {{1}}"},
  {"when": "long story", "say": "Once upon a time there was a very long story that went on and on and on and on and on."},
  {"say": "Fine."}]})json";

struct Answer {
  std::string text;
  Ending ending;
  bool ended = false;
};

class World {
 public:
  // Stands between the scheduler and the compiler.
  using WrapCompiler = std::function<std::unique_ptr<constrain::Compiler>(std::unique_ptr<constrain::Compiler>)>;

  explicit World(engine::Overrides overrides = {}, cache::Options cache_options = {.memory_bytes = 64 << 20},
                 SchedulerOptions options = {}, const std::string& script = kScript, const WrapCompiler& wrap = {}) {
    auto made = engine::make_fake_engine_from_text(script, overrides);
    CHECK(made.has_value(), made ? "" : made.error().message);
    engine_ = std::move(*made);
    compiler_ = std::move(*constrain::Compiler::create(engine_->vocab()));
    if (wrap) compiler_ = wrap(std::move(compiler_));
    cache_ = std::make_unique<cache::PrefixCache>(*engine_, cache_options, clock_);
    options.seed = 1;
    scheduler_ = std::make_unique<Scheduler>(*engine_, *cache_, *compiler_, clock_, options);
  }

  std::vector<TokenId> tokens(const std::string& text) const {
    std::vector<TokenId> out;
    engine_->vocab().tokenize(text, SpecialTokens::as_tokens, out);
    return out;
  }

  static std::string turn(const std::string& user) {
    return "<|im_start|>user\n" + user + "<|im_end|>\n<|im_start|>assistant\n";
  }

  GenerateRequest request(const std::string& prompt) const {
    GenerateRequest r;
    r.id = "test";
    r.prompt.tokens = tokens(prompt);
    r.sampling.temperature = 0;
    return r;
  }

  std::shared_ptr<Stream> submit(GenerateRequest r, std::size_t capacity = 10'000) {
    auto stream = std::make_shared<Stream>(capacity);
    const Status status = scheduler_->submit(std::move(r), stream);
    EXPECT_TRUE(status) << status.error().message;
    return stream;
  }

  // Returns after how many steps there was nothing more to do.
  int run() {
    int steps = 0;
    while (scheduler_->step()) ++steps;
    return steps;
  }

  static Answer take(Stream& stream) {
    Answer answer;
    std::vector<Step> steps;
    const auto ending = stream.take(steps);
    for (const Step& step : steps) answer.text += step.text;
    if (ending) {
      answer.ending = *ending;
      answer.ended = true;
    }
    return answer;
  }

  Answer ask(const std::string& prompt) { return ask(request(prompt)); }
  Answer ask(GenerateRequest r) {
    const auto stream = submit(std::move(r));
    run();
    Answer answer = take(*stream);
    EXPECT_TRUE(answer.ended);
    EXPECT_EQ(answer.ending.error.message, "");
    return answer;
  }

  engine::FakeEngine& engine() { return *engine_; }
  FakeClock& clock() { return clock_; }
  cache::PrefixCache& cache() { return *cache_; }
  Scheduler& scheduler() { return *scheduler_; }

 private:
  FakeClock clock_;
  std::unique_ptr<engine::FakeEngine> engine_;
  std::unique_ptr<constrain::Compiler> compiler_;
  std::unique_ptr<cache::PrefixCache> cache_;
  std::unique_ptr<Scheduler> scheduler_;
};

struct Told {
  Answer answer;
  int steps = 0;
};

// The answer of a request that is alone, and in how many steps it came.
inline Told tell(World& world, GenerateRequest request) {
  const auto stream = world.submit(std::move(request));
  Told told;
  told.steps = world.run();
  told.answer = World::take(*stream);
  EXPECT_TRUE(told.answer.ended);
  return told;
}

inline const std::string kHead = "<|im_start|>system\n" + std::string(3000, 's') + "<|im_end|>\n";

}  // namespace kvern::schedule
