#include "chat/renderer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/conversation.h"
#include "chat/default_template.h"
#include "chat/template/jinja_template.h"

namespace kvern::chat {
namespace {

using Parts = std::vector<RenderedPart>;

std::string_view without_leading_space(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  return text;
}

std::string_view without_trailing_space(std::string_view text) {
  return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
}

std::string joined(const Parts& parts) {
  std::string text;
  for (const RenderedPart& part : parts) text += part.text;
  return text;
}

Result<Chosen> choose(const RendererOptions& options) {
  Chosen chosen = choose_dialect(options.template_source);
  if (options.dialect.empty()) return chosen;
  const Dialect* named = find_dialect(options.dialect);
  if (named == nullptr) {
    std::string known;
    for (const Dialect& dialect : all_dialects()) known += (known.empty() ? "" : ", ") + std::string(dialect.name);
    return fail(Code::invalid, fmt::format("there is no dialect '{}'; known are {}", options.dialect, known),
                "--dialect");
  }
  chosen.dialect = named;
  chosen.reasons =
      !named->reasoning_end.empty() && options.template_source.find(named->reasoning_end) != std::string::npos;
  return chosen;
}

bool uses_tools(const ChatRequest& request) {
  return !request.tools.empty() || std::any_of(request.messages.begin(), request.messages.end(), [](const Message& m) {
    return m.role == Role::tool || !m.tool_calls.empty();
  });
}

// The part where the first message after the head begins, or parts.size(). A part of the head that
// happens to begin with the same text is found instead; that is a shared position too.
std::size_t first_turn_part(const Parts& parts, const std::vector<Message>& messages) {
  const auto turn =
      std::find_if(messages.begin(), messages.end(), [](const Message& m) { return m.role != Role::system; });
  if (turn == messages.end()) return parts.size();
  const std::string_view content = without_trailing_space(without_leading_space(turn->content));
  if (content.empty()) return parts.size();
  const auto found = std::find_if(parts.begin(), parts.end(), [&](const RenderedPart& part) {
    return part.is_input && without_leading_space(part.text).starts_with(content);
  });
  return static_cast<std::size_t>(found - parts.begin());
}

class TemplateRenderer final : public Renderer {
 public:
  TemplateRenderer(const Vocab& vocab, Chosen chosen, std::unique_ptr<JinjaTemplate> jinja)
      : vocab_(vocab), chosen_(chosen), template_(std::move(jinja)) {
    constants_ = {{"bos_token", std::string(vocab.bos_text())}, {"eos_token", std::string(vocab.eos_text())}};
    header_ = generation_header();
    vocab.tokenize(header_, SpecialTokens::as_tokens, header_tokens_);
  }

  const Chosen& dialect() const override { return chosen_; }

  Result<RenderedChat> render(const ChatRequest& request) const override {
    const std::vector<Message> messages = prepared(request);
    TRY(const Parts parts, render_parts(request, messages));
    RenderedChat chat;
    chat.prompt = tokenised(parts, first_turn_part(parts, messages));
    chat.in_reasoning = opens_reasoning(parts);
    return chat;
  }

  Result<std::string> render_text(const ChatRequest& request) const override {
    return render_parts(request, prepared(request)).map(joined);
  }

 private:
  std::vector<Message> prepared(const ChatRequest& request) const {
    if (chosen_.knows_tools || !uses_tools(request)) return request.messages;
    return without_tools(request.messages, request.tools, *chosen_.dialect);
  }

  // A template that refuses the request as sent is tried once more with what it may have refused
  // adapted; its first words are the ones worth reading.
  Result<Parts> render_parts(const ChatRequest& request, const std::vector<Message>& messages) const {
    TRY(Json variables, extra_variables(request.template_kwargs));
    variables["tools"] = chosen_.knows_tools ? tools_json(request.tools) : Json(nullptr);
    variables["messages"] = messages_json(messages, Strictness::as_sent);
    Result<Parts> parts = template_->render(variables, constants_);
    if (parts || parts.error().code != Code::invalid) return parts;
    if (uses_tools(request)) {
      variables["messages"] = messages_json(messages, Strictness::adapted);
      Result<Parts> adapted = template_->render(variables, constants_);
      if (adapted) return adapted;
    }
    parts.error().field = "messages";
    return parts;
  }

