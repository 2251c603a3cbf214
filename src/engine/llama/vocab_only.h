// The vocabulary of a GGUF file without its weights: for measurements and tests. Thread: any.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "core/vocab.h"

namespace kvern::engine {

struct VocabFile {
  std::shared_ptr<const Vocab> vocab;
  std::string chat_template;  // the model's own; may be empty
};

// Code::invalid when the file is no model or has no vocabulary.
Result<VocabFile> read_vocab(const std::string& path);

}  // namespace kvern::engine
