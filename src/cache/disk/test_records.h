// Records for the tests of this folder: the payload follows from the key, so that any wrong byte shows.
#pragma once

#include <memory>
#include <string>

#include "cache/record.h"

namespace kvern::cache::testing {

inline SharedBytes payload_of(const Key& key, std::size_t bytes) {
  auto payload = std::make_shared<engine::Bytes>(bytes);
  for (std::size_t i = 0; i < bytes; ++i) (*payload)[i] = static_cast<std::byte>(key[i % 32] + i / 32);
  return payload;
}

// The node after parent whose tokens are all `token`.
inline RecordInfo record(RecordKind kind, const Key& parent, std::int32_t begin, TokenId token, float cost_ms = 100) {
  RecordInfo info;
  info.parent = parent;
  info.begin = begin;
  info.tokens.assign(kind == RecordKind::block ? 256 : 5, token);
  if (kind == RecordKind::turn) info.tokens.clear();
  info.id.kind = kind;
  info.id.key = kind == RecordKind::turn ? sha256("turn " + std::to_string(token)) : chain_key(parent, info.tokens);
  info.cost_ms = cost_ms;
  return info;
}

}  // namespace kvern::cache::testing
