// A conversation through the model's chat template, with what the template refuses adapted.
//
// What the template is known to need (template_traits.h) is done at once. A refusal that is left is met
// by trying the adaptations from the least to the most; what helped and changes nothing in other
// conversations is remembered, so that the next request does not try again, and logged once.
// Thread: any.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "chat/adaptations.h"
#include "chat/conversation.h"
#include "chat/message_values.h"
#include "chat/template/jinja_template.h"
#include "chat/template_traits.h"
#include "chat/tool_json.h"

namespace kvern::chat {

class TemplateWriter {
 public:
  TemplateWriter(std::unique_ptr<JinjaTemplate> jinja, Json constants, const TemplateTraits& traits,
                 const Chosen& chosen);

  struct Written {
    std::vector<RenderedPart> parts;
    std::vector<Message> messages;  // as the template got them
  };

  // variables: those of the template but messages and tools. A refusal nothing helps against is
  // Code::invalid in the template's own words, about the conversation as it was sent.
  Result<Written> write(std::span<const Message> messages, std::span<const Tool> tools, Json variables) const;

  Adaptations adaptations() const { return Adaptations(adaptations_.load()); }

 private:
  class Attempt;
  Result<Written> adapt_further(Attempt& attempt, Error refusal) const;
  void remember(Adaptations helped) const;

  const std::unique_ptr<JinjaTemplate> template_;
  const std::unique_ptr<const Json> constants_;
  const JsonForm form_;
  const bool no_tools_as_list_;
  const std::shared_ptr<const Dialect> derived_;  // keeps dialect_ alive
  const Dialect& dialect_;
  const bool knows_tools_;
  mutable std::atomic<std::uint32_t> adaptations_;
  mutable ToolJson tool_json_;
  mutable MessageValues message_values_;
};

}  // namespace kvern::chat
