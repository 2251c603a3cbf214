// Splits a turn into reasoning, text and calls; the calls themselves are read by a CallReader.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "chat/dialect/call_reader.h"
#include "chat/dialect/channels.h"
#include "chat/dialect/event_writer.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

// Blanks that are held because a call may follow are looked at again with each piece of text, so there is
// a bound: behind more of them there is no call.
constexpr std::size_t kBlankBytes = 1'024;

class TurnParser : public Parser, private CallSink {
 public:
  TurnParser(const Dialect& dialect, ParserOptions options)
      : dialect_(dialect), options_(std::move(options)), reader_(make_call_reader(dialect)) {
    for (const Tool& tool : options_.tools) tools_.emplace(tool.name, &tool);
    const bool reasons = !dialect.reasoning_begin.empty() && (options_.reasons || options_.in_reasoning);
    state_ = !reasons ? text_state() : options_.in_reasoning ? State::reasoning : State::begin;
    drop_newlines_ = state_ == State::reasoning;
    if (!tools_.empty()) {
      marks_.push_back({dialect.trigger, Mark::calls});
      if (!dialect.bare_begin.empty()) marks_.push_back({dialect.bare_begin, Mark::bare_call});
    }
    for (const std::string_view silent : {dialect.text_begin, dialect.text_end, dialect.turn_end})
      if (!silent.empty()) marks_.push_back({silent, Mark::silent});
  }

  void feed(std::string_view text, std::vector<Event>& out) override {
    events_.begin(out);
    buffer_.add(text);
    read();
    buffer_.forget_consumed();
  }

  bool finish(std::vector<Event>& out, TurnEnd end) override {
    events_.begin(out);
    buffer_.close(end);
    read();
    const bool dropped = end == TurnEnd::cut && ends_in_mark();
    if (dropped) {
      end_text_before_call();
    } else if (state_ == State::call && reader_->started()) {
      reader_->truncate(input_, *this);
    } else if (state_ == State::reasoning) {
      put_reasoning(input_.rest());
    } else {
      put_text(input_.rest());
    }
    if (state_ == State::reasoning) {
      events_.say<ReasoningEvent>(held_);
    } else if (!blank_ || events_.calls() == 0) {
      events_.say<TextEvent>(held_);
    }
    held_.clear();
    buffer_ = {};
    return !dropped;
  }

 private:
  // whole: a turn that is calls or text as a whole, and which of them is not known yet.
  enum class State { begin, reasoning, whole, text, call, section };

  // What is looked for in text.
  struct Mark {
    std::string_view text;
    enum Kind { calls, bare_call, silent } kind;
  };

  // Whether what is left is the beginning of a call, or of a mark of which more than a byte is there.
  bool ends_in_mark() const {
    switch (state_) {
      case State::call: return !reader_->started();
      case State::section: return !trimmed(input_.rest()).empty();
      case State::begin:
      case State::whole:
      case State::text: return trimmed(input_.rest()).size() > 1;
      case State::reasoning: return false;
    }
    return false;
  }

  State text_state() const { return dialect_.whole_turn && !tools_.empty() ? State::whole : State::text; }

  void read() {
    bool more = true;
    while (more) {
      switch (state_) {
        case State::begin: more = read_begin(); break;
        case State::reasoning: more = read_reasoning(); break;
        case State::whole: more = read_whole(); break;
        case State::text: more = read_text(); break;
        case State::call: more = read_call(); break;
        case State::section: more = read_section(); break;
      }
    }
  }

  bool read_begin() {
    const std::string_view rest = input_.rest();
    const std::size_t space = rest.find_first_not_of(kJsonSpace, begin_space_);
    begin_space_ = std::min(space, rest.size());
    const std::string_view none = dialect_.no_reasoning;
    const Match skipped = none.empty() ? Match::none : match(rest.substr(begin_space_), none);
    const Match found = match(rest.substr(begin_space_), dialect_.reasoning_begin);
    if (found == Match::partial || skipped == Match::partial) return false;
    state_ = text_state();
    if (skipped == Match::full) {
      input_.at += begin_space_ + none.size();
      drop_newlines_ = true;
      return true;
    }
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
    state_ = text_state();
    drop_newlines_ = true;
    return true;
  }

  bool read_whole() {
    const std::string_view rest = input_.rest();
    const std::size_t space = std::min(rest.find_first_not_of(kJsonSpace), rest.size());
    if (space > kBlankBytes) {
      state_ = State::text;
      return true;
    }
    std::string_view begin = dialect_.trigger;
    Match found = match(rest.substr(space), begin);
    for (const std::string_view other : dialect_.other_begins) {
      if (found == Match::full) break;
      const Match match_other = match(rest.substr(space), other);
      if (match_other == Match::none) continue;
      found = match_other;
      begin = other;
    }
    if (found == Match::partial && !input_.last) return false;
    state_ = State::text;
    if (found == Match::full) {
      put_text(rest.substr(0, space));
      input_.at += space;
      begin_call(CallStart::trigger, begin.size());
    }
    return true;
  }

  // Up to the first mark there is, or to what may still become one.
  bool read_text() {
    const std::string_view rest = input_.rest();
    const Mark* first = nullptr;
    std::size_t at = rest.size();
    std::size_t sure = rest.size();
    for (const Mark& mark : marks_) {
      if (mark.kind != Mark::silent && dialect_.whole_turn) continue;
      if (const std::size_t found = rest.find(mark.text); found < at) {
        first = &mark;
        at = found;
      }
      sure = std::min(sure, rest.size() - partial_suffix(rest, mark.text));
    }
    if (first == nullptr || (sure < at && !input_.last)) {
      put_text(rest.substr(0, sure));
      input_.at += sure;
      return false;
    }
    put_text(rest.substr(0, at));
    input_.at += at;
    if (first->kind == Mark::silent) {
      input_.at += first->text.size();
    } else {
      begin_call(first->kind == Mark::calls ? CallStart::trigger : CallStart::bare, first->text.size());
    }
    return true;
  }

