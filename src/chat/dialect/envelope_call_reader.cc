// A call as one JSON object: {"name": "f", "arguments": {...}}, with any spacing, its members in any
// order, members nobody asked for, and the arguments under either of their usual names.
#include "base/limits.h"
#include "chat/dialect/call_reader.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

// The quoted key that text ends with, quotes included: "arguments" of `", "arguments": `.
std::string_view last_key(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {};
  const std::size_t close = text.rfind('"', colon);
  const std::size_t open = text.rfind('"', close - 1);
  return text.substr(open, close + 1 - open);
}

class EnvelopeCallReader : public CallReader {
 public:
  explicit EnvelopeCallReader(const Dialect& dialect)
      : section_(dialect.section_begin),
        ahead_(dialect.call_begin.substr(0, dialect.call_begin.find('{'))),
        name_key_(last_key(dialect.id_place == IdPlace::before_name ? dialect.id_mark : dialect.call_begin)),
        arguments_key_(last_key(dialect.name_end)),
        id_key_(dialect.id_place == IdPlace::before_name       ? last_key(dialect.call_begin)
                : dialect.id_place == IdPlace::after_arguments ? last_key(dialect.id_mark)
                                                               : std::string_view()),
        end_(trimmed(dialect.call_end.substr(dialect.call_end.find('}') + 1))) {
    for (const std::string_view begin : dialect.other_begins)
      if (const std::string_view lead = begin.substr(0, begin.find('{')); !lead.empty()) leads_.push_back(lead);
    leads_.push_back(ahead_);
  }

  void begin(CallStart start) override {
    cursor_ = 0;
    started_ = false;
    state_ = start == CallStart::trigger ? State::section : State::open;
    name_.clear();
    id_.clear();
    arguments_.clear();
    said_ = false;
    nesting_ = {};
  }

  void truncate(Input& input, CallSink& sink) override {
    if (state_ == State::arguments) sink.call_args(input.rest());
    input.at = input.text.size();
  }

 private:
  enum class State { section, open, key, name, arguments_open, ahead, other, next, arguments, end };

  Step one_step(Input& input, CallSink& sink) override {
    switch (state_) {
      case State::section: return literal(input, section_, State::open);
      case State::open: return open(input);
      case State::key: return key(input);
      case State::name: return name(input, sink);
      case State::arguments_open: return open_arguments(input, sink);
      case State::ahead: return arguments_ahead_of_name(input);
      case State::other: return other(input);
      case State::next: return next(input, sink);
      case State::arguments: return arguments(input, sink);
      case State::end: return end(input, sink);
    }
    return Step::text;
  }

  Step literal(const Input& input, std::string_view text, State then) {
    const Step step = expect(input, text);
    if (step == Step::next) state_ = then;
    return step;
  }

  Step open(const Input& input) {
    const std::size_t start = cursor_;
    for (const std::string_view lead : leads_) {
      const Match found = accept(input, lead);
      if (found == Match::partial) return Step::wait;
      if (found == Match::none) continue;
      const Step step = literal(input, "{", State::key);
      if (step == Step::wait) cursor_ = start;
      return step;
    }
    return Step::text;
  }

  // A member's key and its colon.
  Step key(Input& input) {
    skip_space(input);
    const std::string_view rest = input.rest().substr(cursor_);
    if (rest.empty()) return Step::wait;
    if (rest[0] != '"') return Step::text;
    const std::size_t close = rest.find('"', 1);
    if (close == std::string_view::npos || close > limits::kToolNameBytes)
      return rest.size() > limits::kToolNameBytes ? Step::text : Step::wait;
    const std::size_t start = cursor_;
    const std::string_view found = rest.substr(0, close + 1);
    cursor_ += found.size();
    const Step step = literal(input, ":", member(found));
    if (step == Step::wait) cursor_ = start;
    return step;
  }

  State member(std::string_view key) {
    if (key == name_key_ && name_.empty()) return State::name;
    const bool holds_arguments = key == arguments_key_ || key == R"("arguments")" || key == R"("parameters")";
    if (holds_arguments && !said_ && arguments_.empty()) return State::arguments_open;
    other_is_id_ = !id_key_.empty() && key == id_key_;
    other_begin_ = std::string::npos;
    return State::other;
  }

  Step name(Input& input, CallSink& sink) {
    skip_space(input);
    const std::string_view rest = input.rest().substr(cursor_);
    if (rest.empty()) return Step::wait;
    if (rest[0] != '"') return Step::text;
    std::size_t length = 0;
    while (length + 1 < rest.size() && is_tool_name_char(rest[length + 1])) ++length;
    if (length > limits::kToolNameBytes) return Step::text;
    if (length + 1 == rest.size()) return Step::wait;
    if (rest[length + 1] != '"' || sink.find_tool(rest.substr(1, length)) == nullptr) return Step::text;
    name_ = rest.substr(1, length);
    cursor_ += length + 2;
    state_ = State::next;
    return Step::next;
  }

