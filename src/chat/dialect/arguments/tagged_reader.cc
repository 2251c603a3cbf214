// Arguments as one element a parameter. Builds their JSON text once, as it reads.
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/json_text.h"
#include "chat/dialect/arguments/codec.h"
#include "chat/dialect/arguments/tagged.h"
#include "chat/dialect/arguments/value_text.h"
#include "chat/dialect/json_scan.h"
#include "chat/dialect/parameter_sets.h"
#include "chat/dialect/parameter_types.h"
#include "constrain/schema.h"

namespace kvern::chat {
namespace {

class TaggedReader : public ArgumentReader {
 public:
  explicit TaggedReader(const Dialect& dialect)
      : dialect_(dialect),
        parameter_begin_(trimmed(dialect.parameter_begin)),
        key_end_(trimmed(dialect.type_word == TypeWord::none ? dialect.parameter_name_end : dialect.type_begin)),
        tag_(trimmed(dialect.parameter_end)),
        own_line_(dialect.parameter_end.starts_with('\n')) {
    const auto ends = end_markers(dialect);
    if (!ends.empty()) call_end_ = ends.front();
  }

  Match begins(std::string_view text) const override {
    const Match parameter = match(text, parameter_begin_);
    const Match closing = match(text, call_end_);
    if (parameter == Match::full || closing == Match::full) return Match::full;
    return parameter == Match::partial || closing == Match::partial ? Match::partial : Match::none;
  }

  void begin(const Tool& tool) override {
    schema_ = parse_json(tool.parameters).value_or(Json());
    state_ = State::next;
    cursor_ = 0;
    parameters_ = 0;
  }

  Progress read(Input& input, CallSink& sink) override {
    for (;;) {
      Step step = Step::text;
      switch (state_) {
        case State::next: step = next(input, sink); break;
        case State::key: step = key(input); break;
        case State::type: step = type(input); break;
        case State::value: step = value(input, sink); break;
        case State::raw:
        case State::whole: step = within_value(input, sink); break;
      }
      if (step == Step::wait) return Progress::wait;
      if (step == Step::done) return Progress::done;
      if (step == Step::text) return Progress::text;
    }
  }

  void truncate(Input& input, CallSink& sink) override {
    if (state_ == State::raw) {
      escape(input, input.rest().size(), sink);
    } else if (state_ == State::whole && !input.rest().empty()) {
      open_parameter(sink);
      const bool text = (types_ & kString) != 0;
      std::string value = text ? "\"" : "";
      if (text) append_json_escaped(value, input.rest());
      sink.call_args(text ? std::string_view(value) : input.rest());
    }
    input.at = input.text.size();
  }

 private:
  // raw: a string, streamed. whole: a value that is judged when it is complete.
  enum class State { next, key, type, value, raw, whole };
  enum class Step { next, wait, done, text };

  void skip_space(Input& input) {
    const std::string_view rest = input.rest();
    input.at += std::min(rest.find_first_not_of(kJsonSpace), rest.size());
  }

  // A parameter or the end of the call.
  Step next(Input& input, CallSink& sink) {
    skip_space(input);
    const std::string_view rest = input.rest();
    const Match parameter = match(rest, parameter_begin_);
    const Match closing = match(rest, call_end_);
    if (parameter == Match::full) {
      cursor_ = parameter_begin_.size();
      state_ = State::key;
      return Step::next;
    }
    if (closing == Match::full) {
      sink.call_args(parameters_ == 0 ? "{}" : "}");
      return Step::done;
    }
    return parameter == Match::partial || closing == Match::partial ? Step::wait : Step::text;
  }

  // A key is what stands before the mark behind it, on one line.
  Step key(Input& input) {
    const std::string_view rest = input.rest();
    const std::string_view begin = key_end_.substr(0, key_end_.find_first_of(kJsonSpace));
    const std::size_t newline = rest.find('\n', cursor_);
    for (;;) {
      const std::size_t end = rest.find(begin, cursor_);
      if (newline < end) return Step::text;
      if (end == std::string_view::npos) {
        cursor_ = rest.size() - partial_suffix(rest.substr(cursor_), begin);
        return Step::wait;
      }
      cursor_ = end;
      const Match found = match_spaced(rest.substr(end), key_end_);
      if (found == Match::partial) return Step::wait;
      if (found == Match::full) return take_key(input, end);
      ++cursor_;
    }
  }

