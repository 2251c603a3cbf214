// A remembered turn as bytes that outlive the process. Thread: any; pure functions.
//
// Little-endian: "KVT2" | conversation (low, high: u64) | prompt tokens u32, bytes u64, hash (u64, u64)
// | tokens: count u32, each u32 | text | content | reasoning | calls: count u32, each id, name,
// arguments, written id (not in "KVT1", which is read too). A string is its length u32 and its bytes.
#pragma once

#include <string>
#include <string_view>

#include "chat/turns/turn_index.h"

namespace kvern::chat {

struct TurnRecord {
  ConversationKey conversation;
  GeneratedTurn turn;
};

std::string write_turn(const ConversationKey& conversation, const GeneratedTurn& turn);

// Code::corrupt for anything write_turn() does not write.
Result<TurnRecord> read_turn(std::string_view bytes);

}  // namespace kvern::chat
