// Reads a tree of elements. What a value is follows from the tool's schema, and where that leaves it open
// from the value: child elements are a list when they are items and an object otherwise.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "base/json_text.h"
#include "base/limits.h"
#include "chat/dialect/arguments/elements.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kNameBytes = 1'024;  // a longer tag is none

class ElementsReader final : public ArgumentReader {
 public:
  explicit ElementsReader(const Dialect& dialect)
      : dialect_(dialect), mark_(dialect.parameter_begin), call_end_(end_markers(dialect).front()) {}

  Match begins(std::string_view text) const override {
    if (const Match found = match(text, mark_); found != Match::full) return found;
    return match(text.substr(mark_.size()), "<");
  }

  void begin(const Tool& tool) override {
    schema_ = parse_json(tool.parameters).value_or(Json());
    frames_.clear();
    frames_.push_back({"", ValueSchemas(&schema_, &schema_), Kind::object, 0});
    state_ = State::tag;
    cursor_ = 0;
  }

  Progress read(Input& input, CallSink& sink) override {
    Step step = Step::next;
    while (step == Step::next) {
      switch (state_) {
        case State::tag: step = tag(input); break;
        case State::value: step = value(input); break;
        case State::raw:
        case State::whole: step = leaf(input); break;
      }
    }
    sink.call_args(out_);
    out_.clear();
    if (step == Step::wait) return Progress::wait;
    return step == Step::done ? Progress::done : Progress::text;
  }

  void truncate(Input& input, CallSink& sink) override {
    if (state_ == State::whole && (types_ & ~kString) != 0 && type_of_value(input.rest()) != 0)
      whole_value(input.rest());
    if (state_ == State::raw) append_json_escaped(out_, input.rest());
    sink.call_args(out_);
    out_.clear();
    input.at = input.text.size();
  }

 private:
  // tag: between elements. value: behind an opening tag. raw: in a string. whole: in a value that is
  // judged when it is complete.
  enum class State { tag, value, raw, whole };
  enum class Step { next, wait, done, text };
  enum class Kind { open, object, list, leaf };

  struct Frame {
    std::string name;
    ValueSchemas schemas;
    Kind kind = Kind::open;
    std::size_t count = 0;
  };

  Step tag(Input& input) {
    input.at += std::min(input.rest().find_first_not_of(kJsonSpace), input.rest().size());
    const std::string_view rest = input.rest();
    if (frames_.size() == 1) {
      const Match over = match(rest, call_end_);
      if (over == Match::partial) return Step::wait;
      if (over == Match::full) {
        out_ += frames_.back().count == 0 ? "{}" : "}";
        return Step::done;
      }
    } else if (const Match closed = closing(rest); closed != Match::none) {
      if (closed == Match::partial) return Step::wait;
      out_ += frames_.back().kind == Kind::list ? "]" : "}";
      return close(input, 0);
    }
    return open(input);
  }

  // An opening tag.
  Step open(Input& input) {
    const std::string_view rest = input.rest();
    const std::size_t begin = mark_.size() + 1;
    if (const Match found = begins(rest); found != Match::full) return found == Match::none ? Step::text : Step::wait;
    const std::size_t end = std::min(rest.find_first_of("<>/ \n", begin), rest.size());
    if (end - begin > kNameBytes) return Step::text;
    if (end == rest.size()) return Step::wait;
    if (rest[end] != '>' || end == begin || frames_.size() > limits::kArgumentNesting) return Step::text;
    std::string name(rest.substr(begin, end - begin));
    Frame& parent = frames_.back();
    const bool in_list = parent.kind == Kind::list;
    if (in_list && name != kItemElement) return Step::text;
    if (parent.count++ > 0) {
      out_ += dialect_.item_separator;
    } else if (frames_.size() == 1) {
      out_ += '{';
    }
    if (!in_list) {
      append_json_string(out_, name);
      out_ += dialect_.key_separator;
    }
    ValueSchemas schemas = in_list ? parent.schemas.item() : parent.schemas.member(name);
    types_ = schemas.types();
    frames_.push_back({std::move(name), std::move(schemas), Kind::open, 0});
    input.at += end + 1;
    cursor_ = 0;
    state_ = State::value;
    return Step::next;
  }

