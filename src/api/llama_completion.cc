#include "api/llama_completion.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "api/response_text.h"
#include "base/json_text.h"

namespace kvern::api {
namespace {

std::string_view stop_type(const Ending& ending) {
  if (!ending.stop.empty()) return "word";
  switch (ending.reason) {
    case FinishReason::stop:
    case FinishReason::tool_calls: return "eos";
    case FinishReason::length: return "limit";
    case FinishReason::cancelled:
    case FinishReason::failed: return "none";
  }
  return "none";
}

// "id":...,"token":...,"bytes":[...],"logprob":...
void append_token(std::string& out, const TokenLogprob& token, const Vocab& vocab) {
  const std::string_view piece = vocab.piece(token.token);
  out += "\"id\":";
  append_number(out, token.token);
  out += ",\"token\":";
  append_json_string(out, piece);
  out += ",\"bytes\":";
  append_bytes(out, piece);
  out += ",\"logprob\":";
  append_logprob(out, token.logprob);
}

void append_probabilities(std::string& out, std::span<const StepLogprobs> steps, const Vocab& vocab) {
  out += ",\"completion_probabilities\":[";
  for (std::size_t s = 0; s < steps.size(); ++s) {
    out += s > 0 ? ",{" : "{";
    append_token(out, steps[s].drawn, vocab);
    out += ",\"top_logprobs\":[";
    for (std::size_t i = 0; i < steps[s].best.size(); ++i) {
      out += i > 0 ? ",{" : "{";
      append_token(out, steps[s].best[i], vocab);
      out += '}';
    }
    out += "]}";
  }
  out += ']';
}

// {"index":...,"content":...,"tokens":[...]
void open(std::string& out, std::size_t choice, std::string_view text, std::span<const TokenId> tokens) {
  out += "{\"index\":";
  append_number(out, static_cast<std::int64_t>(choice));
  out += ",\"content\":";
  append_json_string(out, text);
  out += ",\"tokens\":";
  append_numbers(out, tokens);
}

double per(double amount, double of) { return of > 0 ? amount / of : 0; }

void append_timings(std::string& out, const Usage& usage) {
  const double prompt_ms = static_cast<double>(usage.ttft_us - usage.queue_us) / 1e3;
  const double predicted_ms = static_cast<double>(usage.decode_us) / 1e3;
  const double prompt_n = usage.computed_tokens();
  const double predicted_n = usage.completion_tokens;
  fmt::format_to(std::back_inserter(out),
                 R"(,"timings":{{"cache_n":{},"prompt_n":{},"prompt_ms":{},"prompt_per_token_ms":{},)"
                 R"("prompt_per_second":{},"predicted_n":{},"predicted_ms":{},"predicted_per_token_ms":{},)"
                 R"("predicted_per_second":{})",
                 usage.reused_tokens(), usage.computed_tokens(), prompt_ms, per(prompt_ms, prompt_n),
                 per(prompt_n * 1e3, prompt_ms), usage.completion_tokens, predicted_ms, per(predicted_ms, predicted_n),
                 per(predicted_n * 1e3, predicted_ms));
  if (usage.drafted_tokens > 0)
    fmt::format_to(std::back_inserter(out), R"(,"draft_n":{},"draft_n_accepted":{})", usage.drafted_tokens,
                   usage.accepted_tokens);
  out += '}';
}

}  // namespace

LlamaCompletionEncoder::LlamaCompletionEncoder(std::string model, const LlamaCompletion& wanted,
                                               std::vector<std::int32_t> prompt_tokens, const Vocab& vocab)
    : model_(std::move(model)),
      sampling_(wanted.request.sampling),
      tokens_max_(wanted.request.tokens_max),
      return_tokens_(wanted.return_tokens),
      prompt_tokens_(std::move(prompt_tokens)),
      predicted_(prompt_tokens_.size()),
      new_lines_(prompt_tokens_.size()),
      vocab_(vocab) {}

void LlamaCompletionEncoder::step(std::size_t choice, const Step& step, std::vector<Frame>& out) {
  std::string frame;
  if (step.progress) {
    open(frame, choice, "", {});
  } else {
    if (step.token >= 0) ++predicted_[choice];
    if (step.text.find('\n') != std::string::npos) new_lines_[choice] = true;
    if (step.text.empty() && !step.logprobs && !return_tokens_) return;
    open(frame, choice, step.text, step.token >= 0 ? std::span(&step.token, 1) : std::span<const TokenId>());
  }
  fmt::format_to(std::back_inserter(frame), R"(,"stop":false,"id_slot":-1,"tokens_predicted":{},"tokens_evaluated":{})",
                 predicted_[choice], prompt_tokens_[choice]);
  if (step.progress) {
    frame += ",\"prompt_progress\":";
    append_progress(frame, *step.progress);
  }
  if (step.logprobs) append_probabilities(frame, std::span(&*step.logprobs, 1), vocab_);
  frame += '}';
  out.push_back({"", std::move(frame)});
}

void LlamaCompletionEncoder::ending(std::size_t choice, const Ending& ending, std::vector<Frame>& out) {
  LlamaChoice last;
  last.ending = ending;
  std::string frame;
  append_final(frame, choice, last);
  out.push_back({"", std::move(frame)});
}

// A streamed answer's last frame has no text: that went before.
void LlamaCompletionEncoder::append_final(std::string& out, std::size_t choice, const LlamaChoice& said) const {
  const Ending& ending = said.ending;
  const Usage& usage = ending.usage;
  open(out, choice, said.text, return_tokens_ ? said.tokens : std::vector<TokenId>());
  out += ",\"id_slot\":-1,\"stop\":true,\"model\":";
  append_json_string(out, model_);
  const bool new_line = new_lines_[choice] || said.text.find('\n') != std::string::npos;
  fmt::format_to(std::back_inserter(out),
                 R"(,"tokens_predicted":{},"tokens_evaluated":{},"tokens_cached":{},"has_new_line":{},)"
                 R"("truncated":false,"stop_type":"{}","stopping_word":)",
                 usage.completion_tokens, usage.prompt_tokens, usage.prompt_tokens + usage.completion_tokens, new_line,
                 stop_type(ending));
  append_json_string(out, ending.stop);
  fmt::format_to(std::back_inserter(out),
                 R"(,"generation_settings":{{"temperature":{},"top_k":{},"top_p":{},"min_p":{},"n_predict":{}}})",
                 sampling_.temperature, sampling_.top_k, sampling_.top_p, sampling_.min_p, tokens_max_.value_or(-1));
  append_timings(out, usage);
  if (!said.logprobs.empty()) append_probabilities(out, said.logprobs, vocab_);
  out += '}';
}

std::string LlamaCompletionEncoder::whole(std::span<const LlamaChoice> choices) const {
  std::string out;
  if (choices.size() > 1) out += '[';
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out += ',';
    append_final(out, i, choices[i]);
  }
  if (choices.size() > 1) out += ']';
  return out;
}

}  // namespace kvern::api
