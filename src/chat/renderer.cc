#include "chat/renderer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/text_memory.h"
#include "chat/control_names.h"
#include "chat/conversation.h"
#include "chat/default_template.h"
#include "chat/dialect_probe.h"
#include "chat/prompt_walk.h"
#include "chat/rendered_text.h"
#include "chat/segments.h"
#include "chat/template/jinja_template.h"
#include "chat/template_traits.h"
#include "chat/template_writer.h"
#include "chat/token_cache.h"
#include "chat/transport_headers.h"
#include "chat/turns/same_meaning.h"

namespace kvern::chat {
namespace {

using Parts = std::vector<RenderedPart>;

Result<Chosen> choose(const RendererOptions& options, const TemplateTraits& traits) {
  Chosen chosen = choose_dialect(options.template_source, traits.probes);
  // A template that does not show them would lose them: they are described in text instead.
  chosen.knows_tools = chosen.knows_tools && traits.knows_tools;
  if (options.dialect.empty()) return chosen;
  const Dialect* named = find_dialect(options.dialect);
  if (named == nullptr) {
    std::string known;
    for (const Dialect* dialect : all_dialects()) known += (known.empty() ? "" : ", ") + std::string(dialect->name);
    return fail(Code::invalid, fmt::format("there is no dialect '{}'; known are {}", options.dialect, known),
                "--dialect");
  }
  chosen.dialect = named;
  chosen.reasons =
      !named->reasoning_end.empty() && options.template_source.find(named->reasoning_end) != std::string::npos;
  return chosen;
}

Json constants_of(const Vocab& vocab) {
  return {{"bos_token", std::string(vocab.bos_text())}, {"eos_token", std::string(vocab.eos_text())}};
}

// Where the first message after the head begins, or the text's end. A part of the head that happens
// to begin with the same words is found instead; that is a shared position too.
std::size_t first_turn(const RenderedText& rendered, const std::vector<Message>& messages) {
  const auto turn =
      std::find_if(messages.begin(), messages.end(), [](const Message& m) { return m.role != Role::system; });
  const std::string_view content = turn == messages.end() ? std::string_view() : bare(turn->content);
  if (content.empty()) return rendered.text.size();
  const auto found = std::find_if(rendered.parts.begin(), rendered.parts.end(), [&](const RenderedText::Part& part) {
    return part.is_input && bare(rendered.of(part)).starts_with(content);
  });
  return found == rendered.parts.end() ? rendered.text.size() : found->begin;
}

// The tools of the prompt's list.
std::vector<Tool> head_tools(const std::vector<Tool>& tools) {
  std::vector<Tool> head;
  std::copy_if(tools.begin(), tools.end(), std::back_inserter(head), [](const Tool& tool) { return !tool.deferred; });
  return head;
}

class TemplateRenderer final : public Renderer {
 public:
  TemplateRenderer(const Vocab& vocab, Chosen chosen, const TemplateTraits& traits,
                   std::unique_ptr<JinjaTemplate> jinja, bool keep_headers)
      : tokens_(vocab),
        chosen_(std::move(chosen)),
        keep_headers_(keep_headers),
        markers_(marker_tokens(*chosen_.dialect, vocab)),
        control_names_(vocab, markers_),
        writer_(std::move(jinja), constants_of(vocab), traits, chosen_) {
    header_ = generation_header();
    vocab.tokenize(header_, SpecialTokens::as_tokens, header_tokens_);
  }

  const Chosen& dialect() const override { return chosen_; }
  const std::vector<TokenId>& markers() const override { return markers_; }

  Result<RenderedChat> render(const ChatRequest& request, const Recalled* recalled) const override {
    RenderedChat chat;
    const std::vector<Tool> head = head_tools(request.tools);
    const std::vector<Message> said = said_to_model(request, recalled, chat.dropped_transport_header);
    TRY(Json variables, extra_variables(request.template_kwargs));
    TRY(const TemplateWriter::Written written, writer_.write(said, head, std::move(variables)));
    const RenderedText rendered(written.parts);
    const WalkContext context{tokens_, chosen_, control_names_, header_};
    PromptWalk walk(context, rendered, request.tools);
    if (recalled != nullptr) replay(walk, *recalled, chat);
    walk.finish();
    chat.mark = walk.mark();
    chat.in_reasoning = opens_reasoning(rendered);
    fill(chat.prompt, rendered, walk, first_turn(rendered, written.messages), said, head);
    return chat;
  }

  Result<std::string> render_text(const ChatRequest& request) const override {
    bool dropped = false;
    TRY(Json variables, extra_variables(request.template_kwargs));
    const std::vector<Message> said = said_to_model(request, nullptr, dropped);
    return writer_.write(said, head_tools(request.tools), std::move(variables)).map([](const auto& w) {
      return joined(w.parts);
    });
  }

