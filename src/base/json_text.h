// Writing JSON without building a document: for the hot path and for log lines.
#pragma once

#include <string>
#include <string_view>

namespace kvern {

// Appends text's characters with JSON escapes, without the quotes. Bytes that are not UTF-8 become
// U+FFFD, so the output is always valid JSON.
void append_json_escaped(std::string& out, std::string_view text);

// The same with quotes around it.
void append_json_string(std::string& out, std::string_view text);

}  // namespace kvern