  Step open_arguments(Input& input, CallSink& sink) {
    skip_space(input);
    const std::string_view rest = input.rest().substr(cursor_);
    if (rest.empty()) return Step::wait;
    if (rest[0] != '{') return Step::text;
    if (name_.empty()) {
      ahead_begin_ = cursor_;
      state_ = State::ahead;
    } else {
      start(input, sink);
      state_ = State::arguments;
    }
    return Step::next;
  }

  // The name is still to come, so nothing can be said yet.
  Step arguments_ahead_of_name(const Input& input) {
    const std::string_view rest = input.rest();
    while (cursor_ < rest.size()) {
      if (!nesting_.in_string() && rest[cursor_] == '<') return Step::text;
      if (!nesting_.closes(rest[cursor_++])) continue;
      arguments_ = rest.substr(ahead_begin_, cursor_ - ahead_begin_);
      nesting_ = {};
      state_ = State::next;
      return Step::next;
    }
    return Step::wait;
  }

  // The value of an id, or of a member that means nothing here: up to the comma or brace behind it.
  Step other(Input& input) {
    const std::string_view rest = input.rest();
    if (other_begin_ == std::string::npos) {
      other_begin_ = cursor_;
      nesting_ = {};
    }
    for (; cursor_ < rest.size(); ++cursor_) {
      const char c = rest[cursor_];
      if (c == '<' && !nesting_.in_string()) return Step::text;
      if (nesting_.outside() && (c == ',' || c == '}')) {
        if (other_is_id_) id_ = unquoted(trimmed(rest.substr(other_begin_, cursor_ - other_begin_)));
        state_ = State::next;
        return Step::next;
      }
      nesting_.closes(c);
    }
    return Step::wait;
  }

  static std::string_view unquoted(std::string_view value) {
    const bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
    value = quoted ? value.substr(1, value.size() - 2) : value;
    return value.size() > limits::kToolNameBytes ? std::string_view() : value;
  }

  // Between members, and after the last one. A model that forgets the last brace is understood.
  Step next(Input& input, CallSink& sink) {
    skip_space(input);
    const std::string_view rest = input.rest().substr(cursor_);
    if (rest.empty()) return Step::wait;
    if (rest[0] == ',') {
      ++cursor_;
      state_ = State::key;
      return Step::next;
    }
    if (rest[0] == '}') {
      ++cursor_;
    } else if (!started_) {
      return Step::text;
    }
    if (name_.empty()) return Step::text;
    if (!started_) start(input, sink);
    consume(input);
    if (!said_) sink.call_args(arguments_.empty() ? "{}" : arguments_);
    said_ = true;
    state_ = State::end;
    return Step::next;
  }

  void start(Input& input, CallSink& sink) {
    sink.call_start(name_);
    started_ = true;
    consume(input);
  }

  Step arguments(Input& input, CallSink& sink) {
    const std::string_view rest = input.rest();
    std::size_t length = 0;
    while (length < rest.size()) {
      if (!nesting_.in_string() && rest[length] == '<' && !end_.empty()) {
        // No JSON has a '<' here. The end marker means the object was never closed.
        const Match found = match(rest.substr(length), end_);
        if (found != Match::none) return unclosed(input, sink, length, found);
      }
      if (nesting_.closes(rest[length++])) {
        said_ = true;
        state_ = State::next;
        break;
      }
    }
    sink.call_args(rest.substr(0, length));
    input.at += length;
    return said_ ? Step::next : Step::wait;
  }

  // Such a call gets no end, so nobody takes its arguments for complete.
  Step unclosed(Input& input, CallSink& sink, std::size_t length, Match found) {
    sink.call_args(input.rest().substr(0, length));
    input.at += length;
    if (found == Match::partial) return Step::wait;
    input.at += end_.size();
    return Step::done;
  }

  Step end(Input& input, CallSink& sink) {
    const Match found = accept(input, end_);
    if (found == Match::partial) return Step::wait;
    sink.call_end(id_);
    if (found == Match::full) consume(input);
    cursor_ = 0;
    return Step::done;
  }

  const std::string_view section_;
  const std::string_view ahead_;         // before the object
  std::vector<std::string_view> leads_;  // what may stand there
  const std::string_view name_key_;
  const std::string_view arguments_key_;
  const std::string_view id_key_;
  const std::string_view end_;  // behind the object
  State state_ = State::open;
  std::string name_;
  std::string id_;
  std::string arguments_;  // when they came before the name
  bool said_ = false;      // all arguments are out
  std::size_t ahead_begin_ = 0;
  JsonNesting nesting_;
  bool other_is_id_ = false;
  std::size_t other_begin_ = 0;
};

}  // namespace

std::unique_ptr<CallReader> make_envelope_call_reader(const Dialect& dialect) {
  return std::make_unique<EnvelopeCallReader>(dialect);
}

}  // namespace kvern::chat
