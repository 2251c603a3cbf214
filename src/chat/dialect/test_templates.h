// For tests: the families' own chat templates, from the llama.cpp source where there is one.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "chat/dialect_probe.h"

namespace kvern::chat::testing {

inline std::filesystem::path template_folder() {
  return std::filesystem::path(KVERN_LLAMA_DIR) / "models" / "templates";
}

// The names of the templates, sorted; empty where the source is not there.
inline std::vector<std::string> template_names() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(template_folder(), error))
    if (entry.path().extension() == ".jinja") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

inline std::string template_source(const std::string& name) {
  std::ifstream stream(template_folder() / (name + ".jinja"), std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline std::vector<CallProbe> probes_of(const std::string& source) {
  const auto jinja = JinjaTemplate::parse(source);
  if (!jinja) return {};
  return probe_renders(**jinja, {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
}

}  // namespace kvern::chat::testing
