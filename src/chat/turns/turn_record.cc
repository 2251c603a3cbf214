#include "chat/turns/turn_record.h"

#include <cstdint>
#include <limits>

namespace kvern::chat {
namespace {

constexpr std::string_view kMagic = "KVT2";
constexpr std::string_view kFirstMagic = "KVT1";  // without the ids of calls that a model wrote

class Writer {
 public:
  template <typename Number>
  void number(Number value) {
    for (std::size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  }
  void count(std::size_t value) { number(static_cast<std::uint32_t>(value)); }
  void hash(const Hash128& value) {
    number(value.low);
    number(value.high);
  }
  void text(std::string_view value) {
    count(value.size());
    out += value;
  }

  std::string out;
};

// Gives zeros and empty strings once something was missing; ok() tells.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename Number>
  Number number() {
    const std::string_view bytes = take(sizeof(Number));
    Number value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
      value |= static_cast<Number>(static_cast<Number>(static_cast<unsigned char>(bytes[i])) << (8 * i));
    return value;
  }
  std::int32_t small() {
    const auto value = number<std::uint32_t>();
    if (value > static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max())) ok_ = false;
    return ok_ ? static_cast<std::int32_t>(value) : 0;
  }
  // Of things of at least item_bytes each: what cannot be there is not allocated.
  std::size_t count(std::size_t item_bytes) {
    const auto value = number<std::uint32_t>();
    if (value > rest_.size() / item_bytes) ok_ = false;
    return ok_ ? value : 0;
  }
  Hash128 hash() {
    Hash128 value;
    value.low = number<std::uint64_t>();
    value.high = number<std::uint64_t>();
    return value;
  }
  std::string text() { return std::string(take(count(1))); }
  bool begins_with(std::string_view magic) { return take(magic.size()) == magic; }

  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && rest_.empty(); }

 private:
  std::string_view take(std::size_t bytes) {
    if (!ok_ || bytes > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

std::string write_turn(const ConversationKey& conversation, const GeneratedTurn& turn) {
  Writer writer;
  writer.out = kMagic;
  writer.hash(conversation);
  writer.number(static_cast<std::uint32_t>(turn.prompt.tokens));
  writer.number(turn.prompt.bytes);
  writer.hash(turn.prompt.hash);
  writer.count(turn.tokens.size());
  for (const TokenId token : turn.tokens) writer.number(static_cast<std::uint32_t>(token));
  writer.text(turn.text);
  writer.text(turn.message.content);
  writer.text(turn.message.reasoning);
  writer.count(turn.message.tool_calls.size());
  for (const ToolCall& call : turn.message.tool_calls) {
    writer.text(call.id);
    writer.text(call.name);
    writer.text(call.arguments);
    writer.text(call.written_id);
  }
  return std::move(writer.out);
}

Result<TurnRecord> read_turn(std::string_view bytes) {
  Reader reader(bytes);
  const bool first_format = bytes.starts_with(kFirstMagic);
  if (!reader.begins_with(first_format ? kFirstMagic : kMagic))
    return fail(Code::corrupt, "the record of a turn starts with neither KVT1 nor KVT2");
  TurnRecord record;
  GeneratedTurn& turn = record.turn;
  record.conversation = reader.hash();
  turn.prompt.tokens = reader.small();
  turn.prompt.bytes = reader.number<std::uint64_t>();
  turn.prompt.hash = reader.hash();
  turn.tokens.resize(reader.count(sizeof(std::uint32_t)));
  for (TokenId& token : turn.tokens) token = reader.small();
  turn.text = reader.text();
  turn.message.role = Role::assistant;
  turn.message.content = reader.text();
  turn.message.reasoning = reader.text();
  turn.message.tool_calls.resize(reader.count(3 * sizeof(std::uint32_t)));
  for (ToolCall& call : turn.message.tool_calls) {
    call.id = reader.text();
    call.name = reader.text();
    call.arguments = reader.text();
    if (!first_format) call.written_id = reader.text();
  }
  if (!reader.at_end()) return fail(Code::corrupt, "the record of a turn has another length than it says");
  return record;
}

}  // namespace kvern::chat
