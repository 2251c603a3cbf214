// A second, smaller model that guesses what streams say next. (Speculative decoding: Leviathan et al., 2023,
// arXiv:2211.17192.) A guess is what it finds likeliest, and ends where it is in doubt; whether it stands, the
// large model's own draw says.
//
// It follows the streams in cells of its own: what a stream gained is computed here when a guess is wanted, so many
// tokens at a time, and a long prompt is caught up with over some steps. Whom it followed stays until the place is
// needed: a conversation's next turn goes on there.
//
// Thread: engine. A step allocates nothing that grows but what it follows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "core/vocab.h"
#include "engine/engine.h"

namespace kvern::schedule {

class DraftModel {
 public:
  // target: the vocabulary of the model it guesses for, which must write the same tokens. Code::invalid, about
  // --draft, when it does not, or when this model cannot forget a token. The clock must outlive it.
  static Result<std::unique_ptr<DraftModel>> create(std::unique_ptr<engine::Engine> engine, const Vocab& target,
                                                    const Clock& clock);

  struct Wanted {
    std::uint64_t stream = 0;           // the same in all calls
    std::span<const TokenId> tokens{};  // all it has
    std::int32_t tokens_max = 0;        // 0: only to keep up with it
    std::vector<TokenId> guessed{};     // empty while it is behind
  };
  // Computes at most catch_up_max tokens the streams have; those it is not behind with then get their guesses.
  void guess(std::span<Wanted* const> wanted, std::int32_t catch_up_max);

  // Tokens of the stream it has not computed but for the last, which it always computes again.
  std::int32_t behind(std::uint64_t stream, std::span<const TokenId> tokens) const;

  // Whether it can say anything of a stream of so many tokens now; where there were no cells it is left alone for a
  // while.
  bool can_guess(std::size_t tokens);

  // What guessing a token for each of about so many streams takes, and catching up with one. 0: not measured.
  double guess_us(std::size_t streams) const;
  double catch_up_us() const { return catch_up_us_; }

  const engine::Info& info() const { return engine_->info(); }

  // What is less likely in its eyes is not guessed.
  static constexpr float kSure = 0.6F;

 private:
  struct Place {
    std::optional<std::uint64_t> stream{};
    std::vector<TokenId> tokens{};  // in its cells, or in the batch
    std::size_t computed = 0;       // of them: in its cells
    std::uint64_t used = 0;         // when, in calls
  };
  struct Guess {
    TokenId token = 0;
    float chance = 0;
  };
  // One of the wanted while it is worked on.
  struct Work {
    Wanted* wanted = nullptr;
    std::size_t place = 0;
    std::size_t before = 0;  // tokens the place had before this batch
    std::size_t row = 0;     // of the batch: its last token
    bool live = false;       // has logits in the last step
  };
  static constexpr std::size_t kStreams = 17;

  DraftModel(std::unique_ptr<engine::Engine> engine, const Vocab& target, const Clock& clock);

  const Place* place_of(std::uint64_t stream) const;
  std::size_t find_place(const Wanted& wanted);
  std::size_t oldest_place() const;
  bool keep(std::size_t place, std::size_t tokens);
  bool knows_all(std::span<const TokenId> tokens) const;
  void append(Work& work, std::span<const TokenId> tokens, bool wants_logits);
  void catch_up(std::span<Wanted* const> wanted, std::int32_t tokens_max);
  bool decode();
  bool make_room();
  void take_back();
  void go_on();
  Guess likeliest(std::span<const float> logits) const;

  std::unique_ptr<engine::Engine> engine_;
  const Vocab& target_;
  const Clock& clock_;
  std::vector<Place> places_;  // by sequence
  std::vector<Work> works_;
  std::vector<engine::BatchToken> batch_;
  std::uint64_t calls_ = 0;
  bool broken_ = false;  // a decode failed: nothing is guessed any more
  int pause_ = 0;        // questions it is not asked, because there were no cells
  double guess_us_[kStreams] = {};
  double catch_up_us_ = 0;
};

}  // namespace kvern::schedule
