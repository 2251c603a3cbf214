// What steps of different sizes take on a model: rows of a stream with logits (drafts), prompt tokens beside a
// stream, and whole batches, at several depths. What --latency-target and --draft-max can win follows from these.
//
//   engine_micro MODEL.gguf [THREADS] [KV-TYPE] [DEPTH]
#include <fmt/format.h>

#include <algorithm>
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

std::vector<engine::BatchToken> run_of(std::int32_t sequence, std::int32_t begin, std::int32_t count, bool logits) {
  std::vector<engine::BatchToken> batch;
  for (std::int32_t i = 0; i < count; ++i) batch.push_back({100 + (begin + i) % 1000, sequence, begin + i, logits});
  return batch;
}

void fill(engine::Engine& engine, std::int32_t sequence, std::int32_t tokens) {
  for (std::int32_t at = 0; at < tokens; at += 512) {
    if (!engine.decode(run_of(sequence, at, std::min(512, tokens - at), false))) std::exit(1);
  }
}

// Sequence 0 decodes at `depth`; `beside` tokens of sequence 1, as deep, join it, or `rows` of its own.
double step_us(engine::Engine& engine, std::int32_t depth, std::int32_t rows, std::int32_t beside) {
  std::vector<double> values;
  for (int round = 0; round < kRounds; ++round) {
    auto batch = run_of(0, depth, rows, true);
    const auto more = run_of(1, depth, beside, false);
    batch.insert(batch.end(), more.begin(), more.end());
    const auto begin = std::chrono::steady_clock::now();
    if (!engine.decode(batch)) std::exit(1);
    values.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
    engine.truncate(0, depth);
    engine.truncate(1, depth);
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
    engine.drop(0);
    engine.drop(1);
    fill(engine, 0, depth);
    fill(engine, 1, depth);
    step_us(engine, depth, 1, 0);
    const double one = step_us(engine, depth, 1, 0);
    const auto show = [&](const std::string& what, double us) {
      fmt::print("{:>7} {:>22} {:>10.2f} {:>12.2f}\n", depth, what, us / 1e3, us / one);
      std::fflush(stdout);
    };
    for (const std::int32_t rows : {1, 2, 3, 4, 5, 8, 12, 16, 17})
      show(fmt::format("{} rows", rows), step_us(engine, depth, rows, 0));
    for (const std::int32_t beside : {1, 2, 4, 8, 16, 32, 63, 64, 128})
      show(fmt::format("1 row, {} beside", beside), step_us(engine, depth, 1, beside));
  }
  return 0;
}
