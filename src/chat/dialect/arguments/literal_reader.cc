#include "chat/dialect/arguments/literal_reader.h"

#include <algorithm>
#include <vector>

#include "base/json_text.h"
#include "base/limits.h"
#include "chat/dialect/arguments/pythonic.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kKeyBytes = 1'024;  // a longer name is none
constexpr std::string_view kNotInKeys = "=,:()[]{}'\"\\ \t\r\n";

class LiteralReader final : public ArgumentReader {
 public:
  LiteralReader(const Dialect& dialect, LiteralForm form)
      : dialect_(dialect), form_(form), is_object_(form == LiteralForm::object) {}

  Match begins(std::string_view text) const override {
    if (is_object_) return match(text, "{");
    if (text.empty()) return Match::partial;
    if (text.front() == ')') return Match::full;
    text = text.substr(0, kKeyBytes);
    const std::size_t end = std::min(text.find_first_of(kNotInKeys), text.size());
    const std::size_t mark = text.find_first_not_of(kJsonSpace, end);
    if (mark == std::string_view::npos) return text.size() < kKeyBytes ? Match::partial : Match::none;
    return end > 0 && text[mark] == '=' ? Match::full : Match::none;
  }

  void begin(const Tool& /*tool*/) override {
    frames_.clear();
    state_ = State::begin;
    cursor_ = 0;
  }

  Progress read(Input& input, CallSink& sink) override {
    Step step = Step::next;
    while (step == Step::next) {
      switch (state_) {
        case State::begin: step = open(input); break;
        case State::key: step = key(input); break;
        case State::mark: step = mark(input); break;
        case State::value: step = value(input); break;
        case State::text: step = text(input); break;
        case State::word: step = word(input); break;
        case State::after: step = after(input); break;
      }
    }
    sink.call_args(out_);
    out_.clear();
    if (step == Step::wait) return Progress::wait;
    return step == Step::done ? Progress::done : Progress::text;
  }

  void truncate(Input& input, CallSink& /*sink*/) override { input.at = input.text.size(); }

 private:
  // key: a key, or the end of what holds it. mark: what parts it from its value.
  enum class State { begin, key, mark, value, text, word, after };
  enum class Step { next, wait, done, text };

  struct Frame {
    char close = '}';  // as it is written
    bool has_keys = true;
    std::size_t count = 0;
  };

  void skip_space(Input& input) const {
    const std::string_view rest = input.rest();
    input.at += std::min(rest.find_first_not_of(kJsonSpace), rest.size());
  }

  Step go(State state) {
    state_ = state;
    cursor_ = 0;
    return Step::next;
  }

  bool push(char close, bool has_keys) {
    if (frames_.size() >= limits::kArgumentNesting) return false;
    frames_.push_back({close, has_keys, 0});
    out_ += has_keys ? '{' : '[';
    go(has_keys ? State::key : State::value);
    return true;
  }

  Step open(Input& input) {
    if (is_object_) {
      skip_space(input);
      if (input.rest().empty()) return Step::wait;
      ++input.at;
    }
    push(is_object_ ? '}' : ')', true);
    return Step::next;
  }

  // Something begins in the innermost brackets.
  void separate() {
    if (frames_.back().count++ > 0) out_ += dialect_.item_separator;
  }

  // The innermost brackets end with rest's first character; the arguments' own round one stays.
  Step close(Input& input) {
    const Frame frame = frames_.back();
    frames_.pop_back();
    out_ += frame.has_keys ? '}' : ']';
    const bool ours = !frames_.empty() || is_object_;
    if (ours) ++input.at;
    return frames_.empty() ? Step::done : go(State::after);
  }

  Step key(Input& input) {
    skip_space(input);
    const std::string_view rest = input.rest();
    if (rest.empty()) return Step::wait;
    if (rest.front() == frames_.back().close) return close(input);
    if (const Match quoted = quote(rest, input.last); quoted != Match::none) {
      if (quoted == Match::partial) return Step::wait;
      if (frames_.size() == 1 && !is_object_) return Step::text;
      return begin_text(input, true);
    }
    if (frames_.size() > 1 && !is_object_) return Step::text;
    const std::string_view stop = is_object_ ? std::string_view(":{}[],\n") : kNotInKeys;
    const std::size_t end = rest.find_first_of(stop, cursor_);
    if (end == std::string_view::npos) {
      cursor_ = rest.size();
      return cursor_ <= kKeyBytes ? Step::wait : Step::text;
    }
    if (end == 0 || end > kKeyBytes) return Step::text;
    separate();
    append_json_string(out_, trimmed(rest.substr(0, end)));
    input.at += end;
    return go(State::mark);
  }

  Step mark(Input& input) {
    skip_space(input);
    if (input.rest().empty()) return Step::wait;
    const bool colon = frames_.size() > 1 || is_object_;
    if (input.rest().front() != (colon ? ':' : '=')) return Step::text;
    ++input.at;
    out_ += dialect_.key_separator;
    return go(State::value);
  }

