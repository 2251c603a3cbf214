// XXH3-128 of a token list that grows, at many places of it, in linear time altogether.
//
// Chained over blocks, so the hash of a longer list goes on where that of a shorter one was.
// Thread: none of its own.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/hash.h"
#include "core/vocab.h"

namespace kvern::chat {

class TokenHash {
 public:
  // tokens: the list of the last call with more at its end, unless forget() was called in between.
  Hash128 of(std::span<const TokenId> tokens);
  // Tokens from here on will be other ones.
  void forget(std::size_t from);

 private:
  std::vector<Hash128> blocks_;  // the chain after each full block
};

}  // namespace kvern::chat
