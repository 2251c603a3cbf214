// What the cache keeps, one immutable record each, and the keys that name them.
//
// A key is a chain: it covers the fingerprint, the salt and every token up to the record's end, so
// equal keys mean equal content. It is never trusted alone: records repeat their tokens.
// Thread: any; plain values and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "core/vocab.h"
#include "engine/engine.h"

namespace kvern::cache {

// RAM, the write queue and a load share bytes; nobody changes them.
using SharedBytes = std::shared_ptr<const engine::Bytes>;

using Key = Sha256;

struct KeyHasher {
  std::size_t operator()(const Key& key) const;
};

enum class RecordKind : std::uint8_t {
  block = 1,     // KV rows of kBlockTokens tokens
  tail = 2,      // KV rows of the 1..kBlockTokens-1 tokens after the last full block
  snapshot = 3,  // state that cannot be cut, at an exact position
  turn = 4,      // a generated turn: no KV; payload is chat/turns' text
};

constexpr const char* to_string(RecordKind kind) {
  switch (kind) {
    case RecordKind::block: return "block";
    case RecordKind::tail: return "tail";
    case RecordKind::snapshot: return "snapshot";
    case RecordKind::turn: return "turn";
  }
  return "block";
}

struct RecordId {
  RecordKind kind = RecordKind::block;
  Key key{};
  bool operator==(const RecordId&) const = default;
};

struct RecordIdHasher {
  std::size_t operator()(const RecordId& id) const;
};

// Everything a record says about itself but its payload.
struct RecordInfo {
  RecordId id;
  Key parent{};                 // the key of the node before it; the root key for the first
  std::int32_t begin = 0;       // position of tokens[0]
  std::vector<TokenId> tokens;  // of its node; a snapshot lies at begin + tokens.size(). Empty: a turn
  float cost_ms = 0;            // what computing it again would take
};

// Changes whenever saved rows of one engine would be wrong in the other.
Key fingerprint(const engine::Info& info);

// The key before position 0. The salt separates those who must not share (API keys); "" is everybody.
Key root_key(const Key& fingerprint, std::string_view salt);

// The key after these tokens. tokens: one node's, 1..kBlockTokens of them.
Key chain_key(const Key& parent, std::span<const TokenId> tokens);

}  // namespace kvern::cache
