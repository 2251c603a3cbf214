// Writes the answer to a chat request: reads each choice's text with the dialect, hands the events to
// the encoder, counts calls, and remembers turns that came to their end. Thread: net.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/answer_encoder.h"
#include "app/call_checker.h"
#include "app/metrics.h"
#include "app/turn.h"
#include "chat/dialect/dialect.h"
#include "chat/turns/turn_index.h"
#include "core/chat_request.h"

namespace kvern::app {

// What a finished turn is remembered under and with.
struct TurnMemory {
  chat::TurnIndex& turns;
  chat::ConversationKey conversation;
  chat::PromptMark prompt;
  std::vector<TokenId> markers;
};

// How this answer's calls are held to their schemas.
struct CallRules {
  Metrics& metrics;
  CallChecker& checker;
  bool constrained = true;                      // a grammar holds the turn
  std::map<std::string, std::string> to_check;  // tool -> schema: what the grammar does not hold in full
};

// constraint: what write_constraint() gave for the request.
std::map<std::string, std::string> schemas_to_check(const ChatRequest& request, const ConstraintSpec& constraint);

class ChatWriter final : public TurnWriter {
 public:
  // id: of the answer, for the log. A parser a choice, a memory a conversation; choices are numbered
  // conversation by conversation.
  ChatWriter(std::string id, bool streamed, std::unique_ptr<api::AnswerEncoder> encoder, const Vocab& vocab,
             std::vector<std::unique_ptr<chat::Parser>> parsers, std::vector<TurnMemory> memories, CallRules rules);

  void begin(std::vector<api::Frame>& frames) override { encoder_->start(frames); }
  void step(std::size_t choice, const Step& step, std::vector<api::Frame>& frames) override;
  void ending(std::size_t choice, const Ending& ending, std::vector<api::Frame>& frames) override;
  void done(const Usage& usage, std::vector<api::Frame>& frames) override {
    encoder_->done(with_reasoning(usage), frames);
  }
  void failed(const Error& error, std::vector<api::Frame>& frames) override { encoder_->failed(error, frames); }
  std::string body(const Usage& usage) override { return encoder_->whole(choices_, with_reasoning(usage)); }

 private:
  struct Lived {
    std::vector<TokenId> tokens;
    std::string text;
    std::vector<bool> ended_calls;  // by index
    bool reasons = false;           // the latest event was reasoning
    std::int32_t reasoning_tokens = 0;
  };

  void publish(std::size_t choice, const std::optional<StepLogprobs>& logprobs, std::vector<api::Frame>& frames);
  void take(std::size_t choice, const Event& event);
  Usage with_reasoning(Usage usage) const;
  void count_calls(std::size_t choice, FinishReason reason);
  bool can_be_remembered(std::size_t choice, const Ending& ending) const;
  void remember(std::size_t choice);
  const TurnMemory& memory_of(std::size_t choice) const {
    return memories_[choice * memories_.size() / choices_.size()];
  }

  std::string id_;
  const Vocab& vocab_;
  bool streamed_;
  std::unique_ptr<api::AnswerEncoder> encoder_;
  std::vector<std::unique_ptr<chat::Parser>> parsers_;
  std::vector<TurnMemory> memories_;
  CallRules rules_;
  std::vector<api::Choice> choices_;  // as the client got them
  std::vector<Lived> lived_;
  std::vector<Event> events_;
};

}  // namespace kvern::app
