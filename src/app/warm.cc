#include "app/warm.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>

#include "api/openai_chat.h"
#include "api/openai_completions.h"
#include "app/ids.h"
#include "app/raw_prompt.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"

namespace kvern::app {
namespace {

struct Body {
  std::optional<ChatRequest> chat;
  CompletionRequest completion;  // when chat is not set
};

tl::unexpected<Error> about(const std::string& file, const Error& error) {
  const std::string where = error.field.empty() ? std::string() : error.field + ": ";
  return fail(Code::invalid, fmt::format("{}: {}{}", file, where, error.message), "--warm");
}

Result<std::string> read_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return fail(Code::invalid, "is a folder; a file is expected");
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(Code::invalid, fmt::format("cannot be read: {}", std::strerror(errno)));
  std::string text(limits::kBodyBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return fail(Code::invalid, "cannot be read");
  if (!file.eof()) return fail(Code::invalid, fmt::format("is larger than {} bytes", limits::kBodyBytes));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

Result<Body> parse(const std::string& text, const RequestDefaults& defaults) {
  Body body;
  TRY(const Json document, parse_json(text));
  if (!document.is_object() || (!document.contains("messages") && !document.contains("prompt")))
    return fail(Code::invalid, "is no request: expected a JSON object with \"messages\" or \"prompt\"");
  if (document.contains("messages")) {
    TRY(body.chat, api::parse_chat_request(text, defaults));
  } else {
    TRY(body.completion, api::parse_completion_request(text, defaults));
  }
  return body;
}

Result<Body> load(const std::string& path, const RequestDefaults& defaults) {
  auto text = read_file(path);
  if (!text) return about(path, text.error());
  auto body = parse(*text, defaults);
  if (!body) return about(path, body.error());
  return body;
}

Result<std::vector<Prompt>> prompts_of(const ModelService& model, const Body& body) {
  std::vector<Prompt> prompts;
  if (body.chat) {
    TRY(chat::RenderedChat rendered, model.renderer().render(*body.chat));
    prompts.push_back(std::move(rendered.prompt));
    return prompts;
  }
  for (std::size_t i = 0; i < body.completion.prompts.size(); ++i) {
    Prompt prompt;
    TRY(prompt.tokens, raw_prompt_tokens(body.completion.prompts[i], model.vocab(), fmt::format("prompt[{}]", i)));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

Result<Usage> compute(const ModelService& model, Prompt prompt, std::string salt) {
  GenerateRequest request;
  request.id = "warm-" + random_id();
  request.prompt = std::move(prompt);
  request.cache_salt = std::move(salt);
  request.tokens_max = 1;
  auto stream = std::make_shared<Stream>(limits::kStreamSteps);
  TRY_OK(model.generator().submit(std::move(request), stream));
  std::vector<Step> steps;
  std::optional<Ending> ending;
  while (!ending) {
    stream->wait();
    ending = stream->take(steps);
  }
  if (ending->reason == FinishReason::failed) return tl::unexpected(std::move(ending->error));
  if (ending->reason == FinishReason::cancelled) return fail(Code::cancelled, "the server stopped before it was done");
  return ending->usage;
}

Result<Usage> warm_one(const ModelService& model, const std::string& file) {
  TRY(const Body body, load(file, model.defaults()));
  auto prompts = prompts_of(model, body);
  if (!prompts) return about(file, prompts.error());
  Usage sum;
  for (const Prompt& prompt : *prompts) {
    for (std::string& salt : model.salts()) {
      TRY(const Usage usage, compute(model, prompt, std::move(salt)));
      sum.prompt_tokens += usage.prompt_tokens;
      sum.reused_device_tokens += usage.reused_tokens();
      sum.ttft_us += usage.ttft_us;
    }
  }
  return sum;
}

}  // namespace

Status check_warm_files(const std::vector<std::string>& files) {
  for (const std::string& file : files) TRY_OK(load(file, {}));
  return {};
}

void warm(ModelService& model, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const Result<Usage> usage = warm_one(model, file);
    if (usage) {
      log::info("warmed", {{"file", file},
                           {"tokens", usage->prompt_tokens},
                           {"reused", usage->reused_tokens()},
                           {"computed", usage->computed_tokens()},
                           {"ms", static_cast<double>(usage->ttft_us) / 1e3}});
    } else {
      log::warn("not warmed", {{"file", file}, {"why", usage.error().message}});
      if (usage.error().code == Code::cancelled) return;
    }
  }
}

}  // namespace kvern::app
