// Reads a turn in channels. A message is a header up to <|message|> and a body up to its end mark; the
// token that ends the turn is never seen.
#include <algorithm>
#include <unordered_map>

#include "chat/dialect/channels.h"
#include "chat/dialect/event_writer.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kHeaderBytes = 512;
constexpr std::string_view kBetween = "\n\n";  // between two messages of one kind, which clients see as one text

class ChannelParser : public Parser {
 public:
  explicit ChannelParser(ParserOptions options) : options_(std::move(options)) {
    for (const Tool& tool : options_.tools) tools_.emplace(tool.name, &tool);
    if (options_.in_reasoning) state_ = State::reasoning;
  }

  void feed(std::string_view text, std::vector<Event>& out) override {
    events_.begin(out);
    buffer_.add(text);
    while (read()) {
    }
    buffer_.forget_consumed();
  }

  bool finish(std::vector<Event>& out, TurnEnd end) override {
    events_.begin(out);
    buffer_.close(end);
    while (read()) {
    }
    const std::string_view rest = input_.rest();
    const bool dropped = end == TurnEnd::cut && ends_in_mark(rest);
    if (dropped) state_ = State::closed;
    switch (state_) {
      case State::header: put<TextEvent>(said_text_, rest); break;
      case State::text: put<TextEvent>(said_text_, rest); break;
      case State::reasoning: put<ReasoningEvent>(said_reasoning_, rest); break;
      case State::arguments_open: put<TextEvent>(said_text_, header_ + std::string(rest)); break;
      case State::arguments: events_.call_args(rest); break;
      case State::closed: break;
    }
    buffer_ = {};
    return !dropped;
  }

 private:
  // arguments_open: a call, if an object follows. closed: behind it, up to the message's end.
  enum class State { header, reasoning, text, arguments_open, arguments, closed };

  // Whether what is left is a header, or a mark of which more than a byte is there. "to" without a space may be a word.
  bool ends_in_mark(std::string_view rest) const {
    switch (state_) {
      case State::arguments_open: return true;
      case State::header: return trimmed(rest).size() > 1 && match(rest, kRecipient) != Match::partial;
      case State::text: return rest.size() > 1;
      case State::reasoning:
      case State::arguments:
      case State::closed: return false;
    }
    return false;
  }

  bool read() {
    switch (state_) {
      case State::header: return read_header();
      case State::reasoning: return read_body<ReasoningEvent>(said_reasoning_);
      case State::text: return read_body<TextEvent>(said_text_);
      case State::arguments_open: return open_arguments();
      case State::arguments: return read_arguments();
      case State::closed: return skip_to_end();
    }
    return false;
  }

  // What is no header is text: a model that does not know the format, or forgot it.
  bool read_header() {
    const std::string_view rest = input_.rest();
    const std::size_t end = rest.find(kMessage);
    const std::size_t space = std::min(rest.find_first_not_of(kJsonSpace), rest.size());
    const std::string_view begin = rest.substr(space);
    if (begin.empty() && rest.size() <= kHeaderBytes) return false;
    const std::string_view marks[] = {kStart, kChannel, kRecipient};
    const bool can_be = std::any_of(std::begin(marks), std::end(marks),
                                    [begin](std::string_view mark) { return match(begin, mark) != Match::none; });
    const bool long_header =
        end == std::string_view::npos ? rest.size() >= kHeaderBytes + kMessage.size() : end > kHeaderBytes;
    if (!can_be || begin.empty() || long_header) {
      fresh_ = true;
      state_ = State::text;
      return true;
    }
    if (end == std::string_view::npos) return false;
    header_ = rest.substr(0, end + kMessage.size());
    input_.at += header_.size();
    begin_message(rest.substr(0, end));
    return true;
  }

  void begin_message(std::string_view header) {
    fresh_ = true;
    tool_ = nullptr;
    const std::string_view channel = word_behind(header, kChannel);
    const std::string_view recipient = word_behind(header, kRecipient);
    if (recipient.starts_with(kFunctions)) {
      const auto found = tools_.find(recipient.substr(kFunctions.size()));
      if (found != tools_.end()) tool_ = found->second;
    }
    if (tool_ != nullptr) {
      state_ = State::arguments_open;
    } else if (!recipient.empty()) {
      put<TextEvent>(said_text_, header_);  // for somebody nobody offered
      state_ = State::text;
    } else {
      state_ = channel == "analysis" ? State::reasoning : State::text;
    }
  }

