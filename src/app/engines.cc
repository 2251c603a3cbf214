#include "app/engines.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/system_memory.h"
#include "engine/fake/fake_engine.h"
#include "engine/llama/llama_engine.h"

namespace kvern::app {
namespace {

constexpr std::string_view kFakePrefix = "fake:";
// However little memory seems to be left, this much KV is tried.
constexpr std::uint64_t kKvBytesMin = std::uint64_t{1} << 28;
// Idle conversations kept in device cells beside the running ones.
constexpr std::int32_t kIdleSequences = 12;

std::int32_t sequences(const ServeOptions& options) {
  const auto wanted = options.parallel + kIdleSequences;
  return std::min(wanted, static_cast<std::int32_t>(limits::kSequences));
}

engine::LlamaOptions llama_options(const ServeOptions& options, const LoadProgress& progress,
                                   const std::stop_token& stop) {
  engine::LlamaOptions llama;
  llama.sequences = sequences(options);
  llama.threads = options.threads;
  if (const auto available = available_memory()) llama.kv_bytes_max = std::max(*available / 3, kKvBytesMin);
  llama.pool_factor = options.parallel > 1 ? 2 : 1;
  llama.load_progress = [progress, stop](float fraction) {
    if (progress) progress(fraction);
    return !stop.stop_requested();
  };
  return llama;
}

Result<std::unique_ptr<engine::Engine>> make_fake(const std::string& model, engine::Overrides overrides) {
  return engine::make_fake_engine(model.substr(kFakePrefix.size()), overrides);
}

}  // namespace

bool is_fake(std::string_view model) { return model.starts_with(kFakePrefix); }

Result<std::unique_ptr<engine::Engine>> make_engine(const ServeOptions& options, const std::string& weights_hash,
                                                    const LoadProgress& progress, const std::stop_token& stop) {
  if (is_fake(options.model))
    return make_fake(options.model, {.context = options.context, .sequences = sequences(options)});
  engine::LlamaOptions llama = llama_options(options, progress, stop);
  llama.model_path = options.model;
  llama.context = options.context;
  llama.kv_type = options.kv_type;
  llama.weights_hash = weights_hash;
  return engine::make_llama_engine(llama);
}

Result<std::unique_ptr<schedule::DraftModel>> make_draft_model(const ServeOptions& options,
                                                               const engine::Engine& engine,
                                                               const LoadProgress& progress,
                                                               const std::stop_token& stop) {
  if (!engine.info().takes_back) {
    log::warn("no draft model", {{"why", "the model cannot forget a token, so none can be guessed for it"}});
    return nullptr;
  }
  std::unique_ptr<engine::Engine> draft;
  if (is_fake(options.draft_model)) {
    TRY(draft, make_fake(options.draft_model, {.context = 0, .sequences = sequences(options)}));
  } else {
    engine::LlamaOptions llama = llama_options(options, progress, stop);
    llama.model_path = options.draft_model;
    llama.context_max = engine.info().context;
    auto made = engine::make_llama_engine(llama);
    if (!made) return fail(made.error().code, made.error().message, "--draft");
    draft = std::move(*made);
  }
  TRY(auto model, schedule::DraftModel::create(std::move(draft), engine.vocab(), steady_clock()));
  log::info("draft model", {{"name", model->info().name}, {"context", model->info().context}});
  return model;
}

}  // namespace kvern::app
