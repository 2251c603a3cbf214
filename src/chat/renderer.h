// ChatRequest -> Prompt: messages and tools through the model's template, then tokens.
//
// Thread: any; a Renderer is immutable but for what it remembers of earlier texts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "chat/dialect/dialect.h"
#include "chat/turns/turn_index.h"
#include "core/chat_request.h"
#include "core/prompt.h"
#include "core/vocab.h"

namespace kvern::chat {

struct RendererOptions {
  std::string template_source;          // empty: ChatML, which most small models understand
  std::string dialect;                  // --dialect; empty: chosen from the template
  bool keep_transport_headers = false;  // see transport_headers.h
};

struct RenderedChat {
  Prompt prompt;
  PromptMark mark;                 // what the turn to come is remembered with
  bool in_reasoning = false;       // the template's own end opened the reasoning block
  std::size_t turns_recalled = 0;  // and of these
  std::size_t turns_replayed = 0;  // went in with their own tokens
  bool dropped_transport_header = false;
};

class Renderer {
 public:
  // vocab must outlive the renderer. Code::invalid names the flag (--dialect, --chat-template).
  static Result<std::unique_ptr<Renderer>> create(const Vocab& vocab, RendererOptions options);
  virtual ~Renderer() = default;

  virtual const Chosen& dialect() const = 0;
  virtual const std::vector<TokenId>& markers() const = 0;  // marker_tokens() of it

  // recalled: the request's messages as TurnIndex::recall() gave them; null: as they are. A recalled
  // turn's own tokens are used where everything before it has the tokens it was generated after, and
  // where what the template writes for it means the same.
  virtual Result<RenderedChat> render(const ChatRequest& request, const Recalled* recalled = nullptr) const = 0;

  // The prompt as text, for /apply-template.
  virtual Result<std::string> render_text(const ChatRequest& request) const = 0;
};

}  // namespace kvern::chat
