// What steps of different sizes take on a model: rows of a stream with logits (drafts), prompt tokens beside a
// stream, and whole batches, at several depths. What --latency-target and --draft-max can win follows from these.
//
//   engine_micro MODEL.gguf [THREADS] [KV-TYPE] [DEPTH]
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/llama/llama_engine.h"

namespace {

using namespace kvern;

constexpr int kRounds = 5;

double median_us(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void compute(engine::Engine& engine, const std::vector<engine::BatchToken>& batch) {
  if (const auto decoded = engine.decode(batch); !decoded) {
    fmt::print(stderr, "{}\n", decoded.error().message);
    std::exit(1);
  }
}

std::vector<engine::BatchToken> run_of(std::int32_t sequence, std::int32_t begin, std::int32_t count, bool logits) {
  std::vector<engine::BatchToken> batch;
  for (std::int32_t i = 0; i < count; ++i) batch.push_back({100 + (begin + i) % 1000, sequence, begin + i, logits});
  return batch;
}

// A prompt, and streams that begin behind it.
class Prompt {
 public:
  Prompt(engine::Engine& engine, std::int32_t sequence, std::int32_t tokens)
      : engine_(engine), sequence_(sequence), tokens_(tokens) {
    engine.drop(sequence);
    for (std::int32_t at = 0; at < tokens; at += 512)
      compute(engine, run_of(sequence, at, std::min(512, tokens - at), false));
    if (engine.info().state == engine::StateKind::attention) return;
    auto state = engine.save_state(sequence);
    if (!state) std::exit(1);
    state_ = std::move(*state);
  }

  void begin(std::int32_t stream) const {
    engine_.drop(stream);
    if (!engine_.fork(sequence_, stream, tokens_)) std::exit(1);
    if (!state_.empty() && !engine_.load_state(stream, tokens_, state_)) std::exit(1);
  }

 private:
  engine::Engine& engine_;
  std::int32_t sequence_;
  std::int32_t tokens_;
  engine::Bytes state_;
};

// Sequence 0 decodes at `depth`; `beside` tokens of sequence 1, as deep, join it, or `rows` of its own.
double step_us(engine::Engine& engine, const std::array<Prompt, 2>& prompts, std::int32_t depth, std::int32_t rows,
               std::int32_t beside) {
  std::vector<double> values;
  for (int round = 0; round < kRounds; ++round) {
    prompts[0].begin(0);
    prompts[1].begin(1);
    auto batch = run_of(0, depth, rows, true);
    const auto more = run_of(1, depth, beside, false);
    batch.insert(batch.end(), more.begin(), more.end());
    const auto begin = std::chrono::steady_clock::now();
    compute(engine, batch);
    values.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
  }
  return median_us(std::move(values));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "engine_micro MODEL.gguf [THREADS] [KV-TYPE] [DEPTH]\n");
    return 2;
  }
  engine::LlamaOptions options;
  options.model_path = argv[1];
  options.threads = argc > 2 ? std::atoi(argv[2]) : 0;
  if (argc > 3) options.kv_type = argv[3];
  options.context = 8192;
  options.pool_factor = 2;
  options.sequences = 4;
  auto made = engine::make_llama_engine(options);
  if (!made) {
    fmt::print(stderr, "{}\n", made.error().message);
    return 1;
  }
  engine::Engine& engine = **made;
  fmt::print("{:>7} {:>22} {:>10} {:>12}\n", "depth", "step", "ms", "of one row");
  std::vector<std::int32_t> depths = {64, 2048};
  if (argc > 4) depths = {std::atoi(argv[4])};
  for (const std::int32_t depth : depths) {
    const std::array<Prompt, 2> prompts = {Prompt(engine, 2, depth), Prompt(engine, 3, depth)};
    const auto step = [&](std::int32_t rows, std::int32_t beside) {
      return step_us(engine, prompts, depth, rows, beside);
    };
    step(1, 0);
    const double one = step(1, 0);
    const auto show = [&](const std::string& what, double us) {
      fmt::print("{:>7} {:>22} {:>10.2f} {:>12.2f}\n", depth, what, us / 1e3, us / one);
      std::fflush(stdout);
    };
    for (const std::int32_t rows : {1, 2, 3, 4, 5, 8, 12, 16, 17}) show(fmt::format("{} rows", rows), step(rows, 0));
    for (const std::int32_t beside : {1, 2, 4, 8, 16, 32, 63, 64, 128})
      show(fmt::format("1 row, {} beside", beside), step(1, beside));
    for (const std::int32_t tokens : {64, 128, 256, 512}) show(fmt::format("{} alone", tokens), step(0, tokens));
  }
  return 0;
}
