// Conversations with random turns, sent back in every way clients do it: what was lived comes back
// token for token, and what means something else never does.
#include <gtest/gtest.h>

#include <memory>
#include <numeric>

#include "chat/renderer.h"
#include "chat/turns/test_merge_vocab.h"
#include "chat/turns/test_turns.h"

namespace kvern::chat {
namespace {

using testing::MergeVocab;
using testing::Random;
using testing::TemplateKind;

constexpr std::uint32_t kConversations = 25;  // of each dialect, template and vocabulary

// As the server puts a client's message together.
Message heard(const Dialect& dialect, const ParserOptions& options, const std::string& text) {
  std::vector<Event> events;
  const auto parser = make_parser(dialect, options);
  parser->feed(text, events);
  parser->finish(events, TurnEnd::own);
  Message message;
  message.role = Role::assistant;
  for (const Event& event : events) {
    if (const auto* said = std::get_if<TextEvent>(&event)) message.content += said->text;
    if (const auto* thought = std::get_if<ReasoningEvent>(&event)) message.reasoning += thought->text;
    if (const auto* start = std::get_if<CallStartEvent>(&event))
      message.tool_calls.push_back({start->id, start->name, ""});
    if (const auto* args = std::get_if<CallArgsEvent>(&event)) message.tool_calls.back().arguments += args->text;
  }
  return message;
}

bool begins_with(const std::vector<TokenId>& tokens, const std::vector<TokenId>& begin) {
  return tokens.size() >= begin.size() && std::equal(begin.begin(), begin.end(), tokens.begin());
}

class Conversation {
 public:
  Conversation(const Dialect& dialect, const TemplateKind& kind, const MergeVocab& vocab, const Renderer& renderer,
               std::uint32_t seed)
      : dialect_(dialect), kind_(kind), vocab_(vocab), renderer_(renderer), random_(seed) {
    request_.tools = testing::some_tools();
    say(Role::system, "You are a test. " + testing::some_text(random_, 2));
    say(Role::user, testing::some_text(random_, 4));
  }

  // One turn: the server's part of it, then the client's next request. False when it was forgotten.
  void live() {
    const Recalled recalled = index_.recall(request_.messages, request_.tools);
    const auto rendered = renderer_.render(request_, &recalled);
    ASSERT_TRUE(rendered) << rendered.error().message;
    const std::vector<TokenId>& tokens = rendered->prompt.tokens;
    ASSERT_EQ(static_cast<std::size_t>(rendered->mark.tokens), tokens.size());
    if (must_replay()) {
      ASSERT_TRUE(begins_with(tokens, lived_)) << "lived:\n"
                                               << vocab_.text(lived_) << "\nrendered:\n"
                                               << vocab_.text(tokens);
      ASSERT_EQ(rendered->turns_replayed, turns_);
    }
    generate(*rendered, recalled.key);
  }

  // The client changes the one turn it has: memory must make no difference.
  void check_changes() {
    ASSERT_EQ(turns_, 1U);
    std::vector<TokenId> ended = lived_;
    ended.push_back(vocab_.find(kind_.end));
    for (const auto& [what, message] : testing::changed(last_)) {
      ChatRequest request = request_;
      request.messages[answer_] = message;
      const Recalled recalled = index_.recall(request.messages, request.tools);
      EXPECT_EQ(recalled.turns[answer_], nullptr) << what;
      TurnIndex empty{{}};
      const Recalled nothing = empty.recall(request.messages, request.tools);
      const auto with = renderer_.render(request, &recalled);
      const auto without = renderer_.render(request, &nothing);
      ASSERT_TRUE(with && without);
      ASSERT_EQ(with->prompt.tokens, without->prompt.tokens) << what;
      // A template that shows no reasoning shows no change of it either.
      ASSERT_TRUE(what == "other reasoning" || !begins_with(with->prompt.tokens, ended)) << what;
    }
  }

 private:
  void say(Role role, std::string content, std::string id = {}) {
    Message message;
    message.role = role;
    message.content = std::move(content);
    message.tool_call_id = std::move(id);
    request_.messages.push_back(std::move(message));
  }

  // A template that drops the reasoning of old turns ends what can be replayed, and rightly so.
  bool must_replay() const { return !kind_.drops_old_reasoning || !dropped_; }

