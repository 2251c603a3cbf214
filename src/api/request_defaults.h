// "temperature=0.7": what requests that leave a field out get. Pure; thread: any.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "core/request_defaults.h"

namespace kvern::api {

// Each text is one pair or several with commas between; names are the request's own, with '_' or '-'. One that
// begins with chat_template_kwargs= is a JSON object to its end.
// Code::invalid for an unknown name and for values a request could not have.
Result<RequestDefaults> parse_request_defaults(std::span<const std::string> pairs);

}  // namespace kvern::api
