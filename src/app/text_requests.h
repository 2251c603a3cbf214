// A request with raw prompts -> one GenerateRequest a choice. Thread: prep.
#pragma once

#include <string>
#include <vector>

#include "app/model_service.h"
#include "core/generator.h"

namespace kvern::app {

// Choices prompt by prompt; ids are id-0, id-1, ... Errors name the field.
Result<std::vector<GenerateRequest>> text_requests(ModelService& model, const CompletionRequest& request,
                                                   const std::string& id, const http::Request& http_request);

}  // namespace kvern::app
