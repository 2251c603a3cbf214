// What computes: the engine of the model, and that of the model that guesses for it.
//
// Thread: engine. Both load for seconds, unless stop is requested; errors name the flag.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "app/options.h"
#include "base/result.h"
#include "engine/engine.h"
#include "schedule/draft_model.h"

namespace kvern::app {

using LoadProgress = std::function<void(float)>;  // 0..1; may be empty

// "fake:SCRIPT.json": no weights, see engine/fake.
bool is_fake(std::string_view model);

// weights_hash: of the model's file; empty where nothing is kept on disk.
Result<std::unique_ptr<engine::Engine>> make_engine(const ServeOptions& options, const std::string& weights_hash,
                                                    const LoadProgress& progress, const std::stop_token& stop);

// Of options.draft_model, with cells for as many conversations as `engine`'s model has. Null, with a line in the log,
// where that model cannot forget a token: then nothing may be guessed for it.
Result<std::unique_ptr<schedule::DraftModel>> make_draft_model(const ServeOptions& options,
                                                               const engine::Engine& engine,
                                                               const LoadProgress& progress,
                                                               const std::stop_token& stop);

}  // namespace kvern::app
