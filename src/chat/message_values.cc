#include "chat/message_values.h"

#include <nlohmann/json.hpp>
#include <string>

#include "base/sized_text.h"

namespace kvern::chat {
namespace {

struct Prepared {
  std::shared_ptr<const PreparedValue> value;
};

// All that message_json() reads: no two messages have one key. The form is the same for all messages of one template.
std::string key_of(const Message& message, const MessageIds& ids, Adaptations adaptations) {
  std::string key = to_string(message.role);
  key += adaptations.has(Adaptation::object_arguments) ? '+' : '-';
  append_sized(key, message.content);
  append_sized(key, message.reasoning);
  append_sized(key, message.name);
  key += message.tool_call_id.empty() ? '-' : '+';
  append_sized(key, ids.answered);
  for (std::size_t i = 0; i < message.tool_calls.size(); ++i) {
    append_sized(key, ids.calls[i]);
    append_sized(key, message.tool_calls[i].name);
    append_sized(key, message.tool_calls[i].arguments);
  }
  return key;
}

// A rendered message is a little longer than the message, and there may be one as the last and one as not.
constexpr std::size_t kRoundFactor = 3;
constexpr std::size_t kRoundBytes = 8 * 1024;

}  // namespace

std::vector<std::shared_ptr<const PreparedValue>> MessageValues::of(std::span<const Message> messages,
                                                                    const JsonForm& form, Adaptations adaptations,
                                                                    const Dialect& dialect) {
  const std::vector<MessageIds> ids = ids_of(messages, adaptations, dialect);
  std::vector<std::shared_ptr<const PreparedValue>> values;
  values.reserve(messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string key = key_of(messages[i], ids[i], adaptations);
    auto known = latest_.find<Prepared>(key);
    if (!known) {
      const Json json = message_json(messages[i], ids[i], form, adaptations);
      Prepared made{prepare_item(json, kRoundFactor * key.size() + kRoundBytes)};
      const std::size_t bytes = bytes_of(*made.value);
      known = latest_.keep(key, std::move(made), bytes);
    }
    values.push_back(known->value);
  }
  return values;
}

}  // namespace kvern::chat
