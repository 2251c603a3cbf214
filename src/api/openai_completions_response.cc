#include "api/openai_completions.h"
#include "api/response_text.h"
#include "base/json_text.h"

namespace kvern::api {
namespace {

constexpr std::string_view kObject = "text_completion";

// This API has no tools; a client's types know two words.
std::string_view text_finish_word(FinishReason reason) { return reason == FinishReason::length ? "length" : "stop"; }

// {"index":...,"text":...,"logprobs":...,"finish_reason":
void append_open_choice(std::string& out, std::int64_t index, std::string_view text,
                        std::span<const StepLogprobs> logprobs, const Vocab& vocab, std::int64_t& offset) {
  out += "{\"index\":";
  append_number(out, index);
  out += ",\"text\":";
  append_json_string(out, text);
  out += ",\"logprobs\":";
  append_text_logprobs(out, logprobs, vocab, offset);
  out += ",\"finish_reason\":";
}

}  // namespace

std::string encode_completion_response(const ResponseHead& head, std::span<const TextChoice> choices,
                                       const Usage& usage, const Vocab& vocab) {
  std::string out = open_body(head, kObject);
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out += ',';
    std::int64_t offset = 0;
    append_open_choice(out, static_cast<std::int64_t>(i), choices[i].text, choices[i].logprobs, vocab, offset);
    append_json_string(out, text_finish_word(choices[i].reason));
    out += '}';
  }
  out += "],\"usage\":";
  out += encode_usage(usage);
  out += '}';
  return out;
}

CompletionStreamEncoder::CompletionStreamEncoder(ResponseHead head, bool with_usage, const Vocab& vocab)
    : with_usage_(with_usage), vocab_(vocab), prefix_(open_body(head, kObject)) {}

void CompletionStreamEncoder::text(std::int32_t choice, std::string_view text, std::span<const StepLogprobs> logprobs,
                                   std::vector<Frame>& out) {
  if (text.empty() && logprobs.empty()) return;
  std::string chunk = prefix_;
  append_open_choice(chunk, choice, text, logprobs, vocab_, offsets_[choice]);
  chunk += "null}]}";
  out.push_back({"", std::move(chunk)});
}

void CompletionStreamEncoder::ending(std::int32_t choice, FinishReason reason, std::vector<Frame>& out) {
  std::string chunk = prefix_;
  append_open_choice(chunk, choice, "", {}, vocab_, offsets_[choice]);
  append_json_string(chunk, text_finish_word(reason));
  chunk += "}]}";
  out.push_back({"", std::move(chunk)});
}

void CompletionStreamEncoder::done(const Usage& usage, std::vector<Frame>& out) {
  if (with_usage_) out.push_back({"", prefix_ + "],\"usage\":" + encode_usage(usage) + "}"});
  out.push_back({"", "[DONE]"});
}

}  // namespace kvern::api
