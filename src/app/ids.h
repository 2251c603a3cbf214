// Random identifiers for responses and calls. Thread: any.
#pragma once

#include <string>

namespace kvern::app {

// 24 characters of [A-Za-z0-9]: about 142 random bits.
std::string random_id();

}  // namespace kvern::app
