// A call between markers: call_begin, the name, perhaps an id, the arguments, call_end. Whitespace
// between the parts may be missing or more than the record's.
#include "base/limits.h"
#include "chat/dialect/arguments/codec.h"
#include "chat/dialect/call_reader.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

constexpr std::string_view kFence = "```";

bool is_id_char(char c) { return is_tool_name_char(c) || c == '#'; }

class FramedCallReader : public CallReader {
 public:
  explicit FramedCallReader(const Dialect& dialect)
      : dialect_(dialect), arguments_(codec_of(dialect.arguments).reader(dialect)) {
    // A fence is a line of its own to some models.
    for (const std::string_view end : end_markers(dialect)) {
      const std::size_t fence = end.starts_with(kFence) ? kFence.size() : 0;
      if (fence > 0) ends_.push_back(kFence);
      if (fence < end.size()) ends_.push_back(end.substr(fence));
    }
  }

  void begin(CallStart start) override {
    cursor_ = 0;
    started_ = false;
    id_.clear();
    ends_read_ = 0;
    begin_ = dialect_.call_begin;
    if (start == CallStart::bare) begin_.remove_prefix(begin_.find(dialect_.bare_begin));
    const bool has_section = !dialect_.section_begin.empty() || !dialect_.other_begins.empty();
    state_ = start == CallStart::trigger && has_section ? State::section : State::begin;
  }

  void truncate(Input& input, CallSink& sink) override {
    if (state_ == State::arguments) arguments_->truncate(input, sink);
    input.at = input.text.size();
  }

 private:
  enum class State { section, begin, id_ahead, name, id_behind_name, certain, arguments, id_behind, end };

  Step one_step(Input& input, CallSink& sink) override {
    switch (state_) {
      case State::section: return section(input);
      case State::begin:
        return literal(input, begin_, dialect_.id_place == IdPlace::before_name ? State::id_ahead : State::name);
      case State::id_ahead: return id_ahead(input);
      case State::name: return name(input, sink);
      case State::id_behind_name: return id(input, State::certain);
      case State::certain: return certain(input, sink);
      case State::arguments: return arguments(input, sink);
      case State::id_behind: return id_behind(input);
      case State::end: return end(input, sink);
    }
    return Step::text;
  }

  Step section(const Input& input) {
    for (const std::string_view begin : dialect_.other_begins)
      if (accept(input, begin) == Match::full) return literal(input, "", State::name);
    const Step step = literal(input, dialect_.section_begin, State::begin);
    if (step != Step::text) return step;
    for (const std::string_view begin : dialect_.other_begins)
      if (accept(input, begin) == Match::partial) return Step::wait;
    return Step::text;
  }

  Step literal(const Input& input, std::string_view text, State then) {
    const Step step = expect(input, text);
    if (step == Step::next) state_ = then;
    return step;
  }

  // The characters of a name or an id from the cursor on; waits for the one behind them.
  Step word(const Input& input, bool (*belongs)(char), std::string& out) {
    skip_space(input);
    const std::string_view rest = input.rest().substr(cursor_);
    std::size_t length = 0;
    while (length < rest.size() && belongs(rest[length])) ++length;
    if (length > limits::kToolNameBytes) return Step::text;
    if (length == rest.size() && !input.last) return Step::wait;
    if (length == 0) return Step::text;
    out = rest.substr(0, length);
    cursor_ += length;
    return Step::next;
  }

  Step id_ahead(const Input& input) {
    const std::size_t start = cursor_;
    Step step = word(input, is_id_char, id_);
    if (step == Step::next) step = literal(input, dialect_.id_mark, State::name);
    if (step == Step::wait) cursor_ = start;
    return step;
  }

  Step name(const Input& input, const CallSink& sink) {
    const std::size_t start = cursor_;
    std::string found;
    if (const Step step = word(input, is_tool_name_char, found); step != Step::next) return step;
    const bool id_next = dialect_.id_place == IdPlace::after_name;
    const std::string_view next = trimmed(id_next ? dialect_.id_mark : dialect_.name_end);
    // What follows a name may be made of characters of names: the mark is found from its end.
    if (!next.empty() && is_tool_name_char(next.front()) && found.size() > next.size()) {
      const std::size_t mark = found.rfind(next);
      if (mark != std::string::npos) {
        cursor_ -= found.size() - mark;
        found.resize(mark);
      }
    }
    tool_ = sink.find_tool(found);
    if (tool_ == nullptr) return Step::text;
    const Step step = literal(input, next, id_next ? State::id_behind_name : State::certain);
    if (step == Step::wait) cursor_ = start;
    return step;
  }

  Step id(const Input& input, State then) {
    const std::size_t start = cursor_;
    Step step = word(input, is_id_char, id_);
    if (step == Step::next) step = literal(input, dialect_.name_end, then);
    if (step == Step::wait) cursor_ = start;
    return step;
  }

  // Only what can be arguments makes the call certain.
  Step certain(Input& input, CallSink& sink) {
    skip_space(input);
    const Match found = arguments_->begins(input.rest().substr(cursor_));
    if (found == Match::partial) return input.last ? Step::text : Step::wait;
    if (found == Match::none) return Step::text;
    sink.call_start(tool_->name);
    started_ = true;
    consume(input);
    arguments_->begin(*tool_);
    state_ = State::arguments;
    return Step::next;
  }

  Step arguments(Input& input, CallSink& sink) {
    switch (arguments_->read(input, sink)) {
      case Progress::wait: return Step::wait;
      case Progress::text: return Step::done;
      case Progress::done: state_ = dialect_.id_place == IdPlace::after_arguments ? State::id_behind : State::end;
    }
    return Step::next;
  }

  Step id_behind(Input& input) {
    state_ = State::end;
    const std::size_t start = cursor_;
    const Match mark = accept(input, dialect_.id_mark);
    if (mark == Match::none) return Step::next;
    const Step step = mark == Match::partial ? Step::wait : word(input, is_id_char, id_);
    if (step == Step::wait) {
      cursor_ = start;
      state_ = State::id_behind;
    } else {
      consume(input);
    }
    return step == Step::wait ? Step::wait : Step::next;
  }

  // A model that forgets an end marker is understood.
  Step end(Input& input, CallSink& sink) {
    for (; ends_read_ < ends_.size(); ++ends_read_) {
      const Match found = accept(input, ends_[ends_read_]);
      if (found == Match::partial) return Step::wait;
      if (found == Match::full) consume(input);
    }
    sink.call_end(written_id());
    cursor_ = 0;
    return Step::done;
  }

  std::string written_id() const {
    if (id_.empty() || !dialect_.id_holds_name) return id_;
    return std::string(dialect_.id_prefix) + tool_->name + std::string(dialect_.id_mark) + id_;
  }

  const Dialect& dialect_;
  const std::unique_ptr<ArgumentReader> arguments_;
  std::vector<std::string_view> ends_;
  std::string_view begin_;
  State state_ = State::begin;
  const Tool* tool_ = nullptr;
  std::string id_;
  std::size_t ends_read_ = 0;
};

}  // namespace

std::unique_ptr<CallReader> make_framed_call_reader(const Dialect& dialect) {
  return std::make_unique<FramedCallReader>(dialect);
}

}  // namespace kvern::chat