  Step take_key(Input& input, std::size_t end) {
    const std::string_view rest = input.rest();
    key_ = trimmed(rest.substr(parameter_begin_.size(), end - parameter_begin_.size()));
    types_ = parameter_types(schema_, key_);
    announced_ = dialect_.type_word != TypeWord::none;
    input.at += end + spaced_length(rest.substr(end), key_end_);
    state_ = announced_ ? State::type : State::value;
    return Step::next;
  }

  // The word says how the value is written; what the schema says of it does not matter then.
  Step type(Input& input) {
    const std::string_view rest = input.rest();
    const std::string_view mark = trimmed(dialect_.parameter_name_end);
    const std::size_t end = rest.find(mark.front());
    if (end == std::string_view::npos) return rest.size() > kTypeWordBytes ? Step::text : Step::wait;
    const Match found = match(rest.substr(end), mark);
    if (found == Match::partial) return Step::wait;
    if (found == Match::none || end > kTypeWordBytes) return Step::text;
    const std::string_view word = rest.substr(0, end);
    const bool text = dialect_.type_word == TypeWord::is_string ? word == "true" : word == "string";
    types_ = text ? kString : TypeSet{kAnyType & ~kString};
    input.at += end + mark.size();
    state_ = State::value;
    return Step::next;
  }

  Step value(Input& input, CallSink& sink) {
    if (own_line_) {
      if (input.rest().empty()) return Step::wait;
      if (input.rest()[0] == '\n') ++input.at;
    }
    cursor_ = 0;
    space_ = 0;
    state_ = types_ == kString ? State::raw : State::whole;
    at_value_begin_ = own_line_;
    if (state_ == State::raw) {
      open_parameter(sink);
      sink.call_args("\"");
    }
    return Step::next;
  }

  // Finds the end of a value: its end tag, when a parameter or the end of the call follows. The tag
  // may stand in a value that is a file about tags.
  Step within_value(Input& input, CallSink& sink) {
    if (at_value_begin_) {
      // A model that means "" may leave out the second newline.
      const Match found = value_ends(input, tag_);
      if (found == Match::partial) return Step::wait;
      at_value_begin_ = false;
      if (found == Match::full) return close_parameter(input, 0, tag_.size(), sink);
      space_ = 0;
    }
    const std::string_view tag = own_line_ ? dialect_.parameter_end.substr(0, tag_.size() + 1) : tag_;
    for (;;) {
      const std::string_view rest = input.rest();
      const std::size_t found = rest.find(tag, cursor_);
      cursor_ = found != std::string_view::npos ? found : rest.size() - partial_suffix(rest, tag);
      if (state_ == State::raw) escape(input, cursor_, sink);
      if (found == std::string_view::npos) return Step::wait;
      const Match ends = value_ends(input, tag);
      if (ends == Match::partial) return Step::wait;
      if (ends == Match::full) return close_parameter(input, cursor_, tag.size(), sink);
      ++cursor_;
      space_ = 0;
    }
  }

  // Whether the tag at the cursor is the value's end. The whitespace behind it is looked at once.
  Match value_ends(const Input& input, std::string_view tag) {
    const std::string_view rest = input.rest().substr(cursor_);
    if (const Match found = match(rest, tag); found != Match::full) return found;
    const std::string_view behind = rest.substr(tag.size());
    space_ = std::min(behind.find_first_not_of(kJsonSpace, space_), behind.size());
    const Match found = begins(behind.substr(space_));
    return found == Match::partial && input.last ? Match::full : found;
  }

  Step close_parameter(Input& input, std::size_t length, std::size_t tag, CallSink& sink) {
    if (state_ == State::raw) {
      sink.call_args("\"");
    } else {
      open_parameter(sink);
      whole_value(input.rest().substr(0, length), sink);
    }
    input.at += length + tag;
    cursor_ = 0;
    state_ = State::next;
    return Step::next;
  }

