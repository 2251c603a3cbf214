// Remembers every turn this server generated, exactly, so that a client that sends it back in other
// words gets the tokens that were lived and not new ones.
//
// A turn is found by its call ids, or without calls by its content and the conversation before it. It
// stands for what the client sent only if that *means* the same (see same_meaning.h); otherwise the
// client's version is used as it is. Bounded by turns and by bytes; the oldest used go first.
// Thread: any; one mutex.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "core/message.h"
#include "core/tool.h"
#include "core/vocab.h"

namespace kvern::chat {

// Where a lived prompt ends: a turn's tokens may follow only the same tokens again.
struct PromptMark {
  std::int32_t tokens = 0;
  std::uint64_t bytes = 0;  // of the text these tokens stand for
  Hash128 hash;             // of the token ids, see token_hash.h
  bool operator==(const PromptMark&) const = default;
};

struct GeneratedTurn {
  PromptMark prompt;
  std::vector<TokenId> tokens;  // as drawn, without the token that ended the turn
  std::string text;             // what they stand for, dialect markers included
  Message message;              // as the client got it: content, reasoning, calls with their ids
};

using TurnPtr = std::shared_ptr<const GeneratedTurn>;

// What identifies a conversation up to a message, however it is spelled. System messages are not in
// it: they change more often than the conversation does.
using ConversationKey = Hash128;

// The messages of a request, with what was recalled for each.
struct Recalled {
  std::vector<Message> messages;  // recalled ones as they were lived; results in the order of their calls
  std::vector<TurnPtr> turns;     // by message; null: not ours, or it means something else now
  // By message: turns with the very same message, lived after other prompts (another head, say) or in
  // other tokens. Newest first, turns[i] not among them.
  std::vector<std::vector<TurnPtr>> others;
  ConversationKey key;  // of all messages: what the turn to come is remembered under
};

class TurnIndex {
 public:
  struct Limits {
    std::size_t turns = 65'536;
    std::size_t bytes = 64ULL << 20;
    std::size_t alike = 8;  // turns of one conversation with equal content and no calls
  };
  explicit TurnIndex(Limits limits);
  ~TurnIndex();

  // tools: for values a client coerced to the type their schema asks for. salt: turns without calls are
  // found only under the one they were remembered with ("": everybody's); call ids are secrets anyway.
  Recalled recall(std::span<const Message> messages, std::span<const Tool> tools, std::string_view salt = {});

  // A turn whose calls have no ids, or that is larger than all that may be kept, is not remembered.
  void remember(const ConversationKey& conversation, GeneratedTurn turn);

  // Persistence: each remembered turn as bytes under an id, and ids that are not needed any more.
  // Called without the mutex, on the thread that remembers or restores. Set before use.
  std::function<void(const Sha256& id, std::string bytes)> on_remember;
  std::function<void(const Sha256& id)> on_forget;
  // Takes back what on_remember gave out. Code::corrupt when it is no turn of this format.
  Status restore(std::string_view bytes);

  std::size_t size() const;
  std::size_t bytes() const;

 private:
  struct State;
  void keep(const Hash128& key, const Sha256& id, GeneratedTurn turn);

  std::unique_ptr<State> state_;
};

}  // namespace kvern::chat
