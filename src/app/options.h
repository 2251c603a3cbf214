// What `kvern serve` is told: every flag of the command line and every key of the config file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/request_defaults.h"

namespace kvern::app {

struct ServeOptions {
  std::string model;  // path to a GGUF, or "fake:SCRIPT.json"; the CLI resolves the default model
  std::string name;   // id in /v1/models; empty: from the file name
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  std::string unix_socket;
  std::int32_t context = 0;               // tokens one conversation may hold; 0: what the model was trained for
  std::string draft_model = {};           // path to a GGUF that guesses ahead, or "fake:SCRIPT.json"; empty: none
  std::int32_t parallel = 4;              // sequences decoding at once
  std::optional<std::int32_t> draft_max;  // tokens guessed ahead of an answer in one step; 0: none
  double latency_target = 1.5;            // steps beside prompts, in steps without: on the whole
  std::int32_t threads = 0;               // 0: physical cores
  std::string cache_dir;                  // empty: the user's cache folder
  std::optional<std::uint64_t> cache_ram_bytes;   // unset: a quarter of available memory, 8 GiB at most
  std::optional<std::uint64_t> cache_disk_bytes;  // unset: by the room there is; 0: nothing on disk
  bool no_cache = false;
  std::vector<std::string> warm_files;  // request bodies whose prompts are computed at start
  bool keep_transport_headers = false;  // leave clients' billing lines in the prompt
  std::string kv_type = "f16";          // f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0
  std::string chat_template_file;
  std::string dialect;
  std::vector<std::string> api_keys;
  RequestDefaults defaults;  // what requests that leave a field out get
  std::string version;       // of this program, for clients that ask
};

// Where records lie below the cache folder, which has models in it, too.
inline std::filesystem::path record_folder(const std::filesystem::path& cache_folder) { return cache_folder / "kv"; }

}  // namespace kvern::app