  // A value, or the end of a list.
  Step value(Input& input) {
    skip_space(input);
    const std::string_view rest = input.rest();
    if (rest.empty()) return Step::wait;
    if (!frames_.back().has_keys && rest.front() == frames_.back().close) return close(input);
    const Match quoted = quote(rest, input.last);
    if (quoted == Match::partial) return Step::wait;
    if (quoted == Match::full) return begin_text(input, false);
    if (!frames_.back().has_keys) separate();
    const char c = rest.front();
    const bool opens = c == '{' || c == '[' || (c == '(' && !is_object_);
    if (!opens) return go(State::word);
    ++input.at;
    return push(c == '{' ? '}' : c == '[' ? ']' : ')', c == '{') ? Step::next : Step::text;
  }

  // Whether a string begins.
  Match quote(std::string_view rest, bool last) const {
    if (!is_object_) return rest.front() == '\'' || rest.front() == '"' ? Match::full : Match::none;
    const Match found = match(rest, dialect_.quote);
    return found == Match::partial && last ? Match::none : found;
  }

  Step begin_text(Input& input, bool is_key) {
    if (is_key || !frames_.back().has_keys) separate();
    is_key_ = is_key;
    quote_ = input.rest().front();
    input.at += is_object_ ? dialect_.quote.size() : 1;
    out_ += '"';
    return go(State::text);
  }

  Step end_text(Input& input, std::size_t length) {
    input.at += length;
    out_ += '"';
    return go(is_key_ ? State::mark : State::after);
  }

  void put(Input& input, std::size_t length) {
    append_json_escaped(out_, input.rest().substr(0, length));
    input.at += length;
    cursor_ = 0;
  }

  Step text(Input& input) {
    if (is_object_) return raw_text(input);
    const char stop[] = {quote_, '\\', '\0'};
    const std::string_view rest = input.rest();
    const std::size_t end = std::min(rest.find_first_of(stop), rest.size());
    put(input, end);
    if (input.rest().empty()) return Step::wait;
    return input.rest().front() == quote_ ? end_text(input, 1) : escape(input);
  }

  Step escape(Input& input) {
    const std::string_view rest = input.rest();
    if (form_ == LiteralForm::keywords) {
      const Escape found = read_python_escape(rest, input.last);
      if (found.length == 0) return Step::wait;
      append_json_escaped(out_, found.text);
      input.at += found.length;
      return Step::next;
    }
    const std::size_t length = rest.size() > 1 && rest[1] == 'u' ? 6 : 2;
    if (rest.size() < length) return Step::wait;
    const bool known = std::string_view("\"\\/bfnrtu").find(rest[1]) != std::string_view::npos &&
                       rest.substr(2, length - 2).find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
    out_ += known ? rest.substr(0, length) : "\\\\";
    input.at += known ? length : 1;
    return Step::next;
  }

  // Up to the first quote mark that what can follow a string follows: a file may be about such marks.
  Step raw_text(Input& input) {
    for (;;) {
      const std::string_view rest = input.rest();
      const std::size_t found = rest.find(dialect_.quote, cursor_);
      const bool none = found == std::string_view::npos;
      const std::size_t sure = none ? rest.size() - partial_suffix(rest, dialect_.quote) : found;
      put(input, sure);
      if (none) return Step::wait;
      const std::string_view behind = input.rest().substr(dialect_.quote.size());
      const std::size_t next = behind.substr(0, kSpaceBytes).find_first_not_of(kJsonSpace);
      if (next == std::string_view::npos && behind.size() < kSpaceBytes && !input.last) return Step::wait;
      const std::string_view followers = is_key_ ? ":" : ",}]";
      if (next == std::string_view::npos || followers.find(behind[next]) != std::string_view::npos)
        return end_text(input, dialect_.quote.size());
      cursor_ = dialect_.quote.size();
    }
  }

  Step word(Input& input) {
    const std::string_view rest = input.rest();
    const std::size_t end = rest.find_first_of(kNotInKeys, cursor_);
    if (end == std::string_view::npos) {
      cursor_ = rest.size();
      return Step::wait;
    }
    const auto json = word_as_json(rest.substr(0, end));
    if (!json) return Step::text;
    out_ += *json;
    input.at += end;
    return go(State::after);
  }

  Step after(Input& input) {
    skip_space(input);
    const std::string_view rest = input.rest();
    if (rest.empty()) return Step::wait;
    if (rest.front() == frames_.back().close) return close(input);
    if (rest.front() != ',') return Step::text;
    ++input.at;
    return go(frames_.back().has_keys ? State::key : State::value);
  }

  static constexpr std::size_t kSpaceBytes = 16;  // that are looked at behind a quote mark

  const Dialect& dialect_;
  const LiteralForm form_;
  const bool is_object_;
  State state_ = State::begin;
  std::vector<Frame> frames_;
  std::string out_;         // JSON that this read() made
  std::size_t cursor_ = 0;  // from input.at: looked at already
  char quote_ = '\'';
  bool is_key_ = false;
};

}  // namespace

std::unique_ptr<ArgumentReader> make_literal_reader(const Dialect& dialect, LiteralForm form) {
  return std::make_unique<LiteralReader>(dialect, form);
}

}  // namespace kvern::chat