  void generate(const RenderedChat& rendered, const ConversationKey& key) {
    testing::TurnKind turn_kind;
    turn_kind.reasons = renderer_.dialect().reasons && (rendered.in_reasoning || testing::one_in(random_, 2));
    turn_kind.in_reasoning = rendered.in_reasoning;
    turn_kind.calls = testing::one_in(random_, 2) ? 0 : 1 + testing::below(random_, 3);
    GeneratedTurn turn;
    turn.prompt = rendered.mark;
    turn.text = testing::some_turn(dialect_, turn_kind, random_);
    turn.tokens = vocab_.drawn(turn.text, random_);
    const ParserOptions options{request_.tools, renderer_.dialect().reasons, rendered.in_reasoning,
                                [this] { return "call_" + std::to_string(++ids_); }};
    turn.message = last_ = heard(dialect_, options, turn.text);
    lived_ = rendered.prompt.tokens;
    lived_.insert(lived_.end(), turn.tokens.begin(), turn.tokens.end());
    index_.remember(key, turn);
    ++turns_;
    reasoned_ = reasoned_ || !last_.reasoning.empty();
    answer_ = request_.messages.size();
    request_.messages.push_back(testing::sent_back(last_, random_));
    std::vector<std::string> called;
    for (const ToolCall& call : last_.tool_calls) called.push_back(call.id);
    std::shuffle(called.begin(), called.end(), random_);
    for (const std::string& id : called) say(Role::tool, "result of " + id, id);
    if (called.empty()) {
      say(Role::user, testing::some_text(random_, 2));
      dropped_ = dropped_ || reasoned_;
    }
  }

  const Dialect& dialect_;
  const TemplateKind& kind_;
  const MergeVocab& vocab_;
  const Renderer& renderer_;
  Random random_;
  TurnIndex index_{{}};
  ChatRequest request_;
  Message last_;
  std::size_t answer_ = 0;
  std::size_t turns_ = 0;
  int ids_ = 0;
  bool reasoned_ = false;
  bool dropped_ = false;
  std::vector<TokenId> lived_;
};

struct Setting {
  const Dialect* dialect;
  const TemplateKind* kind;
  bool markers;
};

std::vector<Setting> all_settings() {
  std::vector<Setting> all;
  for (const Dialect* dialect : {find_dialect("hermes"), find_dialect("qwen3-coder")})
    for (const TemplateKind& kind : testing::kTemplateKinds)
      for (const bool markers : {false, true}) all.push_back({dialect, &kind, markers});
  return all;
}

class Replay : public ::testing::TestWithParam<Setting> {
 protected:
  void SetUp() override {
    const auto& [dialect, kind, markers] = GetParam();
    std::vector<std::string> names;
    if (markers) {
      for (const std::string_view name : {dialect->trigger, dialect->reasoning_begin, dialect->reasoning_end})
        if (!name.empty()) names.emplace_back(name);
    }
    vocab_ = std::make_unique<MergeVocab>(names);
    auto created =
        Renderer::create(*vocab_, {testing::template_of(*dialect, *kind), std::string(dialect->name), false});
    ASSERT_TRUE(created) << created.error().message;
    renderer_ = std::move(*created);
    ASSERT_EQ(renderer_->dialect().knows_tools, kind->tools);
  }

  Conversation conversation(std::uint32_t seed) {
    return {*GetParam().dialect, *GetParam().kind, *vocab_, *renderer_, seed};
  }

  std::unique_ptr<MergeVocab> vocab_;
  std::unique_ptr<Renderer> renderer_;
};

TEST_P(Replay, WhatMeansTheSameComesBackTokenForToken) {
  for (std::uint32_t seed = 0; seed < kConversations; ++seed) {
    SCOPED_TRACE(seed);
    Conversation talk = conversation(seed);
    for (int turn = 0; turn < 4; ++turn) {
      talk.live();
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(Replay, WhatMeansSomethingElseIsTokenisedAsIfThereWasNoMemory) {
  for (std::uint32_t seed = 0; seed < kConversations; ++seed) {
    SCOPED_TRACE(seed);
    Conversation talk = conversation(seed);
    talk.live();
    talk.check_changes();
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Replay, ::testing::ValuesIn(all_settings()), [](const auto& tested) {
  std::string name = std::string(tested.param.dialect->name) + "_" + std::string(tested.param.kind->name) +
                     (tested.param.markers ? "_markers" : "");
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});

}  // namespace
}  // namespace kvern::chat
