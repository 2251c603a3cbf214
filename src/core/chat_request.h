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

enum class FormatKind { text, json_object, json_schema, choice, grammar };

struct ResponseFormat {
  FormatKind kind = FormatKind::text;
  std::string schema = {};                // with json_schema: the schema's JSON text
  std::vector<std::string> choices = {};  // with choice: the answer is one of these, exactly
  TextRule rule = {};                     // with grammar; never `any`
  // With json_*: a regular expression for the whitespace between JSON tokens. Empty: the model's own
  // spacing, ", " and ": ".
  std::string whitespace = {};
  std::string field = {};  // where the client wrote it, for errors about it; empty with text
};

// How long the model may reason before it must answer or call.
struct Reasoning {
  // 0: it is asked not to, and a block it opens is closed at once. Unset: no limit of its own.
  std::optional<std::int32_t> tokens_max;
  std::string effort;  // as sent ("low", "high", ...), for templates that know it; may be empty
};

struct ChatRequest {
  std::string model;  // as sent; echoed
  std::vector<Message> messages;
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  bool parallel_tool_calls = true;
  ResponseFormat format;
  Reasoning reasoning;
  SamplingParams sampling;
  std::optional<std::int32_t> tokens_max;  // unset: up to the end of the context; 0: only compute the prompt
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
