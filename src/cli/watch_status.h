// `kvern status --watch`: follows what a server says of itself until it stops, or Ctrl-C. Thread: main.
#pragma once

#include <string>

#include "base/result.h"

namespace kvern::cli {

struct WatchOptions {
  std::string address;
  std::string api_key;
  enum class Form { for_people, json_lines } form = Form::for_people;
};

// The exit status: 128 + the signal that ended it, 0 when nobody reads what it writes. Code::not_found where no server
// answers, Code::failed when it stops or is lost. On a terminal the state is redrawn below the requests that
// ended; no mode of the terminal is changed, so there is nothing to restore. While nobody reads, nothing is read from
// the server beyond limits::kUnreadEventBytes.
Result<int> watch_status(const WatchOptions& options);

}  // namespace kvern::cli
