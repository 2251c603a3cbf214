// What stands around the calls in a probe's conversations: the raw material of derive_dialect().
// Thread: any; pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "chat/dialect/dialect.h"

namespace kvern::chat {

// Stands for the id of a call in the texts below.
inline constexpr char kIdPlace = '\x01';

// The calls of a probe's conversation, as the template wrote them; those ids that are nine characters
// long replaced by kIdPlace, which leaves ids alone that a template makes of a name itself.
struct ShownCalls {
  std::string calls;      // nothing before or behind them
  std::string separator;  // whitespace between the assistant's text and the calls
  std::string ahead;      // what stands between the question and the calls, but for the assistant's text
  std::string behind;     // what the template writes next
};

// What `with` has and probe.plain has not; nullopt when that is not calls alone. with: probe.one or two.
std::optional<ShownCalls> shown_calls(const CallProbe& probe, std::string_view with);

// Whether text and calls both begin where the model goes on: there are no marks around text, and nothing
// that belongs to the calls was taken for what is around them.
bool turn_is_bare(const CallProbe& probe, const ShownCalls& shown);

// Whether a tag of text is also written where there are no calls, so that it says nothing of them.
bool has_common_tag(std::string_view text, const CallProbe& probe);

// How much of both texts' beginnings, or ends, is the same. A tag counts as a whole.
std::size_t common_beginning(std::string_view a, std::string_view b);
std::size_t common_end(std::string_view a, std::string_view b);

// The tag that text begins with: "<tag>", "[TAG]", or "<tag" when nothing closes it. Empty when none.
std::string_view first_tag(std::string_view text);

}  // namespace kvern::chat
