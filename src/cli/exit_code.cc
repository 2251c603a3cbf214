#include "cli/exit_code.h"

namespace kvern::cli {

int exit_code(const Error& error) {
  switch (error.code) {
    case Code::invalid:
    case Code::too_long: return kUsage;
    case Code::not_found:
    case Code::unauthorized:
    case Code::busy:
    case Code::corrupt:
    case Code::too_large: return kCannotStart;
    case Code::cancelled: return kInterrupted;
    case Code::failed: break;
  }
  // Whatever the reason an address cannot be had: another start would meet the same.
  const bool about_address = error.field == "--port" || error.field == "--host" || error.field == "--unix-socket";
  return about_address ? kCannotStart : kFailed;
}

}  // namespace kvern::cli
