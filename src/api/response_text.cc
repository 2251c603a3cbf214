#include "api/response_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include "base/json_text.h"
#include "base/utf8.h"

namespace kvern::api {
namespace {

constexpr float kVeryUnlikely = -9999.0F;

// "token":...,"logprob":...,"bytes":[...]
void append_token(std::string& out, const TokenLogprob& entry, const Vocab& vocab) {
  const std::string_view piece = vocab.piece(entry.token);
  out += "\"token\":";
  append_json_string(out, piece);
  out += ",\"logprob\":";
  append_logprob(out, entry.logprob);
  out += ",\"bytes\":";
  append_bytes(out, piece);
}

// {"token text": logprob, ...}: the best, and the drawn one when it is not among them. Tokens whose
// texts read alike (parts of characters) share a key; the likeliest keeps it.
void append_best(std::string& out, const StepLogprobs& step, const Vocab& vocab) {
  std::vector<std::string> keys;
  const auto append = [&](const TokenLogprob& entry) {
    std::string key = to_valid_utf8(vocab.piece(entry.token));
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) return;
    if (!keys.empty()) out += ',';
    append_json_string(out, key);
    out += ':';
    append_logprob(out, entry.logprob);
    keys.push_back(std::move(key));
  };
  out += '{';
  for (const TokenLogprob& entry : step.best) append(entry);
  append(step.drawn);
  out += '}';
}

// Bytes that begin a character; those that continue one do not count, so characters split between
// tokens count once.
std::int64_t characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

// name:[one value a step]
template <typename Append>
void append_column(std::string& out, std::string_view name, std::span<const StepLogprobs> steps, Append append) {
  out += name;
  out += '[';
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (i > 0) out += ',';
    append(steps[i]);
  }
  out += ']';
}

}  // namespace

std::string open_body(const ResponseHead& head, std::string_view object) {
  std::string out = "{\"id\":";
  append_json_string(out, head.id);
  out += ",\"object\":";
  append_json_string(out, object);
  out += ",\"created\":";
  append_number(out, head.created_s);
  out += ",\"model\":";
  append_json_string(out, head.model);
  out += ",\"choices\":[";
  return out;
}

std::string usage_details(const Usage& usage) {
  return fmt::format(R"({{"reused_device_tokens":{},"reused_memory_tokens":{},"computed_tokens":{},)"
                     R"("why":"{}","ttft_ms":{}}})",
                     usage.reused_device_tokens, usage.reused_memory_tokens, usage.computed_tokens(),
                     to_string(usage.why), static_cast<double>(usage.ttft_us) / 1000.0);
}

void append_number(std::string& out, std::int64_t number) { fmt::format_to(std::back_inserter(out), "{}", number); }

void append_bytes(std::string& out, std::string_view text) {
  append_numbers(out, std::span(reinterpret_cast<const unsigned char*>(text.data()), text.size()));
}

void append_logprob(std::string& out, float logprob) {
  const float known = std::isfinite(logprob) ? std::max(logprob, kVeryUnlikely) : kVeryUnlikely;
  fmt::format_to(std::back_inserter(out), "{}", known);
}

void append_chat_logprobs(std::string& out, std::span<const StepLogprobs> steps, const Vocab& vocab) {
  if (steps.empty()) {
    out += "null";
    return;
  }
  append_column(out, "{\"content\":", steps, [&](const StepLogprobs& step) {
    out += '{';
    append_token(out, step.drawn, vocab);
    out += ",\"top_logprobs\":[";
    for (std::size_t i = 0; i < step.best.size(); ++i) {
      out += i > 0 ? ",{" : "{";
      append_token(out, step.best[i], vocab);
      out += '}';
    }
    out += "]}";
  });
  out += ",\"refusal\":null}";
}

void append_text_logprobs(std::string& out, std::span<const StepLogprobs> steps, const Vocab& vocab,
                          std::int64_t& offset) {
  if (steps.empty()) {
    out += "null";
    return;
  }
  append_column(out, "{\"tokens\":", steps,
                [&](const StepLogprobs& step) { append_json_string(out, vocab.piece(step.drawn.token)); });
  append_column(out, ",\"token_logprobs\":", steps,
                [&](const StepLogprobs& step) { append_logprob(out, step.drawn.logprob); });
  append_column(out, ",\"top_logprobs\":", steps, [&](const StepLogprobs& step) { append_best(out, step, vocab); });
  append_column(out, ",\"text_offset\":", steps, [&](const StepLogprobs& step) {
    append_number(out, offset);
    offset += characters(vocab.piece(step.drawn.token));
  });
  out += '}';
}

void append_progress(std::string& out, const PromptProgress& progress) {
  fmt::format_to(std::back_inserter(out), R"({{"total":{},"cache":{},"processed":{},"time_ms":{}}})", progress.total,
                 progress.reused, progress.processed, progress.time_us / 1000);
}

std::string_view finish_word(FinishReason reason) {
  switch (reason) {
    case FinishReason::length: return "length";
    case FinishReason::tool_calls: return "tool_calls";
    case FinishReason::stop:
    case FinishReason::cancelled:
    case FinishReason::failed: return "stop";
  }
  return "stop";
}

}  // namespace kvern::api
