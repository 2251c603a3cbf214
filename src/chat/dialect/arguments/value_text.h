// Values as models write them beside JSON. Thread: any.
#pragma once

#include <string>
#include <string_view>

namespace kvern::chat {

// The JSON of a Python literal (True, None, 'text', tuples), which some templates print for values that
// are no strings. Empty when the text is none.
std::string json_of_python(std::string_view text);

}  // namespace kvern::chat
