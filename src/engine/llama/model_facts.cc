#include "engine/llama/model_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace kvern::engine {
namespace {

double bytes_per_element(ggml_type type) {
  return static_cast<double>(ggml_type_size(type)) / static_cast<double>(ggml_blck_size(type));
}

// libllama takes one of two sets of RoPE factors by the size of the pool ("longrope"); the GGUF has no
// key that says so, only the length they turn at.
std::string rope(const llama_model* model, const llama_context* context) {
  const std::string prefix = meta(model, "general.architecture") + ".rope.";
  std::string out = fmt::format("rope=type:{},scale:{}", static_cast<int>(llama_model_rope_type(model)),
                                llama_model_rope_freq_scale_train(model));
  for (const char* key : {"freq_base", "freq_base_swa", "dimension_count", "scaling.type", "scaling.factor",
                          "scaling.attn_factor", "scaling.yarn_log_multiplier"}) {
    if (const std::string value = meta(model, prefix + key); !value.empty()) out += fmt::format(",{}:{}", key, value);
  }
  const std::string original = meta(model, prefix + "scaling.original_context_length");
  if (!original.empty() && meta(model, prefix + "scaling.type") != "yarn")
    out += fmt::format(",long:{}", std::atof(original.c_str()) < llama_n_ctx_seq(context));
  return out;
}

// As libllama reads it: a number that is not 0.
bool attention_rotation() {
  const char* disabled = std::getenv("LLAMA_ATTN_ROT_DISABLE");
  return disabled == nullptr || std::atoi(disabled) == 0;
}

}  // namespace

std::string meta(const llama_model* model, const std::string& key) {
  char value[256];
  return llama_model_meta_val_str(model, key.c_str(), value, sizeof value) >= 0 ? std::string(value) : std::string();
}

bool keeps_rows(const llama_model* model) { return llama_model_is_hybrid(model) || !llama_model_is_recurrent(model); }

bool keeps_running(const llama_model* model) { return llama_model_is_hybrid(model) || llama_model_is_recurrent(model); }

// Of the models that generate only these (LLAMA_SWA_TYPE_CHUNKED, src/models/llama4.cpp).
bool window_in_chunks(const llama_model* model) { return meta(model, "general.architecture") == "llama4"; }

std::size_t kv_bytes_per_token(const llama_model* model, ggml_type type) {
  if (!keeps_rows(model)) return 0;
  const auto layers = static_cast<double>(llama_model_n_layer(model));
  const auto heads_kv = static_cast<double>(std::max(1, llama_model_n_head_kv(model)));
  const std::string key_length = meta(model, meta(model, "general.architecture") + ".attention.key_length");
  const double head = key_length.empty()
                          ? static_cast<double>(llama_model_n_embd(model)) / std::max(1, llama_model_n_head(model))
                          : std::atof(key_length.c_str());
  return static_cast<std::size_t>(layers * heads_kv * head * 2 * bytes_per_element(type));
}

std::vector<std::string> fingerprint_parts(const llama_model* model, const llama_context* context,
                                           const std::string& kv_type, const std::string& weights_hash) {
  char description[128];
  llama_model_desc(model, description, sizeof description);
  return {"engine=llama.cpp-de3ff815",
          "rows=1",  // the form of saved rows and states: sequence_blob.h
          "architecture=" + meta(model, "general.architecture"),
          fmt::format("description={}", description),
          "weights=" + weights_hash,
          fmt::format("bytes={}", llama_model_size(model)),
          fmt::format("parameters={}", llama_model_n_params(model)),
          "lora=none",
          "kv=" + kv_type,
          "flash_attention=on",
          fmt::format("window={},cells of the window only", llama_model_n_swa(model)),
          fmt::format("attention_rotation={}", attention_rotation() ? "on" : "off"),
          rope(model, context),
          fmt::format("backend={}", llama_print_system_info())};
}

}  // namespace kvern::engine
