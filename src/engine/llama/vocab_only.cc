#include "engine/llama/vocab_only.h"

#include <fmt/format.h>
#include <llama.h>

#include "engine/llama/llama_vocab.h"

namespace kvern::engine {
namespace {

struct FreeModel {
  void operator()(llama_model* model) const { llama_model_free(model); }
};

// The library's vocabulary lives in its model.
struct Held {
  explicit Held(llama_model* loaded) : model(loaded), vocab(llama_model_get_vocab(loaded)) {}

  std::unique_ptr<llama_model, FreeModel> model;
  LlamaVocab vocab;
};

}  // namespace

Result<VocabFile> read_vocab(const std::string& path) {
  llama_model_params params = llama_model_default_params();
  params.vocab_only = true;
  llama_model* model = llama_model_load_from_file(path.c_str(), params);
  if (model == nullptr) return fail(Code::invalid, fmt::format("{} is no model file, or is not there", path));
  const auto held = std::make_shared<Held>(model);
  const char* own = llama_model_chat_template(model, nullptr);
  return VocabFile{{held, &held->vocab}, own != nullptr ? own : ""};
}

}  // namespace kvern::engine