  static std::string_view word_behind(std::string_view header, std::string_view mark) {
    const std::size_t found = header.find(mark);
    if (found == std::string_view::npos) return {};
    const std::string_view word = header.substr(found + mark.size());
    return word.substr(0, word.find_first_of(" <\n\t"));
  }

  // Up to the mark that ends a message. The next message's start ends one too.
  template <typename TextLike>
  bool read_body(bool& said) {
    const std::string_view rest = input_.rest();
    const End end = find_end(rest);
    put<TextLike>(said, rest.substr(0, end.at));
    input_.at += end.at + end.size;
    if (!end.found) return false;
    state_ = State::header;
    return true;
  }

  struct End {
    std::size_t at = 0;    // where the mark is, or where what may become one begins
    std::size_t size = 0;  // of what belongs to the ended message
    bool found = false;
  };

  static End find_end(std::string_view text) {
    End end{text.size(), 0, false};
    for (const std::string_view mark : {kEnd, kCall, kReturn, kNext}) {
      const std::size_t at = text.find(mark);
      if (at < end.at || (at == end.at && !end.found)) {
        if (at == std::string_view::npos) continue;
        end = {at, mark == kNext ? 0 : mark.size(), true};
      }
    }
    if (end.found) return end;
    for (const std::string_view mark : {kEnd, kCall, kReturn, kNext})
      end.at = std::min(end.at, text.size() - partial_suffix(text, mark));
    return end;
  }

  bool open_arguments() {
    const std::string_view rest = input_.rest();
    const std::size_t space = rest.find_first_not_of(kJsonSpace);
    if (space == std::string_view::npos) return false;
    if (rest[space] != '{') {
      put<TextEvent>(said_text_, header_);
      state_ = State::text;
      return true;
    }
    input_.at += space;
    nesting_ = {};
    events_.call_start(options_.make_call_id ? options_.make_call_id() : std::string(), tool_->name);
    state_ = State::arguments;
    return true;
  }

  // An end mark outside of a string means that the object was never closed: such a call gets no end.
  bool read_arguments() {
    const std::string_view rest = input_.rest();
    for (std::size_t length = 0; length < rest.size(); ++length) {
      if (!nesting_.in_string() && rest[length] == '<') {
        events_.call_args(rest.substr(0, length));
        input_.at += length;
        state_ = State::closed;
        return true;
      }
      if (!nesting_.closes(rest[length])) continue;
      events_.call_args(rest.substr(0, length + 1));
      events_.call_end({});
      input_.at += length + 1;
      state_ = State::closed;
      return true;
    }
    events_.call_args(rest);
    input_.at += rest.size();
    return false;
  }

  bool skip_to_end() {
    const std::string_view rest = input_.rest();
    const std::size_t space = std::min(rest.find_first_not_of(kJsonSpace), rest.size());
    input_.at += space;
    const std::string_view next = rest.substr(space);
    for (const std::string_view mark : {kEnd, kCall, kReturn}) {
      const Match found = match(next, mark);
      if (found == Match::partial) return false;
      if (found == Match::none) continue;
      input_.at += mark.size();
      break;
    }
    state_ = State::header;
    return true;
  }

  template <typename TextLike>
  void put(bool& said, std::string_view text) {
    if (text.empty()) return;
    if (fresh_ && said) events_.say<TextLike>(kBetween);
    fresh_ = false;
    said = true;
    events_.say<TextLike>(text);
  }

  static constexpr std::string_view kStart = "<|start|>";
  static constexpr std::string_view kNext = "<|start|>assistant";
  static constexpr std::string_view kChannel = "<|channel|>";
  static constexpr std::string_view kMessage = "<|message|>";
  static constexpr std::string_view kEnd = "<|end|>";
  static constexpr std::string_view kCall = "<|call|>";
  static constexpr std::string_view kReturn = "<|return|>";
  static constexpr std::string_view kRecipient = "to=";
  static constexpr std::string_view kFunctions = "functions.";

  const ParserOptions options_;
  std::unordered_map<std::string_view, const Tool*> tools_;  // into options_
  InputBuffer buffer_;
  Input& input_ = buffer_.input;
  EventWriter events_;
  State state_ = State::header;
  std::string header_;
  const Tool* tool_ = nullptr;
  JsonNesting nesting_;
  bool fresh_ = false;  // a message began and nothing of it was said
  bool said_text_ = false;
  bool said_reasoning_ = false;
};

}  // namespace

std::unique_ptr<Parser> make_channel_parser(ParserOptions options) {
  return std::make_unique<ChannelParser>(std::move(options));
}

}  // namespace kvern::chat
