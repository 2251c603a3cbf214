// Guesses what a model writes next from what the conversation says already: agents repeat files they were
// shown, names, and their own calls. (Prompt lookup decoding: github.com/apoorvumang/prompt-lookup-decoding,
// 2023.) A guess costs no model; whether it is right the model says when it is computed.
//
// Built where the prompt is prepared, then grown and asked on the engine thread; allocates nothing while it
// grows within what it was made for. Memory: about 20 bytes a token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/vocab.h"

namespace kvern::schedule {

class PromptLookup {
 public:
  // tokens_expected: beyond them it grows, and answers less well.
  explicit PromptLookup(std::size_t tokens_expected);

  // tokens: all of the sequence, of which the first ones were seen before.
  void add(std::span<const TokenId> tokens);

  struct Guess {
    std::size_t from = 0;      // what follows is guessed to be tokens[from], tokens[from + 1], ...
    std::int32_t matched = 0;  // so many tokens before `from` are those the sequence ends with; 0: no guess
  };
  // tokens: as added. Of the latest places that end as the sequence does the one that agrees longest.
  Guess find(std::span<const TokenId> tokens);

  // Fewer tokens in a row than these say nothing about what follows.
  static constexpr std::size_t kGram = 3;
  static constexpr std::int32_t kMatchMax = 32;

 private:
  // Where runs of `gram` tokens end.
  struct Table {
    Table(std::size_t gram, std::size_t tokens_expected);
    void add(std::span<const TokenId> tokens);
    std::size_t slot(std::span<const TokenId> tokens, std::size_t end) const;

    std::size_t gram;
    std::vector<std::int32_t> latest;  // by the run's hash: where its latest occurrence ends
    std::vector<std::int32_t> former;  // by where a run ends: where the one before in the same slot ends
  };

  // Short runs are frequent in code: of the lines that end alike the long run finds the right one.
  Table long_;
  Table short_;
  // The last answer, and the sequence's size then: where it was right it is followed.
  std::size_t last_from_ = 0;
  std::size_t last_size_ = 0;
};

}  // namespace kvern::schedule
