// Models that other programs have downloaded to this machine, found by the names people type for them.
//
//   org/repo, org/repo:Q4_K_M, hf.co/org/repo, hf:org/repo   Hugging Face's cache, llama.cpp's, LM Studio's
//   name, name:tag                                           Ollama's store
//
// Nothing is copied or fetched; files are read where they lie. Thread: main.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "cli/settings.h"

namespace kvern::cli {

// Where each program keeps its models; empty when nobody can say.
struct ModelStores {
  std::filesystem::path hugging_face;  // .../hub
  std::filesystem::path llama_cpp;
  std::filesystem::path lm_studio;
  std::filesystem::path ollama;
};

// Each program's variable (HF_HUB_CACHE, HF_HOME, LLAMA_CACHE, OLLAMA_MODELS), else its place below HOME.
ModelStores model_stores(const Environment& environment);

// Without a quantisation Q4_K_M is preferred, as llama.cpp does, else the first file by name. nullopt: no
// store has it.
std::optional<std::filesystem::path> find_local_model(std::string_view name, const ModelStores& stores);

}  // namespace kvern::cli
