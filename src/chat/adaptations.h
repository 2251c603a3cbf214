// Changes to a conversation that a template refuses, or would leave parts of out.
//
// Each keeps what it can of the form the template knows, no message is lost, and one that needs no
// change stays as it is: the same first messages give the same ones whatever follows them.
// Thread: any; pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "chat/dialect/dialect.h"
#include "core/message.h"

namespace kvern::chat {

enum class Adaptation : std::uint8_t {
  one_system,        // system messages at the front become one
  object_arguments,  // arguments that are no object become one: {"arguments": TEXT}
  nine_ids,          // call ids become nine letters and digits (Mistral's rule), equal ids staying equal
  one_call,          // a turn with several calls becomes several turns, each with its result
  apart_text,        // a turn with text and calls becomes two turns; the reasoning stays with the calls
  orphans_as_text,   // results of no call become a user's text
  user_systems,      // system messages behind the front become a user's text
  folded_system,     // so do those at the front
  user_first,        // a user's message before a first assistant turn, or where there is no message
  no_empty_turns,    // an assistant turn that says nothing says that it was interrupted
  answered_results,  // so does one between results and a user's message
  merged_turns,      // neighbours of one role become one turn
  results_as_text,   // results become a user's text
  calls_as_text,     // calls become the text a model of this dialect writes
};

// From the least change to the most: the order in which they are tried.
inline constexpr std::array kAdaptations = {
    Adaptation::one_system,      Adaptation::object_arguments, Adaptation::nine_ids,         Adaptation::one_call,
    Adaptation::apart_text,      Adaptation::orphans_as_text,  Adaptation::user_systems,     Adaptation::folded_system,
    Adaptation::user_first,      Adaptation::no_empty_turns,   Adaptation::answered_results, Adaptation::merged_turns,
    Adaptation::results_as_text, Adaptation::calls_as_text};

std::string_view to_string(Adaptation adaptation);

class Adaptations {
 public:
  constexpr Adaptations() = default;
  constexpr explicit Adaptations(std::uint32_t bits) : bits_(bits) {}

  constexpr bool has(Adaptation one) const { return (bits_ & bit(one)) != 0; }
  constexpr Adaptations with(Adaptation one) const { return Adaptations(bits_ | bit(one)); }
  constexpr Adaptations without(Adaptation one) const { return Adaptations(bits_ & ~bit(one)); }
  constexpr std::uint32_t bits() const { return bits_; }
  constexpr bool operator==(const Adaptations&) const = default;

 private:
  static constexpr std::uint32_t bit(Adaptation one) { return std::uint32_t{1} << static_cast<unsigned>(one); }

  std::uint32_t bits_ = 0;
};

// The messages with these adaptations, but for object_arguments and nine_ids, which are about their
// JSON. Always done: a turn's results stand in the order of its calls, know their tool's name, and one
// with an id of no call answers the first call of its turn that has no result.
std::vector<Message> adapted(std::span<const Message> messages, Adaptations adaptations, const Dialect& dialect);

}  // namespace kvern::chat
