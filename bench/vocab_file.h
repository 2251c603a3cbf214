// The vocabulary of a GGUF file without its model: enough of one to measure grammars with.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "core/vocab.h"

namespace kvern::bench {

// Of a byte-level tokeniser (Qwen, Llama 3, GPT-2). Tokenises by the longest match, not by merges, so
// counts of tokens are about right and never exact.
Result<std::unique_ptr<Vocab>> read_vocab_file(const std::string& path);

}  // namespace kvern::bench
