// The pieces that responses and chunks are written from: JSON text appended to strings, no
// documents. Whatever bytes a model generates, the output is valid JSON on one line. Thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "api/openai_chat.h"

namespace kvern::api {

// {"id":...,"object":...,"created":...,"model":...,"choices":[
std::string open_body(const ResponseHead& head, std::string_view object);

// What no other server tells, the same in every format's usage:
// {"reused_device_tokens","reused_memory_tokens","computed_tokens","why","ttft_ms"}
std::string usage_details(const Usage& usage);

void append_number(std::string& out, std::int64_t number);

// [1,2,...]
template <typename Numbers>
void append_numbers(std::string& out, const Numbers& numbers) {
  out += '[';
  bool first = true;
  for (const auto number : numbers) {
    if (!first) out += ',';
    first = false;
    append_number(out, number);
  }
  out += ']';
}

void append_bytes(std::string& out, std::string_view text);  // as a list of numbers

// A logarithm of a probability: JSON has no infinity, so what is not finite is -9999, OpenAI's word
// for "very unlikely".
void append_logprob(std::string& out, float logprob);

// {"content":[{"token","logprob","bytes","top_logprobs"}...],"refusal":null}; null for no steps.
void append_chat_logprobs(std::string& out, std::span<const StepLogprobs> steps, const Vocab& vocab);

// {"tokens","token_logprobs","top_logprobs","text_offset"}; null for no steps. text_offset counts
// characters from the choice's beginning; `offset` carries the count from chunk to chunk.
void append_text_logprobs(std::string& out, std::span<const StepLogprobs> steps, const Vocab& vocab,
                          std::int64_t& offset);

// {"total","cache","processed","time_ms"}: llama-server's prompt_progress.
void append_progress(std::string& out, const PromptProgress& progress);

// OpenAI knows no word for a turn that failed or was given up, and clients refuse words they do
// not know: both are "stop". A failure is told by an error frame.
std::string_view finish_word(FinishReason reason);

}  // namespace kvern::api
