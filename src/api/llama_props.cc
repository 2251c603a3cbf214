#include "api/llama_props.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/json_text.h"

namespace kvern::api {
namespace {

// ,"name":"text"
void append_text(std::string& out, std::string_view name, std::string_view text) {
  out += fmt::format(",\"{}\":", name);
  append_json_string(out, text);
}

void append_slot(std::string& out, std::size_t id, std::int32_t context, const Slot* busy) {
  fmt::format_to(std::back_inserter(out), R"({{"id":{},"n_ctx":{},"speculative":false,"is_processing":{})", id, context,
                 busy != nullptr);
  if (busy != nullptr) {
    const std::int32_t remain = busy->tokens_max ? std::max(*busy->tokens_max - busy->predicted_tokens, 0) : -1;
    append_text(out, "request_id", busy->request);
    fmt::format_to(std::back_inserter(out),
                   R"(,"n_prompt_tokens":{},"n_prompt_tokens_processed":{},"n_prompt_tokens_cache":{},)"
                   R"("next_token":[{{"has_next_token":true,"n_remain":{},"n_decoded":{}}}])",
                   busy->prompt_tokens, busy->computed_tokens, busy->reused_tokens, remain, busy->predicted_tokens);
  }
  out += '}';
}

}  // namespace

std::string encode_props(const Props& props) {
  const SamplingParams& sampling = props.defaults.sampling;
  std::string out = fmt::format(
      R"({{"default_generation_settings":{{"n_ctx":{},"params":{{"temperature":{},"top_k":{},"top_p":{},"min_p":{},)"
      R"("repeat_penalty":{},"repeat_last_n":{},"presence_penalty":{},"frequency_penalty":{},"n_predict":{}}}}},)"
      R"("total_slots":{})",
      props.model.context, sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p,
      sampling.repeat_penalty, sampling.repeat_last_n, sampling.presence_penalty, sampling.frequency_penalty,
      props.defaults.tokens_max.value_or(-1), props.slots);
  append_text(out, "model_alias", props.model.id);
  append_text(out, "model_path", props.model_path);
  out += R"(,"modalities":{"vision":false,"video":false,"audio":false})";
  out += R"(,"endpoint_slots":true,"endpoint_props":false,"endpoint_metrics":true,"is_sleeping":false)";
  append_text(out, "chat_template", props.chat_template);
  append_text(out, "bos_token", props.bos);
  append_text(out, "eos_token", props.eos);
  append_text(out, "build_info", "kvern " + props.version);
  out += '}';
  return out;
}

std::string encode_slots(std::span<const Slot> busy, std::int32_t slots, std::int32_t context) {
  const std::size_t count = std::max(busy.size(), static_cast<std::size_t>(slots));
  std::string out = "[";
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out += ',';
    append_slot(out, i, context, i < busy.size() ? &busy[i] : nullptr);
  }
  out += ']';
  return out;
}

std::string encode_version(std::string_view version) {
  std::string out = "{\"version\":";
  append_json_string(out, version);
  out += '}';
  return out;
}

std::string encode_ollama_version(std::string_view version) {
  std::string out = R"({"version":"0.0.0")";
  append_text(out, "kvern", version);
  out += '}';
  return out;
}

std::string encode_ollama_tags(const ModelCard& model) {
  std::string out = "{\"models\":[{\"name\":";
  append_json_string(out, model.id);
  append_text(out, "model", model.id);
  out += fmt::format(R"(,"modified_at":"{:%Y-%m-%dT%H:%M:%SZ}","size":{},"digest":"",)"
                     R"("details":{{"format":"gguf","family":"","families":null,"parameter_size":"{:.1f}B",)"
                     R"("quantization_level":""}}}}]}})",
                     fmt::gmtime(static_cast<std::time_t>(model.created_s)), model.bytes,
                     static_cast<double>(model.parameters) / 1e9);
  return out;
}

}  // namespace kvern::api
