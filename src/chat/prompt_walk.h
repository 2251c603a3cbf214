// Walks a rendered text once, left to right, and gives it tokens: those a remembered turn was lived
// with where the text is that turn again, the tokenizer's everywhere else.
//
// The text is the truth. A turn's tokens are used only right after the very tokens they were
// generated after, and only for a piece of text that says what the turn said. A turn that does not
// fit leaves no trace: the text is then tokenised as if it had never been asked about.
// See turns/README.md. Thread: none of its own; one walk a prompt.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "chat/control_names.h"
#include "chat/dialect/dialect.h"
#include "chat/rendered_text.h"
#include "chat/token_cache.h"
#include "chat/turns/token_hash.h"
#include "chat/turns/turn_index.h"
#include "core/tool.h"
#include "core/vocab.h"

namespace kvern::chat {

// What does not change from prompt to prompt.
struct WalkContext {
  TokenCache& tokens;  // and the vocabulary
  const Chosen& chosen;
  const ControlNames& control_names;
  std::string_view header;  // what the template adds for the model to go on, "" when unknown
};

// A place in the text and the number of tokens before it.
struct Station {
  std::size_t offset = 0;
  std::size_t tokens = 0;
};

struct ReplayedTurn {
  std::size_t message = 0;
  std::size_t begin = 0;  // what its tokens stand for, in the text
  std::size_t end = 0;
};

class PromptWalk {
 public:
  PromptWalk(const WalkContext& context, const RenderedText& rendered, std::span<const Tool> tools);

  // Uses the turn's tokens if it is at its place in the text, which must be behind the turns before.
  bool replay(std::size_t message, const GeneratedTurn& turn);
  // Tokenises what is left.
  void finish();

  const std::vector<TokenId>& tokens() const { return tokens_; }
  PromptMark mark();  // after finish()
  const std::vector<ReplayedTurn>& replayed() const { return replayed_; }
  // Tokens before an offset: exact at the begin and end of parts and of replayed turns that are not
  // inside of a replayed turn; else those up to the next such place.
  std::size_t tokens_before(std::size_t offset) const;

 private:
  struct Place {
    std::size_t at = 0;
    std::size_t tokens = 0;
    std::size_t stations = 0;
    bool begun = false;
  };

  bool fits(const GeneratedTurn& turn, std::size_t begin) const;
  bool reach(const GeneratedTurn& turn, std::size_t begin);
  bool reach_by_header(const GeneratedTurn& turn, std::size_t begin);
  bool at_prompt_of(const GeneratedTurn& turn);
  std::size_t end_of(const GeneratedTurn& turn, std::size_t begin) const;
  bool says(const GeneratedTurn& turn, std::string_view before, std::string_view text) const;
  void write_to(std::size_t offset);
  void write_as(std::size_t offset, SpecialTokens special);
  Place here() const { return {at_, tokens_.size(), stations_.size(), begun_}; }
  void go_back(const Place& place);

  const WalkContext& context_;
  const RenderedText& rendered_;
  const std::span<const Tool> tools_;
  std::size_t at_ = 0;       // the text before it has its tokens
  bool begun_ = false;       // a required BOS was seen to
  std::int64_t longer_ = 0;  // lived text so far is this many bytes longer than the rendered one
  std::vector<TokenId> tokens_;
  std::vector<Station> stations_;
  std::vector<ReplayedTurn> replayed_;
  TokenHash hash_;
};

}  // namespace kvern::chat
