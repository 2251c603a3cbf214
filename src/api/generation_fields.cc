#include "api/generation_fields.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/limits.h"

namespace kvern::api {
namespace {

constexpr float kBiasMax = 100.0F;
constexpr std::int32_t kPenaltyWindow = 1 << 20;  // more tokens than any context: "all of them"

// -1 is llama-server's "off" or "all" for several fields.
Status read_top_k(const Fields& body, std::int32_t& out) {
  TRY_OK(body.integer("top_k", {-1, INT32_MAX}, out));
  if (out == -1) out = 0;
  return {};
}

Status read_penalty_window(const Fields& body, std::int32_t& out) {
  TRY_OK(body.integer("repetition_context_size", {-1, kPenaltyWindow}, out));
  TRY_OK(body.integer("repeat_last_n", {-1, kPenaltyWindow}, out));
  if (out == -1) out = kPenaltyWindow;
  return {};
}

Status read_seed(const Fields& body, std::optional<std::uint64_t>& out) {
  const Json* value = body.find("seed");
  if (value == nullptr) return {};
  if (const auto* large = value->get_ptr<const Json::number_unsigned_t*>()) {
    out = *large;
    return {};
  }
  TRY(const std::int64_t seed, to_integer(*value, {INT64_MIN, INT64_MAX}, body.path_of("seed")));
  if (seed != -1) out = static_cast<std::uint64_t>(seed);
  return {};
}

Result<std::pair<TokenId, float>> bias_of(const Json& id, const Json& bias, const std::string& path) {
  TRY(const std::int64_t token, to_integer(id, kTokenIds, path));
  // llama-server writes "never this token" as false.
  if (bias.is_boolean() && !bias.get<bool>()) return std::pair{static_cast<TokenId>(token), -kBiasMax};
  TRY(const float value, to_number(bias, {-kBiasMax, kBiasMax}, path));
  return std::pair{static_cast<TokenId>(token), value};
}

Result<Json> key_as_id(const std::string& key, const std::string& path) {
  std::int32_t id = 0;
  const char* end = key.data() + key.size();
  const auto [stop, error] = std::from_chars(key.data(), end, id);
  if (error != std::errc() || stop != end)
    return fail(Code::invalid, fmt::format("expected token ids as keys, found {}", shown(key)), path);
  return Json(id);
}

Status read_logit_bias(const Fields& body, std::vector<std::pair<TokenId, float>>& out) {
  const Json* value = body.find("logit_bias");
  if (value == nullptr) return {};
  const std::string path = body.path_of("logit_bias");
  if (!value->is_object() && !value->is_array()) return mismatch(path, "an object or a list of [id, bias]", *value);
  if (value->size() > limits::kLogitBias)
    return fail(Code::too_large, fmt::format("more than {} biased tokens", limits::kLogitBias), path);
  if (value->is_object()) {
    for (const auto& [key, bias] : value->items()) {
      TRY(const Json id, key_as_id(key, path));
      TRY(out.emplace_back(), bias_of(id, bias, fmt::format("{}.{}", path, key)));
    }
    return {};
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    const Json& entry = (*value)[i];
    if (!entry.is_array() || entry.size() != 2) return mismatch(indexed(path, i), "a list [id, bias]", entry);
    TRY(out.emplace_back(), bias_of(entry[0], entry[1], indexed(path, i)));
  }
  return {};
}

Status add_stop(const Json& value, const std::string& path, std::vector<std::string>& out) {
  const auto* text = value.get_ptr<const std::string*>();
  if (text == nullptr) return mismatch(path, "a string", value);
  if (text->empty()) return fail(Code::invalid, "a stop string must not be empty", path);
  if (text->size() > limits::kStopBytes)
    return fail(Code::too_large, fmt::format("a stop string may have {} bytes", limits::kStopBytes), path);
  out.push_back(*text);
  return {};
}

}  // namespace

Status read_sampling(const Fields& body, SamplingParams& out) {
  TRY_OK(body.number("temperature", {0, 2}, out.temperature));
  TRY_OK(body.number("top_p", {0, 1, true}, out.top_p));
  TRY_OK(read_top_k(body, out.top_k));
  TRY_OK(body.number("min_p", {0, 1}, out.min_p));
  TRY_OK(body.number("presence_penalty", {-2, 2}, out.presence_penalty));
  TRY_OK(body.number("frequency_penalty", {-2, 2}, out.frequency_penalty));
  TRY_OK(body.number("repetition_penalty", {0, 100, true}, out.repeat_penalty));
  TRY_OK(body.number("repeat_penalty", {0, 100, true}, out.repeat_penalty));
  TRY_OK(read_penalty_window(body, out.repeat_last_n));
  TRY_OK(read_seed(body, out.seed));
  return read_logit_bias(body, out.logit_bias);
}

Status read_token_limit(const Fields& body, std::string_view name, std::optional<std::int32_t>& out) {
  const Json* value = body.find(name);
  if (value == nullptr || whole_number(*value) == -1) return {};
  TRY(const std::int64_t tokens, to_integer(*value, {1, INT32_MAX}, body.path_of(name)));
  if (!out) out = static_cast<std::int32_t>(tokens);
  return {};
}

Status read_token_limit(const Fields& body, std::optional<std::int32_t>& out) {
  TRY_OK(read_token_limit(body, "max_completion_tokens", out));
  TRY_OK(read_token_limit(body, "max_tokens", out));
  return read_token_limit(body, "n_predict", out);
}

Status read_stops(const Fields& body, std::string_view name, std::vector<std::string>& out) {
  const Json* value = body.find(name);
  if (value == nullptr) return {};
  const std::string path = body.path_of(name);
  if (value->is_string()) return add_stop(*value, path, out);
  if (!value->is_array()) return mismatch(path, "a string or a list of strings", *value);
  if (value->size() > limits::kStops)
    return fail(Code::too_large, fmt::format("more than {} stop strings", limits::kStops), path);
  for (std::size_t i = 0; i < value->size(); ++i) TRY_OK(add_stop((*value)[i], indexed(path, i), out));
  return {};
}

Status read_session(const Fields& body, std::string& out) {
  for (const char* name : {"prompt_cache_key", "user", "session_id"}) {
    std::string key;
    TRY_OK(body.text(name, key));
    if (out.empty()) out = std::move(key);
  }
  return {};
}

Status read_choices(const Fields& body, std::int32_t& out) {
  return body.integer("n", {1, static_cast<std::int64_t>(limits::kChoices)}, out);
}

Result<Streaming> read_streaming(const Fields& body) {
  Streaming out;
  TRY_OK(body.flag("stream", out.stream));
  TRY(const std::optional<Fields> options, body.object("stream_options"));
  if (options) TRY_OK(options->flag("include_usage", out.usage));
  out.usage = out.usage && out.stream;
  return out;
}

}  // namespace kvern::api
