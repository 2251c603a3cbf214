#include "cli/model_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <vector>

#include "cli/gguf_file.h"
#include "cli/local_models.h"

namespace kvern::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFakePrefix = "fake:";

tl::unexpected<Error> about_model(Code code, std::string message) { return fail(code, std::move(message), "--model"); }

// "name-00002-of-00003.gguf": libllama opens the first and finds the others itself.
bool is_later_shard(const std::string& stem) {
  const std::size_t of = stem.rfind("-of-");
  return of != std::string::npos && of >= 6 && stem[of - 6] == '-' && stem.substr(of - 5, 5) != "00001";
}

Result<std::string> only_model_in(const fs::path& folder) {
  std::vector<std::string> models;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".gguf" && !is_later_shard(entry.path().stem().string())) {
      models.push_back(entry.path().string());
    }
  }
  if (error)
    return about_model(Code::not_found,
                       fmt::format("the folder {} cannot be read: {}", folder.string(), error.message()));
  if (models.size() == 1) return models.front();
  if (models.empty())
    return about_model(Code::not_found, fmt::format("the folder {} holds no .gguf file", folder.string()));
  std::sort(models.begin(), models.end());
  return about_model(Code::invalid, fmt::format("the folder {} holds {} models; name one, such as {}", folder.string(),
                                                models.size(), models.front()));
}

Result<std::string> locate_named(const std::string& given) {
  if (given.starts_with(kFakePrefix)) {
    const fs::path script = given.substr(kFakePrefix.size());
    std::error_code ignored;
    if (fs::is_regular_file(script, ignored)) return given;
    return about_model(Code::not_found, fmt::format("there is no script {} for the fake engine", script.string()));
  }
  std::error_code ignored;
  if (fs::is_directory(given, ignored)) return only_model_in(given);
  if (fs::exists(given, ignored)) return given;
  if (const auto found = find_local_model(given, model_stores(process_environment()))) return found->string();
  return about_model(Code::not_found, fmt::format("there is no file {}, and no model of that name that another program "
                                                  "has downloaded; without --model kvern fetches a small one to try",
                                                  given));
}

}  // namespace

Result<fs::path> cache_folder(const std::string& given, const Environment& environment) {
  if (!given.empty()) return fs::path(given);
  const auto set = [&](const char* name) {
    auto value = environment(name);
    return value && !value->empty() ? std::move(*value) : std::string();
  };
  if (const std::string kvern = set("KVERN_CACHE_DIR"); !kvern.empty()) return fs::path(kvern);
  if (const std::string xdg = set("XDG_CACHE_HOME"); !xdg.empty()) return fs::path(xdg) / "kvern";
  if (const std::string home = set("HOME"); !home.empty()) return fs::path(home) / ".cache" / "kvern";
  return fail(Code::invalid, "neither HOME nor XDG_CACHE_HOME is set; name a folder with --cache-dir", "--cache-dir");
}

Result<std::string> locate_model(const std::string& given, const fs::path& folder) {
  if (given.empty()) return default_model_path(folder).string();
  return locate_named(given);
}

Result<std::string> resolve_model(const std::string& given, const fs::path& folder, const Runner& run) {
  if (given.empty()) {
    TRY(const fs::path path, ensure_default_model(folder, run));
    return path.string();
  }
  TRY(std::string located, locate_named(given));
  if (located.starts_with(kFakePrefix)) return located;
  const auto looked = inspect_gguf(located);
  if (!looked) return about_model(looked.error().code, looked.error().message);
  return located;
}

}  // namespace kvern::cli
