// {"name": "f", "arguments": {...}} and an end marker, with any spacing and either key order.
#include "base/limits.h"
#include "chat/dialect/call_reader.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

// The last quoted key in a record's text, quotes included: "arguments" of `", "arguments": `.
std::string_view last_key(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const std::size_t close = text.rfind('"', colon);
  const std::size_t open = text.rfind('"', close - 1);
  return text.substr(open, close + 1 - open);
}

class JsonCallReader : public CallReader {
 public:
  explicit JsonCallReader(const Dialect& dialect)
      : trigger_(dialect.trigger),
        name_key_(last_key(dialect.call_begin)),
        arguments_key_(last_key(dialect.name_end)),
        end_(trimmed(dialect.call_end.substr(1))) {}

  void begin() override {
    cursor_ = trigger_.size();
    started_ = false;
    state_ = State::open;
    name_.clear();
    arguments_.clear();
    nesting_ = {};
  }

  void truncate(Input& input, CallSink& sink) override {
    if (state_ == State::arguments) sink.call_args(input.rest());
    input.at = input.text.size();
  }

 private:
  enum class State { open, key, name_colon, name, arguments_colon, arguments_open, ahead, next, arguments, close, end };

  Step one_step(Input& input, CallSink& sink) override {
    switch (state_) {
      case State::open: return literal(input, "{", State::key);
      case State::key: return key(input);
      case State::name_colon: return literal(input, ":", State::name);
      case State::name: return name(input, sink);
      case State::arguments_colon: return literal(input, ":", State::arguments_open);
      case State::arguments_open: return open_arguments(input, sink);
      case State::ahead: return arguments_ahead_of_name(input);
      case State::next: return next(input, sink);
      case State::arguments: return arguments(input, sink);
      case State::close: return close(input);
      case State::end: return end(input, sink);
    }
    return Step::text;
  }

  Step literal(const Input& input, std::string_view text, State then) {
    switch (accept(input, text)) {
      case Match::partial: return Step::wait;
      case Match::none: return Step::text;
      case Match::full: state_ = then;
    }
    return Step::next;
  }

  Step key(const Input& input) {
    const Match name = name_.empty() ? accept(input, name_key_) : Match::none;
    if (name == Match::full) {
      state_ = State::name_colon;
      return Step::next;
    }
    const Match arguments = arguments_.empty() ? accept(input, arguments_key_) : Match::none;
    if (arguments == Match::full) {
      state_ = State::arguments_colon;
      return Step::next;
    }
    return name == Match::partial || arguments == Match::partial ? Step::wait : Step::text;
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
      state_ = State::next;
      return Step::next;
    }
    return Step::wait;
  }

  // Between members, and after the last one.
  Step next(Input& input, CallSink& sink) {
    skip_space(input);
    const std::string_view rest = input.rest().substr(cursor_);
    if (rest.empty()) return Step::wait;
    if (rest[0] == ',' && (name_.empty() || arguments_.empty())) {
      ++cursor_;
      state_ = State::key;
      return Step::next;
    }
    if (rest[0] != '}' || name_.empty()) return Step::text;
    ++cursor_;
    start(input, sink);
    sink.call_args(arguments_.empty() ? "{}" : arguments_);
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
      if (rest[length] == '<' && !nesting_.in_string()) {
        // No JSON has a '<' here. The end marker means the object was never closed.
        const Match found = match(rest.substr(length), end_);
        if (found != Match::none) return unclosed(input, sink, length, found);
      }
      if (nesting_.closes(rest[length++])) {
        state_ = State::close;
        break;
      }
    }
    sink.call_args(rest.substr(0, length));
    input.at += length;
    return state_ == State::close ? Step::next : Step::wait;
  }

  // Such a call gets no end, so nobody takes its arguments for complete.
  Step unclosed(Input& input, CallSink& sink, std::size_t length, Match found) {
    sink.call_args(input.rest().substr(0, length));
    input.at += length;
    if (found == Match::partial) return Step::wait;
    input.at += end_.size();
    return Step::done;
  }

  // The brace of the outer object; a model that forgets it is understood.
  Step close(Input& input) {
    skip_space(input);
    const std::string_view rest = input.rest().substr(cursor_);
    if (rest.empty()) return Step::wait;
    if (rest[0] == '}') {
      ++cursor_;
      consume(input);
    }
    state_ = State::end;
    return Step::next;
  }

  Step end(Input& input, CallSink& sink) {
    const Match found = accept(input, end_);
    if (found == Match::partial) return Step::wait;
    sink.call_end();
    if (found == Match::full) consume(input);
    cursor_ = 0;
    return Step::done;
  }

  std::string_view trigger_;
  std::string_view name_key_;
  std::string_view arguments_key_;
  std::string_view end_;
  State state_ = State::open;
  std::string name_;
  std::string arguments_;  // when they came before the name
  std::size_t ahead_begin_ = 0;
  JsonNesting nesting_;
};

}  // namespace

std::unique_ptr<CallReader> make_json_call_reader(const Dialect& dialect) {
  return std::make_unique<JsonCallReader>(dialect);
}

}  // namespace kvern::chat
