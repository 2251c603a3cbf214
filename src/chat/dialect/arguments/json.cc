// Arguments as one JSON object.
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "chat/dialect/arguments/codec.h"
#include "chat/dialect/json_scan.h"
#include "chat/dialect/lark_text.h"
#include "constrain/text_grammar.h"

namespace kvern::chat {
namespace {

class JsonReader : public ArgumentReader {
 public:
  explicit JsonReader(const Dialect& dialect) {
    const auto ends = end_markers(dialect);
    // A bracket says nothing: it may be the object's own.
    ends_call_ = !ends.empty() && ends.front().front() != '}' && ends.front().front() != ']';
    stop_ = ends_call_ ? ends.front() : dialect.trigger;
  }

  Match begins(std::string_view text) const override { return match(text, "{"); }

  void begin(const Tool& /*tool*/) override {
    nesting_ = {};
    opened_ = false;
  }

  Progress read(Input& input, CallSink& sink) override {
    std::string_view rest = input.rest();
    if (!opened_) {
      input.at += std::min(rest.find('{'), rest.size());
      rest = input.rest();
      opened_ = !rest.empty();
    }
    for (std::size_t length = 0; length < rest.size();) {
      if (!nesting_.in_string() && rest[length] == stop_.front()) {
        // Outside of strings the marker means that the object was never closed.
        const Match found = match(rest.substr(length), stop_);
        if (found != Match::none) return unclosed(input, sink, length, found);
      }
      if (!nesting_.closes(rest[length++])) continue;
      return say(input, sink, length, Progress::done);
    }
    return say(input, sink, rest.size(), Progress::wait);
  }

  void truncate(Input& input, CallSink& sink) override { say(input, sink, input.rest().size(), Progress::done); }

 private:
  static Progress say(Input& input, CallSink& sink, std::size_t length, Progress progress) {
    sink.call_args(input.rest().substr(0, length));
    input.at += length;
    return progress;
  }

  Progress unclosed(Input& input, CallSink& sink, std::size_t length, Match found) const {
    say(input, sink, length, Progress::wait);
    if (found == Match::partial) return Progress::wait;
    if (ends_call_) input.at += stop_.size();
    return Progress::text;
  }

  std::string_view stop_;
  bool ends_call_ = false;
  JsonNesting nesting_;
  bool opened_ = false;
};

// Arguments are an object, also when the schema does not say so. What is no schema stays as it is,
// for the fitter to refuse.
std::string object_schema(const std::string& parameters) {
  auto parsed = parse_json(parameters);
  if (!parsed || !parsed->is_object()) return parameters;
  const auto type = parsed->find("type");
  if (type != parsed->end() && *type == "object") return parameters;
  (*parsed)["type"] = "object";
  return dump_json(*parsed);
}

Result<std::string> json_grammar(GrammarParts& parts, const Tool& tool) {
  if (tool.custom && tool.input.syntax != TextSyntax::any) {
    TRY(const std::string text,
        constrain::text_expression(parts.compiler, tool.input, constrain::TextForm::json_string));
    const std::string open = "{\"" + std::string(kCustomInput) + "\"" + std::string(parts.dialect.key_separator) + "\"";
    return lark_text(open, parts.vocab) + " " + text + " " + constrain::lark_literal("\"}");
  }
  return parts.json(tool, object_schema(tool.parameters));
}

void render_json(std::string& out, const Dialect& dialect, std::string_view arguments) {
  const std::string_view text = trimmed(arguments);
  if (text.empty()) {
    out += "{}";
  } else if (parse_json(text)) {
    out += respaced(text, dialect.item_separator, dialect.key_separator);
  } else {
    out += arguments;
  }
}

}  // namespace

const ArgumentCodec kJsonCodec = {
    json_grammar,
    [](const Dialect& dialect) -> std::unique_ptr<ArgumentReader> { return std::make_unique<JsonReader>(dialect); },
    render_json};

}  // namespace kvern::chat
