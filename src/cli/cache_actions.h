// What each `kvern cache` command does. Returns the exit status; errors are told by the caller.
//
// Reading goes to the directory. Changing goes to the directory, too, unless a server owns it: then
// that server is asked, or the one named by --url. Thread: main.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "cli/cache_directory.h"
#include "cli/cache_server.h"

namespace kvern::cli {

struct CacheTask {
  CacheDirectory directory;
  std::string word;  // the command's own: an id, a file, a request; may be empty
  std::string url;   // --url; empty: not given
  std::string api_key;
  std::string to;  // --to
  bool json = false;
  bool records = false;  // --records
  bool yes = false;      // --yes

  // --url, or the server that owns the directory.
  Result<ServerAddress> server() const;
};

Result<int> list_cache(const CacheTask& task);
Result<int> show_record(const CacheTask& task);
Result<int> verify_cache(const CacheTask& task);
Result<int> prune_cache(const CacheTask& task);
Result<int> clear_cache(const CacheTask& task);
Result<int> pin_record(const CacheTask& task);
Result<int> unpin_record(const CacheTask& task);
Result<int> export_cache(const CacheTask& task);
Result<int> import_cache(const CacheTask& task);
Result<int> explain_reuse(const CacheTask& task);

}  // namespace kvern::cli
