// The content of Responses items: text, or a list of parts. Pure; thread: any.
#pragma once

#include <string>

#include "api/fields.h"

namespace kvern::api {

// Appends the text. Parts are joined without a separator, so that a string and the same string as one part
// are the same; a part that is no text leaves a line that says so. Null is nothing.
Status append_content(const Json& content, const std::string& path, std::string& out);

// The result of a call: content, or any other JSON as its text.
Status append_output(const Json& output, const std::string& path, std::string& out);

}  // namespace kvern::api
