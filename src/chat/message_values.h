// Messages as templates get them, made once: a conversation's history costs a look-up a message, and what loops
// made of a message is kept with it.
//
// Found by the whole message, compared byte for byte. Thread: any.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/limits.h"
#include "base/text_memory.h"
#include "chat/adaptations.h"
#include "chat/conversation.h"
#include "chat/template/jinja_template.h"
#include "core/message.h"

namespace kvern::chat {

class MessageValues {
 public:
  // What messages_json() gives, item by item. Kept within limits::kPreparedMessageBytes.
  std::vector<std::shared_ptr<const PreparedValue>> of(std::span<const Message> messages, const JsonForm& form,
                                                       Adaptations adaptations, const Dialect& dialect);

 private:
  TextMemory latest_{limits::kPreparedMessageBytes};
};

}  // namespace kvern::chat
