// What a round of a loop over messages came to, so that the same round need not be run again.
//
// A round depends on its item, on the text of its body, and on what the body reads of the world around it. Those
// readings are CheckedNodes and assignments to members of outer objects are told, both in the order in which they
// happen: a round whose readings give the same values again takes the same way through its body, so that it ends
// in the same text and the same assignments. round_analysis says which bodies that is true for, and puts the nodes
// there. Thread: the one that renders; a Round is immutable.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "chat/template/engine.h"
#include "chat/template/render_state.h"

namespace kvern::chat {

class SetNode;

// An expression that reads nothing of the round it stands in.
class CheckedNode : public jinja::expression {
 public:
  explicit CheckedNode(jinja::statement_ptr inner) : inner_(std::move(inner)) {}
  jinja::value execute_impl(jinja::context& context) const override;
  jinja::value read(jinja::context& context) const { return inner_->execute(context); }
  jinja::statement_ptr& inner() { return inner_; }

 private:
  jinja::statement_ptr inner_;
};

// The same to everything a template can do with it.
bool same_value(const jinja::value& a, const jinja::value& b);

class Round {
 public:
  // Whether the round would be this one again; then its assignments are made, and it is paid for as if it had run.
  bool repeat(jinja::context& scope) const;

  const jinja::value& text() const { return text_; }
  std::size_t bytes() const;  // about what it takes

 private:
  friend class Recording;
  struct Event {
    const CheckedNode* reading = nullptr;
    const SetNode* assignment = nullptr;  // one of these
    jinja::value value;
  };

  std::vector<Event> events_;
  jinja::value text_;
  Spent spent_;
};

// A round that runs now. One at a time: the state knows it.
class Recording {
 public:
  explicit Recording(RenderState& state) : state_(state), before_(state.spent()) { state.set_recording(this); }
  ~Recording() { state_.set_recording(nullptr); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  void add_reading(const CheckedNode& node, const jinja::value& value) { add({&node, nullptr, value}); }
  void add_assignment(const SetNode& node, const jinja::value& value) { add({nullptr, &node, value}); }

  // Null when the round did something that cannot be compared later.
  std::shared_ptr<const Round> finish(jinja::value text);

 private:
  void add(Round::Event event);

  RenderState& state_;
  const Spent before_;
  Round round_;
  bool usable_ = true;
};

}  // namespace kvern::chat
