#include "base/result.h"

namespace kvern {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::invalid: return "invalid";
    case Code::unauthorized: return "unauthorized";
    case Code::not_found: return "not_found";
    case Code::too_large: return "too_large";
    case Code::too_long: return "too_long";
    case Code::busy: return "busy";
    case Code::cancelled: return "cancelled";
    case Code::corrupt: return "corrupt";
    case Code::failed: return "failed";
  }
  return "failed";
}

}  // namespace kvern
