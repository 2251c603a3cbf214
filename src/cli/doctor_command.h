// `kvern doctor`: what would keep a server from running here, in under a second and offline.
// Thread: main.
#pragma once

#include <span>
#include <string>

namespace kvern::cli {

// Exit status 1 when a check fails; warnings are 0.
int doctor_command(std::span<const std::string> arguments);

}  // namespace kvern::cli
