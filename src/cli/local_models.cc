#include "cli/local_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iomanip>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "base/json.h"

namespace kvern::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kManifestBytes = 256 * 1024;
constexpr std::size_t kFilesLookedAt = 10'000;
constexpr int kCommitCharacters = 64;

struct Name {
  std::string org;  // empty for Ollama's plain names
  std::string repo;
  std::string tag;  // quantisation or Ollama's tag; may be empty
};

bool is_plain(std::string_view part) {
  const auto fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  return !part.empty() && part.front() != '.' && std::all_of(part.begin(), part.end(), fine);
}

// nullopt for what is no such name, above all for anything that could lead out of a store.
std::optional<Name> read_name(std::string_view text) {
  for (const std::string_view prefix : {"https://huggingface.co/", "hf.co/", "hf:"}) {
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  }
  Name name;
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    name.tag = text.substr(colon + 1);
    text = text.substr(0, colon);
    if (!is_plain(name.tag)) return std::nullopt;
  }
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    name.org = text.substr(0, slash);
    text.remove_prefix(slash + 1);
    if (!is_plain(name.org)) return std::nullopt;
  }
  name.repo = text;
  if (!is_plain(name.repo)) return std::nullopt;
  return name;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return text;
}

// A file that is a model's whole or its first part: no projector of pictures, no later part.
bool is_model_file(const fs::path& path) {
  const std::string name = lower(path.filename().string());
  if (!name.ends_with(".gguf") || name.find("mmproj") != std::string::npos) return false;
  const std::size_t of = name.rfind("-of-");
  return of == std::string::npos || of < 5 || name.substr(of - 5, 5) == "00001";
}

std::vector<fs::path> model_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  std::size_t looked_at = 0;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (++looked_at > kFilesLookedAt) break;
    std::error_code ignored;
    // Hugging Face's snapshots are links to blobs; a link to nothing is a download that was never finished.
    if (is_model_file(it->path()) && fs::is_regular_file(it->path(), ignored)) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// "F16" is in "m-F16.gguf" and "m-F16-00001-of-00002.gguf", not in "m-BF16.gguf"; "Q4_K" not in "m-Q4_K_M.gguf".
bool has_part(std::string_view name, std::string_view part) {
  const auto is_letter_or_digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  for (std::size_t at = name.find(part); at != std::string_view::npos; at = name.find(part, at + 1)) {
    const std::size_t end = at + part.size();
    const bool begins = at == 0 || !is_letter_or_digit(name[at - 1]);
    if (begins && (end == name.size() || name[end] == '.' || name[end] == '-')) return true;
  }
  return false;
}

// Of one repository's files that of the quantisation.
std::optional<fs::path> choose(const std::vector<fs::path>& files, const std::string& tag) {
  const auto with = [&](const std::string& quant) -> std::optional<fs::path> {
    for (const fs::path& file : files) {
      if (has_part(lower(file.filename().string()), lower(quant))) return file;
    }
    return std::nullopt;
  };
  if (!tag.empty() && tag != "latest") return with(tag);
  if (auto usual = with("Q4_K_M")) return usual;
  return files.empty() ? std::nullopt : std::optional(files.front());
}

// The snapshot of the branch first; an older one may have what was not downloaded again.
std::optional<fs::path> in_hugging_face(const Name& name, const fs::path& hub) {
  const fs::path repo = hub / fmt::format("models--{}--{}", name.org, name.repo);
  std::error_code ignored;
  if (fs::is_regular_file(repo / "refs" / "main", ignored)) {
    std::string commit;
    std::ifstream(repo / "refs" / "main") >> std::setw(kCommitCharacters) >> commit;
    if (is_plain(commit)) {
      if (auto found = choose(model_files(repo / "snapshots" / commit), name.tag)) return found;
    }
  }
  return choose(model_files(repo / "snapshots"), name.tag);
}

// llama.cpp's older cache: all files in one folder, "org_repo_file.gguf".
std::optional<fs::path> in_llama_cpp(const Name& name, const fs::path& folder) {
  const std::string begin = fmt::format("{}_{}_", name.org, name.repo);
  std::vector<fs::path> files;
  for (const fs::path& file : model_files(folder)) {
    if (file.filename().string().starts_with(begin)) files.push_back(file);
  }
  return choose(files, name.tag);
}

// Ollama: a manifest names the blob.
std::optional<fs::path> in_ollama(const Name& name, const fs::path& folder) {
  const std::string tag = name.tag.empty() ? "latest" : name.tag;
  const std::string org = name.org.empty() ? "library" : name.org;
  const fs::path path = folder / "manifests" / "registry.ollama.ai" / org / name.repo / tag;
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored) || fs::file_size(path, ignored) > kManifestBytes) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const Result<Json> manifest = parse_json(text);
  if (!manifest || !manifest->is_object() || !manifest->contains("layers")) return std::nullopt;
  for (const Json& layer : manifest->at("layers")) {
    if (!layer.is_object() || layer.value("mediaType", Json()) != "application/vnd.ollama.image.model") continue;
    const Json digest = layer.value("digest", Json());
    if (!digest.is_string()) continue;
    std::string blob = digest.get<std::string>();
    std::replace(blob.begin(), blob.end(), ':', '-');
    if (is_plain(blob) && fs::is_regular_file(folder / "blobs" / blob, ignored)) return folder / "blobs" / blob;
  }
  return std::nullopt;
}

}  // namespace

ModelStores model_stores(const Environment& environment) {
  const auto set = [&](const char* name) -> std::optional<fs::path> {
    auto value = environment(name);
    if (!value || value->empty()) return std::nullopt;
    return fs::path(*value);
  };
  ModelStores stores;
  if (const auto home = set("HOME")) {
    stores.hugging_face = *home / ".cache" / "huggingface" / "hub";
    stores.llama_cpp = *home / ".cache" / "llama.cpp";
    stores.lm_studio = *home / ".lmstudio" / "models";
    stores.ollama = *home / ".ollama" / "models";
  }
  if (const auto home = set("HF_HOME")) stores.hugging_face = *home / "hub";
  if (const auto hub = set("HF_HUB_CACHE")) stores.hugging_face = *hub;
  if (const auto cache = set("LLAMA_CACHE")) stores.llama_cpp = *cache;
  if (const auto models = set("OLLAMA_MODELS")) stores.ollama = *models;
  return stores;
}

std::optional<fs::path> find_local_model(std::string_view text, const ModelStores& stores) {
  const auto name = read_name(text);
  if (!name) return std::nullopt;
  if (!name->org.empty()) {
    if (!stores.hugging_face.empty()) {
      if (auto found = in_hugging_face(*name, stores.hugging_face)) return found;
    }
    if (!stores.llama_cpp.empty()) {
      if (auto found = in_llama_cpp(*name, stores.llama_cpp)) return found;
    }
    if (!stores.lm_studio.empty()) {
      if (auto found = choose(model_files(stores.lm_studio / name->org / name->repo), name->tag)) return found;
    }
  }
  return stores.ollama.empty() ? std::nullopt : in_ollama(*name, stores.ollama);
}

}  // namespace kvern::cli
