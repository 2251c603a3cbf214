// A chat request after its wire format is forgotten.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/message.h"
#include "core/sampling.h"
#include "core/tool.h"

namespace kvern {

enum class FormatKind { text, json_object, json_schema };

struct ResponseFormat {
  FormatKind kind = FormatKind::text;
  std::string schema;  // with json_schema: the schema's JSON text
};

struct ChatRequest {
  std::string model;  // as sent; echoed
  std::vector<Message> messages;
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  bool parallel_tool_calls = true;
  ResponseFormat format;
  SamplingParams sampling;
  std::optional<std::int32_t> tokens_max;  // unset: up to the end of the context
  std::vector<std::string> stops;
  std::int32_t choices = 1;
  std::string session;          // affinity key, may be empty
  std::string template_kwargs;  // JSON object text for the template, may be empty

  bool stream = false;
  bool stream_usage = false;  // a last chunk with usage
};

// /v1/completions: text or token prompts, no template.
struct CompletionRequest {
  std::string model;
  struct Prompt {
    std::string text;  // used when tokens is empty
    std::vector<TokenId> tokens;
  };
  std::vector<Prompt> prompts;  // choices are numbered prompt-major: prompt 0's n first
  ResponseFormat format;        // `json_schema`, llama-server's spelling
  SamplingParams sampling;
  std::optional<std::int32_t> tokens_max;
  std::vector<std::string> stops;
  std::int32_t choices = 1;
  std::string session;
  bool echo = false;
  bool stream = false;
  bool stream_usage = false;
};

}  // namespace kvern
