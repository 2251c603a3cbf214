// Why reuse stopped: what the last requests looked like, and where a new one leaves them.
//
// The cache knows that a prompt goes on differently; this knows what is different there: the tool
// list, a former turn's reasoning, a message. It compares digests of what clients sent (segments)
// and, where a turn was generated and has none, the text of its tokens.
//
// Bounded by requests and tokens; the oldest go first. What it holds is prompt text: it is shown on
// request and never logged. Thread: any; one mutex, held for one comparison at most.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/prompt.h"
#include "core/usage.h"
#include "core/vocab.h"

namespace kvern::schedule {

inline constexpr std::size_t kReuseLogRequests = 64;
inline constexpr std::size_t kReuseLogTokens = 4'000'000;
inline constexpr std::size_t kReuseShownTokens = 10;  // before the position, and after it on either side

// A token and its text. Characters that span tokens stand whole at the last of them, so the texts
// are UTF-8 and can be joined.
struct ShownToken {
  TokenId token = 0;
  std::string text;
};

struct ReuseReport {
  std::string id;
  std::int64_t created_s = 0;
  bool ended = false;  // usage is final
  Usage usage;
  std::int32_t position = 0;           // the first token that was not reused, or that is different
  std::optional<SegmentKind> segment;  // what the prompt has there; nothing: unknown
  std::vector<ShownToken> before;      // up to the position: the same on both sides
  std::vector<ShownToken> held;        // what a former prompt had from there on; empty: none is known
  std::vector<ShownToken> now;         // what this one has
};

struct LoggedPrompt {
  std::span<const TokenId> tokens;
  std::span<const Segment> segments;
  std::string_view salt;  // only prompts of equal salt are compared
};

class ReuseLog {
 public:
  // How the model writes reasoning and calls; empty where it writes none.
  struct Markers {
    std::string reasoning_begin;
    std::string reasoning_end;
    std::string call_begin;
  };

  // vocab must outlive the log.
  ReuseLog(const Vocab& vocab, Markers markers) : vocab_(vocab), markers_(std::move(markers)) {}

  // What `edited` means for this prompt, of which `reused` tokens were reused. Any other reason, and
  // an edit the remembered prompts do not explain, comes back as it is.
  ReuseStop explain(const LoggedPrompt& prompt, std::int32_t reused, ReuseStop why) const;

  // A request was admitted: explains and remembers it. Returns the reason that usage.why should be.
  ReuseStop note(std::string id, const LoggedPrompt& prompt, const Usage& usage);

  // It ended: tokens are its prompt and what was generated. Nothing happens when it is forgotten.
  void finish(std::string_view id, const Usage& usage, std::span<const TokenId> tokens);

  // By the id of its answer, or "LAST" for the one that came last. The first choice stands for an
  // answer with several. Only requests of this salt are seen: the text of others is not shown.
  std::optional<ReuseReport> find(std::string_view id, std::string_view salt = {}) const;

 private:
  struct Remembered {
    ReuseReport report;
    std::string salt;
    std::vector<TokenId> tokens;
    std::size_t prompt_tokens = 0;  // the rest was generated
    std::vector<Segment> segments;
  };
  struct Fork {
    const Remembered* other = nullptr;
    std::size_t position = 0;  // tokens in common
  };

  Fork nearest(const LoggedPrompt& prompt) const;
  ReuseStop reason(const LoggedPrompt& prompt, const Fork& fork) const;
  ReuseStop turn_reason(const LoggedPrompt& prompt, const Segment& mine, const Fork& fork) const;
  std::string text(std::span<const TokenId> tokens) const;
  std::vector<ShownToken> shown(std::span<const TokenId> tokens) const;
  void shrink();

  const Vocab& vocab_;
  const Markers markers_;
  mutable std::mutex mutex_;
  std::deque<Remembered> remembered_;  // oldest first
  std::size_t tokens_ = 0;             // of all of them
};

}  // namespace kvern::schedule
