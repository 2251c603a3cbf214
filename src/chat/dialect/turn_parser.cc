// Splits a turn into reasoning, text and calls; the calls themselves are read by a CallReader.
#include <unordered_map>
#include <utility>

#include "base/utf8.h"
#include "chat/dialect/call_reader.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

class TurnParser : public Parser, private CallSink {
 public:
  TurnParser(const Dialect& dialect, ParserOptions options)
      : dialect_(dialect),
        options_(std::move(options)),
        reader_(dialect.arguments == ArgumentStyle::json ? make_json_call_reader(dialect)
                                                         : make_tagged_call_reader(dialect)) {
    for (const Tool& tool : options_.tools) tools_.emplace(tool.name, &tool);
    const bool reasons = !dialect.reasoning_begin.empty() && (options_.reasons || options_.in_reasoning);
    state_ = !reasons ? State::text : options_.in_reasoning ? State::reasoning : State::begin;
    drop_newlines_ = state_ == State::reasoning;
  }

  void feed(std::string_view text, std::vector<Event>& out) override {
    out_ = &out;
    first_new_ = out.size();
    bytes_ += text;
    const std::size_t whole = bytes_.size() - utf8_incomplete_suffix(bytes_);
    input_.text += to_valid_utf8(std::string_view(bytes_).substr(0, whole));
    bytes_.erase(0, whole);
    read();
    input_.text.erase(0, input_.at);
    input_.at = 0;
  }

  void finish(std::vector<Event>& out) override {
    out_ = &out;
    first_new_ = out.size();
    input_.text += to_valid_utf8(bytes_);
    bytes_.clear();
    input_.last = true;
    read();
    if (state_ == State::call && reader_->started()) {
      reader_->truncate(input_, *this);
    } else if (state_ == State::reasoning) {
      put_reasoning(input_.rest());
    } else {
      put_text(input_.rest());
    }
    if (state_ == State::reasoning) {
      say<ReasoningEvent>(held_);
    } else if (!blank_ || calls_ == 0) {
      say<TextEvent>(held_);
    }
    held_.clear();
    input_ = {};
  }

 private:
  enum class State { begin, reasoning, text, call };

  void read() {
    bool more = true;
    while (more) {
      switch (state_) {
        case State::begin: more = read_begin(); break;
        case State::reasoning: more = read_reasoning(); break;
        case State::text: more = read_text(); break;
        case State::call: more = read_call(); break;
      }
    }
  }

  bool read_begin() {
    const std::string_view rest = input_.rest();
    const std::size_t space = rest.find_first_not_of(kJsonSpace, begin_space_);
    begin_space_ = std::min(space, rest.size());
    const Match found = match(rest.substr(begin_space_), dialect_.reasoning_begin);
    if (found == Match::partial) return false;
    state_ = State::text;
    if (found == Match::full) {
      input_.at += begin_space_ + dialect_.reasoning_begin.size();
      state_ = State::reasoning;
      drop_newlines_ = true;
    }
    return true;
  }

  bool read_reasoning() {
    const std::string_view rest = input_.rest();
    const std::size_t end = rest.find(dialect_.reasoning_end);
    if (end == std::string_view::npos) {
      const std::size_t sure = rest.size() - partial_suffix(rest, dialect_.reasoning_end);
      put_reasoning(rest.substr(0, sure));
      input_.at += sure;
      return false;
    }
    put_reasoning(rest.substr(0, end));
    held_.clear();
    input_.at += end + dialect_.reasoning_end.size();
    state_ = State::text;
    drop_newlines_ = true;
    return true;
  }

  bool read_text() {
    const std::string_view rest = input_.rest();
    const std::size_t call = tools_.empty() ? std::string_view::npos : rest.find(dialect_.trigger);
    if (call == std::string_view::npos) {
      const std::size_t held = tools_.empty() ? 0 : partial_suffix(rest, dialect_.trigger);
      put_text(rest.substr(0, rest.size() - held));
      input_.at += rest.size() - held;
      return false;
    }
    put_text(rest.substr(0, call));
    input_.at += call;
    reader_->begin();
    state_ = State::call;
    return true;
  }

