// One server-sent event before framing.
#pragma once

#include <string>

namespace kvern::api {

struct Frame {
  std::string event;  // empty for OpenAI's formats
  std::string data;
};

}  // namespace kvern::api
