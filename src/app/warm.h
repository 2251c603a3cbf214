// Prompts that are computed before anybody asks: --warm FILE, a chat or a completion request's body.
//
// Each is asked for one token, so its prompt goes the way of every prompt: it is computed unless it
// is known, and what the cache keeps of it (the shared head first of all) is there for whoever comes.
#pragma once

#include <string>
#include <vector>

#include "app/model_service.h"
#include "base/result.h"

namespace kvern::app {

// Whether every file can be read and is such a body. Code::invalid about --warm, naming the file.
// For the start, before a model is loaded. Thread: any.
Status check_warm_files(const std::vector<std::string>& files);

// One log line a file: tokens, reused, computed, ms, or what is wrong with it; a wrong one does not
// keep the others. Ends early when the model's generator does. Thread: any but the engine's, which
// does the work; waits for it.
void warm(ModelService& model, const std::vector<std::string>& files);

}  // namespace kvern::app