  bool read_call() {
    const Progress progress = reader_->read(input_, *this);
    if (progress == Progress::wait) return false;
    if (progress == Progress::text) {
      put_text(input_.rest().substr(0, reader_->cursor()));
      input_.at += reader_->cursor();
    }
    state_ = State::text;
    return true;
  }

  // Newlines at the end may belong to the end marker, those at the beginning to the begin marker.
  void put_reasoning(std::string_view text) {
    text = without_newlines(text);
    const std::size_t last = text.find_last_not_of('\n');
    if (last == std::string_view::npos) {
      held_ += text;
      return;
    }
    say<ReasoningEvent>(std::exchange(held_, {}) + std::string(text.substr(0, last + 1)));
    held_ = text.substr(last + 1);
  }

  // Newlines at the end may belong to the separator before a call, and nothing but whitespace is no
  // text when a call follows.
  void put_text(std::string_view text) {
    text = without_newlines(text);
    if (text.empty()) return;
    if (tools_.empty()) {
      say<TextEvent>(text);
      return;
    }
    const std::size_t last = text.find_last_not_of(blank_ ? kJsonSpace : "\n");
    if (last == std::string_view::npos) {
      held_ += text;
      return;
    }
    blank_ = false;
    const std::size_t end = text.find_last_not_of('\n') + 1;
    say<TextEvent>(std::exchange(held_, {}) + std::string(text.substr(0, end)));
    held_ = text.substr(end);
  }

  std::string_view without_newlines(std::string_view text) {
    if (!drop_newlines_) return text;
    const std::size_t first = text.find_first_not_of('\n');
    if (first == std::string_view::npos) return {};
    drop_newlines_ = false;
    return text.substr(first);
  }

  const Tool* find_tool(std::string_view name) const override {
    const auto found = tools_.find(name);
    return found == tools_.end() ? nullptr : found->second;
  }

  void call_start(std::string_view name) override {
    if (!blank_) {
      std::string_view separator = dialect_.text_separator;
      while (!held_.ends_with(separator)) separator.remove_prefix(1);
      held_.resize(held_.size() - separator.size());
      say<TextEvent>(held_);
    }
    held_.clear();
    blank_ = true;
    drop_newlines_ = false;
    std::string id = options_.make_call_id ? options_.make_call_id() : std::string();
    out_->push_back(CallStartEvent{calls_++, std::move(id), std::string(name)});
  }

  void call_args(std::string_view json) override {
    if (json.empty()) return;
    if (auto* last = last_new<CallArgsEvent>()) {
      last->text += json;
    } else {
      out_->push_back(CallArgsEvent{calls_ - 1, std::string(json)});
    }
  }

  void call_end() override { out_->push_back(CallEndEvent{calls_ - 1}); }

  template <typename TextLike>
  void say(std::string_view text) {
    if (text.empty()) return;
    if (auto* last = last_new<TextLike>()) {
      last->text += text;
    } else {
      out_->push_back(TextLike{std::string(text)});
    }
  }

  // The last event, when this feed made it and it is of this kind.
  template <typename Kind>
  Kind* last_new() {
    return out_->size() > first_new_ ? std::get_if<Kind>(&out_->back()) : nullptr;
  }

  const Dialect& dialect_;
  const ParserOptions options_;
  std::unordered_map<std::string_view, const Tool*> tools_;  // into options_
  std::unique_ptr<CallReader> reader_;
  State state_ = State::text;
  std::string bytes_;  // a UTF-8 sequence whose end is still to come
  Input input_;
  std::size_t begin_space_ = 0;
  std::string held_;            // whitespace that is text only if text follows
  bool blank_ = true;           // no text since the turn, or the last call, began
  bool drop_newlines_ = false;  // until something else comes
  std::int32_t calls_ = 0;
  std::vector<Event>* out_ = nullptr;
  std::size_t first_new_ = 0;
};

}  // namespace

std::unique_ptr<Parser> make_parser(const Dialect& dialect, ParserOptions options) {
  return std::make_unique<TurnParser>(dialect, std::move(options));
}

}  // namespace kvern::chat
