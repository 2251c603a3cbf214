#include "chat/turns/turn_index.h"

#include <algorithm>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/limits.h"
#include "base/sized_text.h"
#include "base/text_memory.h"
#include "chat/turns/same_meaning.h"
#include "chat/turns/turn_record.h"

namespace kvern::chat {
namespace {

// What a turn takes beside its text and tokens: lists, maps, pointers.
constexpr std::size_t kTurnOverheadBytes = 512;

std::size_t bytes_of(const GeneratedTurn& turn) {
  std::size_t bytes = kTurnOverheadBytes + turn.tokens.size() * sizeof(TokenId) + turn.text.size() +
                      turn.message.content.size() + turn.message.reasoning.size();
  for (const ToolCall& call : turn.message.tool_calls)
    bytes += sizeof call + call.id.size() + call.name.size() + call.arguments.size();
  return bytes;
}

void append_hash(std::string& out, const Hash128& hash) {
  for (const std::uint64_t half : {hash.low, hash.high})
    for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(half >> shift & 0xFF);
}

// The key after one more message. Arguments are left out: ids stand for them, and their spelling
// changes.
ConversationKey key_after(const ConversationKey& before, const Message& message) {
  std::string bytes;
  append_hash(bytes, before);
  bytes += to_string(message.role);
  append_sized(bytes, bare(message.content));
  for (const ToolCall& call : message.tool_calls) {
    append_sized(bytes, call.id);
    append_sized(bytes, call.name);
  }
  append_sized(bytes, message.tool_call_id);
  return xxh3_128(bytes);
}

// Where a turn is looked for. The first id is enough: the same calls in another order, or fewer of
// them, are another turn.
Hash128 place_of(const ConversationKey& conversation, const Message& message) {
  std::string bytes;
  if (!message.tool_calls.empty()) {
    bytes = "call ";
    bytes += message.tool_calls.front().id;
  } else {
    append_hash(bytes, conversation);
    bytes += bare(message.content);
  }
  return xxh3_128(bytes);
}

// Results right behind the calls that asked for them, in the order of those calls: templates that
// write no ids know them by their order. Untouched when an id is unknown or there twice.
void sort_results(std::span<Message> results, const std::vector<ToolCall>& calls) {
  std::unordered_map<std::string_view, std::size_t> order;
  for (const ToolCall& call : calls)
    if (!order.emplace(call.id, order.size()).second) return;
  std::vector<std::pair<std::size_t, std::size_t>> places;  // call, result
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto found = order.find(results[i].tool_call_id);
    if (found == order.end()) return;
    places.emplace_back(found->second, i);
  }
  std::sort(places.begin(), places.end());
  const auto same_call = [](const auto& a, const auto& b) { return a.first == b.first; };
  if (std::adjacent_find(places.begin(), places.end(), same_call) != places.end()) return;
  std::vector<Message> sorted;
  for (const auto& place : places) sorted.push_back(std::move(results[place.second]));
  std::move(sorted.begin(), sorted.end(), results.begin());
}

void sort_all_results(std::vector<Message>& messages) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].tool_calls.empty()) continue;
    std::size_t end = i + 1;
    while (end < messages.size() && messages[end].role == Role::tool) ++end;
    sort_results(std::span(messages).subspan(i + 1, end - i - 1), messages[i].tool_calls);
    i = end - 1;
  }
}

bool same_calls_exactly(const Message& a, const Message& b) {
  const auto equal = [](const ToolCall& x, const ToolCall& y) {
    return x.id == y.id && x.name == y.name && x.arguments == y.arguments;
  };
  return std::equal(a.tool_calls.begin(), a.tool_calls.end(), b.tool_calls.begin(), b.tool_calls.end(), equal);
}

bool same_message(const Message& a, const Message& b) {
  return a.content == b.content && a.reasoning == b.reasoning && same_calls_exactly(a, b);
}

// Whether two turns mean the same, known from the last time.
struct Meaning {
  bool same = false;
};

// All that same_meaning() reads.
std::string pair_of(const Message& lived, const Message& sent, std::span<const Tool> tools) {
  std::string text;
  for (const Message* message : {&lived, &sent}) {
    append_sized(text, message->content);
    append_sized(text, message->reasoning);
    text += std::to_string(message->tool_calls.size());
    text += ' ';
    for (const ToolCall& call : message->tool_calls) {
      append_sized(text, call.id);
      append_sized(text, call.name);
      append_sized(text, call.arguments);
    }
  }
  for (const ToolCall& call : lived.tool_calls)
    for (const Tool& tool : tools)
      if (tool.name == call.name) {
        append_sized(text, tool.name);
        append_sized(text, tool.parameters);
      }
  return text;
}

struct Sha256Hasher {
  std::size_t operator()(const Sha256& id) const {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(id.data()), id.size()});
  }
};

}  // namespace

struct TurnIndex::State {
  struct Entry {
    TurnPtr turn;
    Hash128 place;
    Sha256 id;
    std::size_t bytes = 0;
  };
  using Entries = std::list<Entry>;

  explicit State(Limits given) : limits(given) {}

  void touch(Entries::iterator entry) { entries.splice(entries.begin(), entries, entry); }