  // What kind of value begins.
  Step value(Input& input) {
    const std::string_view rest = input.rest();
    if (types_ == kString) {
      out_ += '"';
      state_ = State::raw;
      return Step::next;
    }
    if (const Match found = match(rest, mark_); found != Match::full) {
      if (found == Match::partial && !input.last) return Step::wait;
      state_ = State::whole;
      return Step::next;
    }
    const Match closed = closing(rest);
    if (closed == Match::partial && !input.last) return Step::wait;
    if (closed == Match::full) {
      out_ += empty_value();
      return close(input, 0);
    }
    const std::string item = std::string(mark_) + "<" + kItemElement + ">";
    const Match listed = match(rest, item);
    if (listed == Match::partial && !input.last) return Step::wait;
    const bool may_be_list = (types_ & kArray) != 0 && listed == Match::full;
    if (!may_be_list && (types_ & kObject) == 0) {
      state_ = State::whole;
      return Step::next;
    }
    const bool is_list = may_be_list && ((types_ & kObject) == 0 || types_ == kAnyType || listed == Match::full);
    frames_.back().kind = is_list ? Kind::list : Kind::object;
    out_ += is_list ? '[' : '{';
    state_ = State::tag;
    return Step::next;
  }

  std::string_view empty_value() const {
    if ((types_ & kString) != 0) return "\"\"";
    if ((types_ & kArray) != 0) return "[]";
    if ((types_ & kObject) != 0) return "{}";
    return (types_ & kNull) != 0 ? "null" : "\"\"";
  }

  // The innermost element's closing tag.
  Match closing(std::string_view text) const {
    if (const Match found = match(text, mark_); found != Match::full) return found;
    return match(text.substr(mark_.size()), "</" + frames_.back().name + ">");
  }

  // The element ends with the tag `length` bytes ahead.
  Step close(Input& input, std::size_t length) {
    input.at += length + mark_.size() + frames_.back().name.size() + 3;
    frames_.pop_back();
    cursor_ = 0;
    state_ = State::tag;
    return Step::next;
  }

  // Up to the closing tag that another tag follows: a file may be about tags.
  Step leaf(Input& input) {
    for (;;) {
      const std::string_view rest = input.rest();
      const std::size_t found = rest.find(mark_, cursor_);
      const bool none = found == std::string_view::npos;
      cursor_ = none ? rest.size() - partial_suffix(rest, mark_) : found;
      if (state_ == State::raw) {
        append_json_escaped(out_, rest.substr(0, cursor_));
        input.at += cursor_;
        cursor_ = 0;
      }
      if (none) return Step::wait;
      const Match over = ends(input);
      if (over == Match::partial) return Step::wait;
      if (over == Match::full) {
        if (state_ == State::raw) {
          out_ += '"';
        } else {
          whole_value(input.rest().substr(0, cursor_));
        }
        return close(input, cursor_);
      }
      ++cursor_;
    }
  }

  Match ends(const Input& input) const {
    const std::string_view rest = input.rest().substr(cursor_);
    if (const Match found = closing(rest); found != Match::full) return found;
    const std::string_view behind = rest.substr(mark_.size() + frames_.back().name.size() + 3);
    const std::size_t space = std::min(behind.substr(0, kSpaceBytes).find_first_not_of(kJsonSpace), behind.size());
    if (space == behind.size() && space >= kSpaceBytes) return Match::full;  // blanks enough to tell
    const Match found = begins(behind.substr(space));
    return found == Match::partial && input.last ? Match::full : found;
  }

  // JSON stays as it was written, unless the value may be a string and is nothing else that the schema
  // lists.
  void whole_value(std::string_view text) {
    const TypeSet json_types = (types_ & kString) != 0 ? types_ & ~kString : int{kAnyType};
    if ((type_of_value(text) & json_types) != 0) {
      out_ += trimmed(text);
    } else {
      append_json_string(out_, text);
    }
  }

  static constexpr std::size_t kSpaceBytes = 16;  // that are looked at behind a closing tag

  const Dialect& dialect_;
  const std::string_view mark_;
  const std::string_view call_end_;
  Json schema_;
  std::vector<Frame> frames_;  // the first: the arguments
  State state_ = State::tag;
  TypeSet types_ = kAnyType;  // of the innermost value
  std::string out_;           // JSON that this read() made
  std::size_t cursor_ = 0;    // from input.at: looked at already
};

}  // namespace

std::unique_ptr<ArgumentReader> make_elements_reader(const Dialect& dialect) {
  return std::make_unique<ElementsReader>(dialect);
}

}  // namespace kvern::chat
