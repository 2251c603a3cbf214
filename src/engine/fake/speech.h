// Decides what the fake model wants to say next, from the tokens a sequence holds.
//
// The text after the last <|im_start|>assistant header is what was generated so far; a prompt
// without one ends where logits were first asked for. The state kept per sequence only saves the
// choice of a rule: a sequence that was restored elsewhere finds its rule again by its text.
//
// Thread: engine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/fake/kv.h"
#include "engine/fake/script.h"

namespace kvern::engine {

struct Wish {
  TokenId token = 0;
  // When a constraint forced other text than the script's: the next byte of the closing tag that
  // the text so far lacks, or -1. Lets constrained output end soon.
  TokenId closing = -1;
};

class Speech {
 public:
  // All of them outlive the Speech.
  Speech(const std::vector<Rule>& rules, const Kv& kv, std::int32_t sequences);

  // What follows the sequence's last token. Counts a use of a rule when a generation begins; not where
  // a text without an assistant's header goes on with other words than the rule's: those were given.
  Wish wish(SequenceId sequence);

  // The sequence now ends with tokens nobody asked logits for: they are prompt.
  void given(SequenceId sequence);
  void forked(SequenceId from, SequenceId to, Position end);
  void truncated(SequenceId sequence, Position end);

 private:
  struct Generation {
    Position header = -1;  // where the assistant's text begins, -1 without a header
    Position begin = 0;    // where say begins
    std::shared_ptr<const std::string> say;
    std::int32_t counted = -1;  // the rule whose use may still be taken back
  };
  struct Memory {
    Position given = 0;
    std::optional<Generation> generation;
  };

  Memory& at(SequenceId sequence) { return memories_[static_cast<std::size_t>(sequence)]; }
  Position assistant_text_begin(SequenceId sequence) const;
  std::string text(SequenceId sequence, Position begin, Position end) const;
  std::string last_turn(SequenceId sequence, Position end) const;
  Heard heard(SequenceId sequence, Position end) const;
  Generation generation(SequenceId sequence);
  // Says what the first rule with uses left answers to the prompt, from `begin` on.
  Generation begin_saying(const Heard& heard, Position header, Position begin);
  std::optional<Generation> resume(Position header, const Heard& heard, const std::string& generated) const;

  const std::vector<Rule>& rules_;
  const bool wants_prompt_;  // a rule looks at all of it
  const Kv& kv_;
  std::vector<std::int32_t> uses_;  // by rule
  std::vector<Memory> memories_;    // by sequence
};

// Logits of one row: the wish first; the rest in an order in which a grammar that refuses it is
// soon satisfied by greedy sampling. The same arguments give the same values.
void fill_logits(std::span<float> out, const Wish& wish, Position position, TokenId previous);

}  // namespace kvern::engine
