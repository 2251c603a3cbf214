// Text that a client keeps and sends back without reading it: `encrypted_content`.
//
// It is encoded, not encrypted: what is in it the client was told anyway, or could write itself. Pure;
// thread: any.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvern::api {

std::string sealed_text(std::string_view text);  // never empty, ASCII without spaces

// None for what another server sealed.
std::optional<std::string> opened_text(std::string_view sealed);

}  // namespace kvern::api
