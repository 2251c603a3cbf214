// What an answer must look like, in every spelling that is sent for it.
//
//   OpenAI        response_format: json_object, json_schema
//   Anthropic     output_config {format} or output_format: json_schema
//   vLLM, MLX     guided_json, guided_choice, guided_regex, guided_grammar, guided_whitespace_pattern or
//                 whitespace_pattern; the same nested in structured_outputs
//   SGLang        regex, ebnf
//   llama-server  json_schema, grammar
// Two of them in one request are an error that names both. Pure; thread: any.
#pragma once

#include <string>

#include "api/fields.h"
#include "core/chat_request.h"

namespace kvern::api {

Result<ResponseFormat> read_format(const Fields& body);

// JSON Schema text of an object, in the client's key order. Code::too_large over kToolSchemaBytes.
Result<std::string> schema_text(const Fields& schema);

// Code::too_large over kTextRuleBytes.
Result<TextRule> read_rule(TextSyntax syntax, std::string definition, std::string path);

}  // namespace kvern::api