  Prompt tokenised(const Parts& parts, std::size_t first_turn) const {
    Prompt prompt;
    const TokenId bos = vocab_.required_bos();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i == first_turn && !prompt.tokens.empty()) add_boundary(prompt, prompt.tokens.size());
      const SpecialTokens special = parts[i].is_input ? SpecialTokens::as_text : SpecialTokens::as_tokens;
      vocab_.tokenize(parts[i].text, special, prompt.tokens);
      if (i == 0 && bos >= 0 && (prompt.tokens.empty() || prompt.tokens.front() != bos))
        prompt.tokens.insert(prompt.tokens.begin(), bos);
    }
    if (parts.empty() && bos >= 0) prompt.tokens.push_back(bos);
    if (!parts.empty() && !parts.back().is_input) mark_header(prompt, parts.back().text);
    return prompt;
  }

  // The end of the conversation, where the next request goes on with an assistant turn of its own.
  void mark_header(Prompt& prompt, std::string_view tail) const {
    if (header_.empty() || !tail.ends_with(header_)) return;
    const std::size_t length = header_tokens_.size();
    if (length >= prompt.tokens.size()) return;
    const auto start = prompt.tokens.end() - static_cast<std::ptrdiff_t>(length);
    if (std::equal(header_tokens_.begin(), header_tokens_.end(), start))
      add_boundary(prompt, prompt.tokens.size() - length);
  }

  static void add_boundary(Prompt& prompt, std::size_t tokens) {
    const auto boundary = static_cast<std::int32_t>(tokens);
    if (prompt.boundaries.empty() || prompt.boundaries.back() < boundary) prompt.boundaries.push_back(boundary);
  }

  // What the template adds for the model to go on, "" when it cannot be told.
  std::string generation_header() const {
    Message greeting;
    greeting.content = "Hello";
    Json variables = {{"messages", messages_json(std::span(&greeting, 1), Strictness::as_sent)}, {"tools", nullptr}};
    variables["add_generation_prompt"] = false;
    const Result<Parts> plain = template_->render(variables, constants_);
    variables["add_generation_prompt"] = true;
    const Result<Parts> asking = template_->render(variables, constants_);
    if (!plain || !asking) return {};
    const std::string without = joined(*plain);
    const std::string with = joined(*asking);
    return with.starts_with(without) ? with.substr(without.size()) : std::string();
  }

  bool opens_reasoning(const Parts& parts) const {
    const std::string_view begin = chosen_.dialect->reasoning_begin;
    if (!chosen_.reasons || begin.empty() || parts.empty() || parts.back().is_input) return false;
    return without_trailing_space(parts.back().text).ends_with(begin);
  }

  const Vocab& vocab_;
  const Chosen chosen_;
  const std::unique_ptr<JinjaTemplate> template_;
  Json constants_;
  std::string header_;  // and its tokens
  std::vector<TokenId> header_tokens_;
};

}  // namespace

Result<std::unique_ptr<Renderer>> Renderer::create(const Vocab& vocab, RendererOptions options) {
  if (options.template_source.empty()) options.template_source = kChatMl;
  TRY(const Chosen chosen, choose(options));
  Result<std::unique_ptr<JinjaTemplate>> parsed = JinjaTemplate::parse(options.template_source);
  if (!parsed) return fail(parsed.error().code, parsed.error().message, "--chat-template");
  return std::make_unique<TemplateRenderer>(vocab, chosen, std::move(*parsed));
}

}  // namespace kvern::chat
