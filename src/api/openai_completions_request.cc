#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/generation_fields.h"
#include "api/llama_completion.h"
#include "api/openai_completions.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

constexpr std::string_view kPromptShapes = "a string, a list of strings, a list of token ids or a list of such lists";

Status read_tokens(const Json& list, const std::string& path, std::vector<TokenId>& out) {
  if (list.empty()) return fail(Code::invalid, "a prompt must not be empty", path);
  out.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    // The path is only made for an error: a prompt may have a hundred thousand ids.
    std::int64_t id = whole_number(list[i]).value_or(-1);
    if (id < kTokenIds.least || id > kTokenIds.most) {
      TRY(id, to_integer(list[i], kTokenIds, indexed(path, i)));
    }
    out.push_back(static_cast<TokenId>(id));
  }
  return {};
}

Status add_prompt(const Json& value, const std::string& path, std::vector<CompletionRequest::Prompt>& out) {
  CompletionRequest::Prompt prompt;
  if (const auto* text = value.get_ptr<const std::string*>()) {
    if (text->empty()) return fail(Code::invalid, "a prompt must not be empty", path);
    prompt.text = *text;
  } else if (value.is_array()) {
    TRY_OK(read_tokens(value, path, prompt.tokens));
  } else {
    return mismatch(path, kPromptShapes, value);
  }
  out.push_back(std::move(prompt));
  return {};
}

Status read_prompts(const Fields& body, std::vector<CompletionRequest::Prompt>& out) {
  const Json* value = body.find("prompt");
  if (value == nullptr) return body.missing("prompt", kPromptShapes);
  const std::string path = body.path_of("prompt");
  const bool several = value->is_array() && !value->empty() && !value->front().is_number();
  if (!several) return add_prompt(*value, path, out);
  if (value->size() > limits::kPrompts)
    return fail(Code::too_large, fmt::format("more than {} prompts", limits::kPrompts), path);
  for (std::size_t i = 0; i < value->size(); ++i) TRY_OK(add_prompt((*value)[i], indexed(path, i), out));
  return {};
}

// In this API logprobs is the number of alternatives.
Status read_logprobs(const Fields& body, std::int32_t& out) {
  return body.integer("logprobs", {0, static_cast<std::int64_t>(limits::kTopLogprobs)}, out);
}

// Text written as if something followed it would be wrong text, so this one is not ignored.
Status refuse_suffix(const Fields& body) {
  std::string suffix;
  TRY_OK(body.text("suffix", suffix));
  if (suffix.empty()) return {};
  return fail(Code::invalid, "a suffix (fill in the middle) is not supported", body.path_of("suffix"));
}

}  // namespace

namespace {

Result<CompletionRequest> read_completion(const Fields& fields, const RequestDefaults& defaults) {
  CompletionRequest request;
  TRY_OK(read_prompts(fields, request.prompts));
  TRY_OK(read_generation(fields, defaults, request));
  if (request.prompts.size() * static_cast<std::size_t>(request.choices) > limits::kChoicesOfRequest)
    return fail(Code::invalid, fmt::format("prompts times n may be at most {}", limits::kChoicesOfRequest), "n");
  return request;
}

}  // namespace

Result<CompletionRequest> parse_completion_request(std::string_view body, const RequestDefaults& defaults) {
  TRY(const Json document, parse_body(body));
  TRY(const Fields fields, Fields::of(document, ""));
  TRY(CompletionRequest request, read_completion(fields, defaults));
  TRY_OK(read_logprobs(fields, request.sampling.top_logprobs));
  TRY_OK(fields.flag("echo", request.echo));
  TRY_OK(refuse_suffix(fields));
  return request;
}

Result<LlamaCompletion> parse_llama_completion(std::string_view body, const RequestDefaults& defaults) {
  TRY(const Json document, parse_body(body));
  TRY(const Fields fields, Fields::of(document, ""));
  LlamaCompletion wanted;
  TRY(wanted.request, read_completion(fields, defaults));
  std::int32_t best = 0;
  TRY_OK(fields.integer("n_probs", {0, static_cast<std::int64_t>(limits::kTopLogprobs)}, best));
  if (best > 0) wanted.request.sampling.top_logprobs = best;
  TRY_OK(fields.flag("return_tokens", wanted.return_tokens));
  TRY_OK(fields.flag("return_progress", wanted.progress));
  wanted.progress = wanted.progress && wanted.request.stream;
  return wanted;
}

}  // namespace kvern::api
