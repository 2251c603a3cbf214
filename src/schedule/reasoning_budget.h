// Follows the reasoning block of one turn and says when it has had its tokens, and with what it is
// closed. Thread: engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/generator.h"

namespace kvern::schedule {

class ReasoningBudget {
 public:
  explicit ReasoningBudget(ReasoningLimit limit);

  // The turn gained a token that shows this text, which may be empty.
  void saw(std::string_view text);

  // The token that must come next, instead of one that is drawn. When the block has had its tokens in
  // the middle of a character, that one may end first.
  std::optional<TokenId> due() const;
  // due() comes next; the token after it is due then. saw() counts nothing of the close.
  void put() { ++closed_; }
  // due() cannot come: the block goes on without a limit.
  void give_up() { place_ = Place::beyond; }

 private:
  enum class Place { ahead, inside, closing, beyond };

  void look_for_begin(std::string_view text);
  void look_for_end(std::string_view text);

  ReasoningLimit limit_;
  Place place_ = Place::beyond;
  std::string text_;         // ahead: of the turn, as far as it may be the marker; inside: what may begin the end
  std::int64_t tokens_ = 0;  // in the block
  std::size_t closed_ = 0;   // tokens of the close that were put in
};

}  // namespace kvern::schedule
