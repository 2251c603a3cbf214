// ChatRequest -> Prompt: messages and tools through the model's template, then tokens.
//
// Thread: any; a Renderer is immutable.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "chat/dialect/dialect.h"
#include "core/chat_request.h"
#include "core/prompt.h"
#include "core/vocab.h"

namespace kvern::chat {

struct RendererOptions {
  std::string template_source;  // empty: ChatML, which most small models understand
  std::string dialect;          // --dialect; empty: chosen from the template
};

struct RenderedChat {
  Prompt prompt;
  bool in_reasoning = false;  // the template's own end opened the reasoning block
};

class Renderer {
 public:
  // vocab must outlive the renderer. Code::invalid names the flag (--dialect, --chat-template).
  static Result<std::unique_ptr<Renderer>> create(const Vocab& vocab, RendererOptions options);
  virtual ~Renderer() = default;

  virtual const Chosen& dialect() const = 0;

  virtual Result<RenderedChat> render(const ChatRequest& request) const = 0;

  // The prompt as text, for /apply-template.
  virtual Result<std::string> render_text(const ChatRequest& request) const = 0;
};

}  // namespace kvern::chat
