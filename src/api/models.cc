#include "api/models.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include <nlohmann/json.hpp>

#include "api/fields.h"
#include "api/response_text.h"
#include "base/json_text.h"
#include "base/utf8.h"

namespace kvern::api {
namespace {

// A piece that is part of a character cannot be a JSON string; llama-server gives its bytes.
void append_piece(std::string& out, std::string_view piece) {
  if (is_utf8(piece)) {
    append_json_string(out, piece);
    return;
  }
  append_bytes(out, piece);
}

// {"NAME":"text"}
std::string one_text(std::string_view name, std::string_view text) {
  std::string out = fmt::format("{{\"{}\":", name);
  append_json_string(out, text);
  out += '}';
  return out;
}

void append_id(std::string& out, const ModelCard* model) {
  if (model == nullptr) {
    out += "null";
  } else {
    append_json_string(out, model->id);
  }
}

}  // namespace

std::string encode_model(const ModelCard& model) {
  std::string out = "{\"id\":";
  append_json_string(out, model.id);
  out += R"(,"type":"model","display_name":)";
  append_json_string(out, model.id);
  out += fmt::format(R"(,"object":"model","created":{0},"created_at":"{1:%Y-%m-%dT%H:%M:%SZ}","owned_by":"kvern",)"
                     R"("max_model_len":{2},"context_length":{2},"context_window":{2},"max_input_tokens":{2},)"
                     R"("max_tokens":{2},)"
                     R"("meta":{{"n_ctx":{2},"n_ctx_train":{3},"n_vocab":{4},"n_params":{5},"size":{6}}}}})",
                     model.created_s, fmt::gmtime(static_cast<std::time_t>(model.created_s)), model.context,
                     model.context_trained, model.vocabulary, model.parameters, model.bytes);
  return out;
}

std::string encode_model_list(std::span<const ModelCard> models) {
  std::string out = R"({"object":"list","data":[)";
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (i > 0) out += ',';
    out += encode_model(models[i]);
  }
  out += R"(],"has_more":false,"first_id":)";
  append_id(out, models.empty() ? nullptr : &models.front());
  out += ",\"last_id\":";
  append_id(out, models.empty() ? nullptr : &models.back());
  out += '}';
  return out;
}

Result<TokenizeRequest> parse_tokenize_request(std::string_view body) {
  TRY(const Json document, parse_body(body));
  TRY(const Fields fields, Fields::of(document, ""));
  TokenizeRequest request;
  TRY(request.content, fields.required_text("content"));
  TRY_OK(fields.flag("add_special", request.add_special));
  TRY_OK(fields.flag("parse_special", request.parse_special));
  TRY_OK(fields.flag("with_pieces", request.with_pieces));
  return request;
}

std::string encode_tokens(std::span<const TokenId> tokens, bool with_pieces, const Vocab& vocab) {
  std::string out = "{\"tokens\":[";
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) out += ',';
    if (with_pieces) out += "{\"id\":";
    append_number(out, tokens[i]);
    if (!with_pieces) continue;
    out += ",\"piece\":";
    append_piece(out, vocab.piece(tokens[i]));
    out += '}';
  }
  out += "]}";
  return out;
}

Result<std::vector<TokenId>> parse_detokenize_request(std::string_view body, const Vocab& vocab) {
  TRY(const Json document, parse_body(body));
  TRY(const Fields fields, Fields::of(document, ""));
  TRY(const Json* list, fields.list("tokens"));
  if (list == nullptr) return fields.missing("tokens", "a list of token ids");
  std::vector<TokenId> tokens;
  tokens.reserve(list->size());
  for (std::size_t i = 0; i < list->size(); ++i) {
    TRY(const std::int64_t id,
        to_integer((*list)[i], {0, std::int64_t{vocab.size()} - 1}, indexed(fields.path_of("tokens"), i)));
    tokens.push_back(static_cast<TokenId>(id));
  }
  return tokens;
}

std::string encode_detokenized(std::span<const TokenId> tokens, const Vocab& vocab) {
  std::string text;
  for (const TokenId token : tokens) text += vocab.piece(token);
  return one_text("content", text);
}

std::string encode_prompt(std::string_view text) { return one_text("prompt", text); }

std::string encode_input_tokens(std::size_t tokens) {
  return fmt::format(R"({{"object":"response.input_tokens","input_tokens":{}}})", tokens);
}

std::string encode_health(const Health& health) {
  std::string out = health.ready ? R"({"status":"ok","model":)" : R"({"status":"loading","model":)";
  append_json_string(out, health.model);
  out += fmt::format(",\"running\":{},\"waiting\":{}}}", health.running, health.waiting);
  return out;
}

}  // namespace kvern::api