 private:
  // The messages without what is not meant for the model.
  std::vector<Message> said_to_model(const ChatRequest& request, const Recalled* recalled, bool& dropped) const {
    std::vector<Message> messages = recalled != nullptr ? recalled->messages : request.messages;
    if (keep_headers_) return messages;
    for (Message& message : messages) {
      if (message.role != Role::system) continue;
      const std::string_view rest = without_transport_header(message.content);
      if (rest.size() == message.content.size()) continue;
      message.content = std::string(rest);
      dropped = true;
    }
    return messages;
  }

  static void replay(PromptWalk& walk, const Recalled& recalled, RenderedChat& chat) {
    for (std::size_t i = 0; i < recalled.turns.size(); ++i) {
      if (!recalled.turns[i]) continue;
      ++chat.turns_recalled;
      bool replayed = walk.replay(i, *recalled.turns[i]);
      if (i < recalled.others.size())
        for (const TurnPtr& other : recalled.others[i]) replayed = replayed || walk.replay(i, *other);
      chat.turns_replayed += replayed ? 1 : 0;
    }
  }

  void fill(Prompt& prompt, const RenderedText& rendered, const PromptWalk& walk, std::size_t first,
            std::span<const Message> messages, std::span<const Tool> tools) const {
    const std::size_t end = rendered.text.size();
    prompt.tokens = walk.tokens();
    if (first < end) add_boundary(prompt, walk.tokens_before(first));
    const std::size_t header = header_tokens(prompt, rendered);
    if (header > 0) add_boundary(prompt, prompt.tokens.size() - header);
    prompt.segments = segments_of(rendered, walk, {first < end ? first : 0, header}, messages, tools, &call_digests_);
  }

  // How many tokens at the end are the header's: after them the next request goes on with an assistant
  // turn of its own. 0: it cannot be told.
  std::size_t header_tokens(const Prompt& prompt, const RenderedText& rendered) const {
    if (rendered.parts.empty() || rendered.parts.back().is_input) return 0;
    if (header_.empty() || !rendered.of(rendered.parts.back()).ends_with(header_)) return 0;
    const std::size_t length = header_tokens_.size();
    if (length >= prompt.tokens.size()) return 0;
    const auto start = prompt.tokens.end() - static_cast<std::ptrdiff_t>(length);
    return std::equal(header_tokens_.begin(), header_tokens_.end(), start) ? length : 0;
  }

  static void add_boundary(Prompt& prompt, std::size_t tokens) {
    const auto boundary = static_cast<std::int32_t>(tokens);
    if (prompt.boundaries.empty() || prompt.boundaries.back() < boundary) prompt.boundaries.push_back(boundary);
  }

  // What the template adds for the model to go on, "" when it cannot be told.
  std::string generation_header() const {
    Message greeting;
    greeting.content = "Hello";
    const auto write = [&](bool asking) {
      return writer_.write(std::span(&greeting, 1), {}, {{"add_generation_prompt", asking}});
    };
    const auto plain = write(false);
    const auto asking = write(true);
    if (!plain || !asking) return {};
    const std::string without = joined(plain->parts);
    const std::string with = joined(asking->parts);
    return with.starts_with(without) ? with.substr(without.size()) : std::string();
  }

  bool opens_reasoning(const RenderedText& rendered) const {
    const std::string_view begin = chosen_.dialect->reasoning_begin;
    if (!chosen_.reasons || begin.empty() || rendered.parts.empty() || rendered.parts.back().is_input) return false;
    return bare(rendered.of(rendered.parts.back())).ends_with(begin);
  }

  mutable TokenCache tokens_;
  mutable TextMemory call_digests_{limits::kCallDigestBytes};
  const Chosen chosen_;
  const bool keep_headers_;
  const std::vector<TokenId> markers_;
  const ControlNames control_names_;
  const TemplateWriter writer_;
  std::string header_;  // and its tokens
  std::vector<TokenId> header_tokens_;
};

}  // namespace

Result<std::unique_ptr<Renderer>> Renderer::create(const Vocab& vocab, RendererOptions options) {
  if (options.template_source.empty()) options.template_source = kChatMl;
  Result<std::unique_ptr<JinjaTemplate>> parsed = JinjaTemplate::parse(options.template_source);
  if (!parsed) return fail(parsed.error().code, parsed.error().message, "--chat-template");
  const Json constants = constants_of(vocab);
  const TemplateTraits traits = traits_of(**parsed, constants);
  TRY(Chosen chosen, choose(options, traits));
  return std::make_unique<TemplateRenderer>(vocab, std::move(chosen), traits, std::move(*parsed),
                                            options.keep_transport_headers);
}

}  // namespace kvern::chat
