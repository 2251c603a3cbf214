// Does this engine, with this model, give the same logits after rows and state were saved and restored?
//
// Run once when a model is loaded: saves two small blocks and a state, restores them into an emptied
// engine, forks, and compares the logits of the tokens that follow with an uninterrupted run. What a
// cache may do with the engine follows from it. Costs about 150 tokens of decoding.
#pragma once

#include <string>
#include <string_view>

#include "engine/engine.h"

namespace kvern::cache {

struct SelfTest {
  enum class Level {
    full,             // rows, states and forks can be trusted
    whole_sequences,  // only what a sequence holds may go on; nothing is saved, loaded or forked
    off,              // not even decoding the same tokens twice gives the same: reuse nothing
  };
  Level level = Level::off;
  std::string reason;  // what failed, for people; empty when full
};

std::string_view to_string(SelfTest::Level level);

// The engine must hold nothing; afterwards it holds nothing. Thread: engine.
SelfTest self_test(engine::Engine& engine);

}  // namespace kvern::cache