  void erase(Entries::iterator entry, std::vector<Sha256>& forgotten) {
    auto& alike = places[entry->place];
    alike.erase(std::find(alike.begin(), alike.end(), entry));
    if (alike.empty()) places.erase(entry->place);
    ids.erase(entry->id);
    bytes -= entry->bytes;
    forgotten.push_back(entry->id);
    entries.erase(entry);
  }

  // same_meaning(); arguments written in other words are read once, not at every turn.
  bool same(const Message& lived, const Message& sent, std::span<const Tool> tools) {
    if (same_calls_exactly(lived, sent)) return same_meaning(lived, sent, tools);
    const std::string pair = pair_of(lived, sent, tools);
    if (const auto known = meanings.find<Meaning>(pair)) return known->same;
    return meanings.keep(pair, Meaning{same_meaning(lived, sent, tools)}, sizeof(Meaning))->same;
  }

  const Limits limits;
  TextMemory meanings{kvern::limits::kMeaningBytes};
  mutable std::mutex mutex;
  Entries entries;                                                                    // last used first
  std::unordered_map<Hash128, std::vector<Entries::iterator>, Hash128Hasher> places;  // each: oldest first
  std::unordered_map<Sha256, Entries::iterator, Sha256Hasher> ids;
  std::size_t bytes = 0;
};

TurnIndex::TurnIndex(Limits limits) : state_(std::make_unique<State>(limits)) {}
TurnIndex::~TurnIndex() = default;

Recalled TurnIndex::recall(std::span<const Message> messages, std::span<const Tool> tools, std::string_view salt) {
  Recalled recalled;
  if (!salt.empty()) recalled.key = xxh3_128(salt);
  recalled.messages.assign(messages.begin(), messages.end());
  recalled.turns.resize(messages.size());
  recalled.others.resize(messages.size());
  sort_all_results(recalled.messages);
  for (std::size_t i = 0; i < recalled.messages.size(); ++i) {
    Message& message = recalled.messages[i];
    if (message.role == Role::system) continue;
    const ConversationKey before = recalled.key;
    recalled.key = key_after(before, message);
    if (message.role != Role::assistant) continue;
    std::vector<TurnPtr> alike;
    {
      const std::lock_guard lock(state_->mutex);
      const auto found = state_->places.find(place_of(before, message));
      if (found == state_->places.end()) continue;
      for (const auto entry : found->second) {
        state_->touch(entry);
        alike.push_back(entry->turn);
      }
    }
    TurnPtr& turn = recalled.turns[i];
    for (auto one = alike.rbegin(); one != alike.rend(); ++one) {
      if (!turn) {
        if (state_->same((*one)->message, message, tools)) turn = *one;
      } else if (same_message(turn->message, (*one)->message)) {
        recalled.others[i].push_back(*one);
      }
    }
    if (!turn) continue;
    message.content = turn->message.content;
    message.reasoning = turn->message.reasoning;
    message.tool_calls = turn->message.tool_calls;
  }
  return recalled;
}

void TurnIndex::remember(const ConversationKey& conversation, GeneratedTurn turn) {
  const auto& calls = turn.message.tool_calls;
  if (std::any_of(calls.begin(), calls.end(), [](const ToolCall& call) { return call.id.empty(); })) return;
  if (bytes_of(turn) > state_->limits.bytes) return;
  std::string bytes = write_turn(conversation, turn);
  const Sha256 id = sha256(bytes);
  const Hash128 place = place_of(conversation, turn.message);
  if (on_remember) on_remember(id, std::move(bytes));
  keep(place, id, std::move(turn));
}

void TurnIndex::keep(const Hash128& place, const Sha256& id, GeneratedTurn turn) {
  const std::size_t bytes = bytes_of(turn);
  std::vector<Sha256> forgotten;
  {
    const std::lock_guard lock(state_->mutex);
    State& state = *state_;
    if (const auto known = state.ids.find(id); known != state.ids.end()) {
      state.touch(known->second);
      return;
    }
    state.entries.push_front({std::make_shared<const GeneratedTurn>(std::move(turn)), place, id, bytes});
    state.ids.emplace(id, state.entries.begin());
    auto& alike = state.places[place];
    alike.push_back(state.entries.begin());
    state.bytes += bytes;
    if (alike.size() > state.limits.alike) state.erase(alike.front(), forgotten);
    while (state.entries.size() > state.limits.turns || state.bytes > state.limits.bytes)
      state.erase(std::prev(state.entries.end()), forgotten);
  }
  if (!on_forget) return;
  for (const Sha256& one : forgotten) on_forget(one);
}

Status TurnIndex::restore(std::string_view bytes) {
  TRY(TurnRecord record, read_turn(bytes));
  if (bytes_of(record.turn) > state_->limits.bytes) return {};
  const Hash128 place = place_of(record.conversation, record.turn.message);
  keep(place, sha256(bytes), std::move(record.turn));
  return {};
}

std::size_t TurnIndex::size() const {
  const std::lock_guard lock(state_->mutex);
  return state_->entries.size();
}

std::size_t TurnIndex::bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->bytes;
}

}  // namespace kvern::chat