  // least: bytes that are text when this turns out to be no call.
  void begin_call(CallStart start, std::size_t least) {
    reader_->begin(start);
    least_ = least;
    state_ = State::call;
  }

  bool read_call() {
    const Progress progress = reader_->read(input_, *this);
    if (progress == Progress::wait) return false;
    state_ = State::text;
    const bool section = !dialect_.section_begin.empty() || !dialect_.section_end.empty();
    if (progress == Progress::done && section) {
      state_ = State::section;
    } else if (progress == Progress::text) {
      const std::size_t text = reader_->started() ? 0 : std::max(reader_->cursor(), least_);
      put_text(input_.rest().substr(0, text));
      input_.at += text;
    }
    return true;
  }

  // Behind a call of a section: the next one, or the section's end.
  bool read_section() {
    std::string_view rest = input_.rest();
    const bool object = dialect_.frame == CallFrame::envelope;
    const std::size_t sure = object ? dialect_.call_begin.find('{') + 1 : dialect_.call_begin.size();
    const std::string_view begin = first_part(dialect_.call_begin.substr(0, sure));
    const std::string_view end = trimmed(dialect_.section_end);
    // Models put commas between objects also where their template has none.
    const std::string_view separator = trimmed(dialect_.call_separator);
    const bool objects = dialect_.frame == CallFrame::envelope && separator.empty();
    const std::string_view comma = objects ? "," : separator;
    std::size_t at = std::min(rest.find_first_not_of(kJsonSpace), rest.size());
    if (!comma.empty() && rest.substr(at).starts_with(comma)) {
      at += comma.size();
      at = std::min(rest.find_first_not_of(kJsonSpace, at), rest.size());
    }
    if (at > kBlankBytes) {
      state_ = State::text;
      return true;
    }
    rest.remove_prefix(at);
    const Match next = match(rest, begin);
    const Match over = end.empty() ? Match::none : match(rest, end);
    if (over == Match::full) {
      input_.at += at + end.size();
      state_ = State::text;
      return true;
    }
    // Where a call begins with its name, everything looks like one.
    if (next == Match::partial || over == Match::partial) return false;
    if (next == Match::full) {
      input_.at += at;
      begin_call(CallStart::next, 0);
      return true;
    }
    state_ = State::text;
    return true;
  }

  static std::string_view first_part(std::string_view text) {
    text = trimmed(text);
    return text.substr(0, text.find_first_of(kJsonSpace));
  }

  // Newlines at the end may belong to the end marker, those at the beginning to the begin marker.
  void put_reasoning(std::string_view text) {
    text = without_newlines(text);
    const std::size_t last = text.find_last_not_of('\n');
    if (last == std::string_view::npos) {
      held_ += text;
      return;
    }
    events_.say<ReasoningEvent>(std::exchange(held_, {}) + std::string(text.substr(0, last + 1)));
    held_ = text.substr(last + 1);
  }

  // Newlines at the end may belong to the separator before a call, and nothing but whitespace is no
  // text when a call follows.
  void put_text(std::string_view text) {
    text = without_newlines(text);
    if (text.empty()) return;
    if (tools_.empty()) {
      events_.say<TextEvent>(text);
      return;
    }
    // A separator of spaces may be what stands at the end.
    const bool spaced = dialect_.text_separator.find(' ') != std::string_view::npos;
    const std::string_view space = spaced ? kJsonSpace : std::string_view("\n");
    const std::size_t last = text.find_last_not_of(blank_ ? kJsonSpace : space);
    if (last == std::string_view::npos) {
      held_ += text;
      return;
    }
    blank_ = false;
    const std::size_t end = text.find_last_not_of(space) + 1;
    events_.say<TextEvent>(std::exchange(held_, {}) + std::string(text.substr(0, end)));
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

  void end_text_before_call() {
    if (!blank_) {
      std::string_view separator = dialect_.text_separator;
      while (!held_.ends_with(separator)) separator.remove_prefix(1);
      held_.resize(held_.size() - separator.size());
      events_.say<TextEvent>(held_);
    }
    held_.clear();
  }

  void call_start(std::string_view name) override {
    end_text_before_call();
    blank_ = true;
    drop_newlines_ = false;
    events_.call_start(options_.make_call_id ? options_.make_call_id() : std::string(), name);
  }

  void call_args(std::string_view json) override { events_.call_args(json); }
  void call_end(std::string_view written_id) override { events_.call_end(written_id); }

  const Dialect& dialect_;
  const ParserOptions options_;
  std::unordered_map<std::string_view, const Tool*> tools_;  // into options_
  std::unique_ptr<CallReader> reader_;
  std::vector<Mark> marks_;
  std::size_t least_ = 0;
  State state_ = State::text;
  InputBuffer buffer_;
  Input& input_ = buffer_.input;
  EventWriter events_;
  std::size_t begin_space_ = 0;
  std::string held_;            // whitespace that is text only if text follows
  bool blank_ = true;           // no text since the turn, or the last call, began
  bool drop_newlines_ = false;  // until something else comes
};

}  // namespace

std::unique_ptr<Parser> make_parser(const Dialect& dialect, ParserOptions options) {
  if (dialect.layout == Layout::channels) return make_channel_parser(std::move(options));
  return std::make_unique<TurnParser>(dialect, std::move(options));
}

}  // namespace kvern::chat