  // JSON stays as it was written, unless the value may be a string and is nothing else that the
  // schema allows.
  void whole_value(std::string_view value, CallSink& sink) const {
    const bool may_be_text = (types_ & kString) != 0;
    const TypeSet type = type_of_value(value);
    if ((type & (may_be_text ? types_ & ~kString : int{kAnyType})) != 0 && !(may_be_text && is_only_text(value))) {
      sink.call_args(value);
      return;
    }
    std::string text = may_be_text || type != 0 ? std::string() : json_of_python(value);
    if (text.empty()) append_json_string(text, value);
    sink.call_args(text);
  }

  // Whether the schema refuses the JSON and takes the text: a number out of its bounds, say. Asked on the
  // thread that streams, so of small schemas only.
  bool is_only_text(std::string_view value) const {
    const auto properties = schema_.find("properties");
    if (properties == schema_.end() || !properties->is_object()) return false;
    const auto property = properties->find(key_);
    if (property == properties->end() || allows_all(*property)) return false;
    const auto document = standalone(*property, schema_);
    if (!document) return false;
    const std::string schema = dump_json(*document);
    if (schema.size() > kCheckedBytes) return false;
    const auto check = constrain::SchemaCheck::compile(schema);
    if (!check || check->check(value)) return false;
    std::string text;
    append_json_string(text, value);
    return check->check(text).has_value();
  }

  void open_parameter(CallSink& sink) {
    std::string text = parameters_ == 0 ? "{" : std::string(dialect_.item_separator);
    append_json_string(text, key_);
    text += dialect_.key_separator;
    ++parameters_;
    sink.call_args(text);
  }

  void escape(Input& input, std::size_t length, CallSink& sink) {
    std::string text;
    append_json_escaped(text, input.rest().substr(0, length));
    sink.call_args(text);
    input.at += length;
    cursor_ = 0;
  }

  // A mark whose parts may be apart: "</arg_key>\n<arg_value>".
  static Match match_spaced(std::string_view text, std::string_view mark) {
    while (!mark.empty()) {
      const std::string_view part = mark.substr(0, mark.find_first_of(kJsonSpace));
      const Match found = match(text, part);
      if (found != Match::full) return found;
      const std::string_view behind = text.substr(part.size());
      text = skipped(behind);
      if (behind.size() - text.size() > kMarkSpaceBytes) return Match::none;
      mark = skipped(mark.substr(part.size()));
    }
    return Match::full;
  }

  static std::size_t spaced_length(std::string_view text, std::string_view mark) {
    const std::size_t before = text.size();
    while (!mark.empty()) {
      const std::size_t part = std::min(mark.find_first_of(kJsonSpace), mark.size());
      text.remove_prefix(part);
      mark = skipped(mark.substr(part));
      if (!mark.empty()) text = skipped(text);
    }
    return before - text.size();
  }

  static std::string_view skipped(std::string_view text) {
    return text.substr(std::min(text.find_first_not_of(kJsonSpace), text.size()));
  }

  static constexpr std::size_t kTypeWordBytes = 16;
  static constexpr std::size_t kCheckedBytes = 4'096;
  static constexpr std::size_t kMarkSpaceBytes = 64;  // between its parts: what is waited for is looked at again

  const Dialect& dialect_;
  const std::string_view parameter_begin_;
  const std::string_view key_end_;
  const std::string_view tag_;
  std::string_view call_end_;
  const bool own_line_;  // values stand on lines of their own
  State state_ = State::next;
  Json schema_;
  std::string key_;
  TypeSet types_ = kAnyType;
  bool announced_ = false;  // by a word, not by the schema
  std::size_t parameters_ = 0;
  std::size_t cursor_ = 0;  // from input.at
  std::size_t space_ = 0;   // known to stand behind the tag at the cursor
  bool at_value_begin_ = false;
};

}  // namespace

std::unique_ptr<ArgumentReader> make_tagged_reader(const Dialect& dialect) {
  return std::make_unique<TaggedReader>(dialect);
}

}  // namespace kvern::chat
