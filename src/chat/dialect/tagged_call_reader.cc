// <function=f> with one element a parameter. Builds the arguments' JSON text once, as it reads.
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/json_text.h"
#include "base/limits.h"
#include "chat/dialect/call_reader.h"
#include "chat/dialect/json_scan.h"
#include "chat/dialect/parameter_types.h"

namespace kvern::chat {
namespace {

class TaggedCallReader : public CallReader {
 public:
  explicit TaggedCallReader(const Dialect& dialect)
      : dialect_(dialect),
        function_begin_(trimmed(dialect.call_begin.substr(dialect.trigger.size()))),
        name_end_(trimmed(dialect.name_end)),
        key_end_(trimmed(dialect.parameter_name_end)) {
    const std::size_t gap = dialect.call_end.find_first_of(kJsonSpace);
    function_end_ = dialect.call_end.substr(0, gap);
    end_ = trimmed(dialect.call_end.substr(gap));
  }

  void begin() override {
    cursor_ = dialect_.trigger.size();
    started_ = false;
    state_ = State::function;
    parameters_ = 0;
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
  enum class State { function, name, next, key, value, raw, whole, end };

  Step one_step(Input& input, CallSink& sink) override {
    switch (state_) {
      case State::function: return function(input);
      case State::name: return name(input, sink);
      case State::next: return next(input, sink);
      case State::key: return key(input);
      case State::value: return value(input, sink);
      case State::raw:
      case State::whole: return within_value(input, sink);
      case State::end: return end(input, sink);
    }
    return Step::text;
  }

  Step function(const Input& input) {
    const Match found = accept(input, function_begin_);
    if (found == Match::full) state_ = State::name;
    return found == Match::full ? Step::next : found == Match::partial ? Step::wait : Step::text;
  }

  Step name(const Input& input, const CallSink& sink) {
    const std::string_view rest = input.rest().substr(cursor_);
    std::size_t length = 0;
    while (length < rest.size() && is_tool_name_char(rest[length])) ++length;
    if (length > limits::kToolNameBytes) return Step::text;
    const Match found = match(rest.substr(length), name_end_);
    if (found == Match::partial) return Step::wait;
    tool_ = found == Match::full ? sink.find_tool(rest.substr(0, length)) : nullptr;
    if (tool_ == nullptr) return Step::text;
    cursor_ += length + name_end_.size();
    state_ = State::next;
    return Step::next;
  }

  // A parameter or the end of the function; only then is it certain that this is a call.
  Step next(Input& input, CallSink& sink) {
    skip_space(input);
    const std::string_view rest = input.rest().substr(cursor_);
    const Match parameter = match(rest, dialect_.parameter_begin);
    const Match closing = match(rest, function_end_);
    if (parameter != Match::full && closing != Match::full) {
      if (parameter == Match::partial || closing == Match::partial) return Step::wait;
      return Step::text;
    }
    if (!started_) {
      sink.call_start(tool_->name);
      started_ = true;
      schema_ = parse_json(tool_->parameters).value_or(Json());
    }
    consume(input);
    if (parameter == Match::full) {
      cursor_ = dialect_.parameter_begin.size();
      state_ = State::key;
      return Step::next;
    }
    input.at += function_end_.size();
    sink.call_args(parameters_ == 0 ? "{}" : "}");
    state_ = State::end;
    return Step::next;
  }

  Step key(Input& input) {
    const std::string_view rest = input.rest();
    const std::size_t end = rest.find_first_of(">\n", cursor_);
    if (end == std::string_view::npos) {
      cursor_ = rest.size();
      return Step::wait;
    }
    cursor_ = end;
    if (match(rest.substr(end), key_end_) != Match::full) return Step::text;
    key_ = rest.substr(dialect_.parameter_begin.size(), end - dialect_.parameter_begin.size());
    types_ = parameter_types(schema_, key_);
    cursor_ += key_end_.size();
    consume(input);
    state_ = State::value;
    return Step::next;
  }

  Step value(Input& input, CallSink& sink) {
    if (input.rest().empty()) return Step::wait;
    if (input.rest()[0] == '\n') ++input.at;
    state_ = types_ == kString ? State::raw : State::whole;
    at_value_begin_ = true;
    if (state_ == State::raw) {
      open_parameter(sink);
      sink.call_args("\"");
    }
    return Step::next;
  }

  // Finds the end of a value: its end tag, when a parameter or the end of the function follows. The
  // tag may stand in a value that is a file about tags.
  Step within_value(Input& input, CallSink& sink) {
    if (at_value_begin_) {
      // A model that means "" may leave out the second newline.
      const std::string_view tag = dialect_.parameter_end.substr(1);
      const Match found = value_ends(input, tag);
      if (found == Match::partial) return Step::wait;
      at_value_begin_ = false;
      if (found == Match::full) return close_parameter(input, 0, tag.size(), sink);
    }
    const std::string_view tag = dialect_.parameter_end;
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
    }
  }

  Match value_ends(const Input& input, std::string_view tag) const {
    const std::string_view rest = input.rest().substr(cursor_);
    if (const Match found = match(rest, tag); found != Match::full) return found;
    const Match parameter = match(rest.substr(tag.size()), dialect_.parameter_begin);
    const Match closing = match(rest.substr(tag.size()), function_end_);
    if (parameter == Match::full || closing == Match::full) return Match::full;
    if (parameter == Match::none && closing == Match::none) return Match::none;
    return input.last ? Match::full : Match::partial;
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
  // schema lists.
  void whole_value(std::string_view value, CallSink& sink) const {
    const TypeSet type = type_of_value(value);
    const TypeSet json_types = (types_ & kString) != 0 ? types_ & ~kString : int{kAnyType};
    if ((type & json_types) != 0) {
      sink.call_args(value);
      return;
    }
    std::string text;
    append_json_string(text, value);
    sink.call_args(text);
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

  Step end(Input& input, CallSink& sink) {
    const Match found = accept(input, end_);
    if (found == Match::partial) return Step::wait;
    sink.call_end();
    if (found == Match::full) consume(input);
    cursor_ = 0;
    return Step::done;
  }

  const Dialect& dialect_;
  std::string_view function_begin_;
  std::string_view name_end_;
  std::string_view key_end_;
  std::string_view function_end_;
  std::string_view end_;
  State state_ = State::function;
  const Tool* tool_ = nullptr;
  Json schema_;
  std::string key_;
  TypeSet types_ = kAnyType;
  std::size_t parameters_ = 0;
  bool at_value_begin_ = false;
};

}  // namespace

std::unique_ptr<CallReader> make_tagged_call_reader(const Dialect& dialect) {
  return std::make_unique<TaggedCallReader>(dialect);
}

}  // namespace kvern::chat
