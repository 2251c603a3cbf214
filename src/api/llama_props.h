// llama-server's /props and /slots, and the few of Ollama's probes that cost nothing. Pure; thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/models.h"
#include "core/request_defaults.h"

namespace kvern::api {

struct Props {
  ModelCard model;
  RequestDefaults defaults;
  std::string model_path;
  std::int32_t slots = 0;
  std::string chat_template;
  std::string bos;
  std::string eos;
  std::string version;
};
std::string encode_props(const Props& props);

// A request that runs or waits, as a slot; numbers only, no text.
struct Slot {
  std::string request;  // its id in the log
  std::int32_t prompt_tokens = 0;
  std::int32_t computed_tokens = 0;
  std::int32_t reused_tokens = 0;
  std::int32_t predicted_tokens = 0;
  std::optional<std::int32_t> tokens_max;
};
// Free slots fill the list up to `slots`.
std::string encode_slots(std::span<const Slot> busy, std::int32_t slots, std::int32_t context);

// {"version"}: vLLM's.
std::string encode_version(std::string_view version);
// Ollama's /api/version. Its clients compare the number with releases of Ollama, of which this is none: 0.0.0.
std::string encode_ollama_version(std::string_view version);
// Ollama's /api/tags.
std::string encode_ollama_tags(const ModelCard& model);

}  // namespace kvern::api
