// Reading one tool call, from behind its trigger to its end. Used by the turn parser only.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "chat/dialect/dialect.h"

namespace kvern::chat {

// What was generated and not yet consumed. Whole UTF-8 sequences.
struct Input {
  std::string text;
  std::size_t at = 0;  // everything before it was consumed
  bool last = false;   // no more will come

  std::string_view rest() const { return std::string_view(text).substr(at); }
};

enum class Match { full, partial, none };

// How text begins: with literal, with a beginning of it and nothing else, or with something else.
Match match(std::string_view text, std::string_view literal);

// Bytes at the end of text that are a proper beginning of marker.
std::size_t partial_suffix(std::string_view text, std::string_view marker);

// Where the parts of a call go.
class CallSink {
 public:
  virtual ~CallSink() = default;
  virtual const Tool* find_tool(std::string_view name) const = 0;
  virtual void call_start(std::string_view name) = 0;
  virtual void call_args(std::string_view json) = 0;
  virtual void call_end(std::string_view written_id) = 0;
};

enum class Progress {
  wait,  // more text is needed
  done,  // the call was read
  text   // what follows is text: the first cursor() bytes of the input without looking into them
};

// Where a call begins.
enum class CallStart {
  trigger,  // the first of a section: input.rest() starts with the trigger
  next,     // behind another one: at call_begin
  bare      // at Dialect::bare_begin, without what belongs before it
};

class CallReader {
 public:
  virtual ~CallReader() = default;

  // Begins a call; input.rest() keeps its start until the call is certain.
  virtual void begin(CallStart start) = 0;
  // Looks at no byte twice, but for markers.
  Progress read(Input& input, CallSink& sink);
  // The text ended inside the call: lets go of arguments that were held back.
  virtual void truncate(Input& input, CallSink& sink) = 0;

  std::size_t cursor() const { return cursor_; }
  bool started() const { return started_; }  // call_start was said

 protected:
  enum class Step { next, wait, done, text };  // next: go on; the others are a Progress
  virtual Step one_step(Input& input, CallSink& sink) = 0;

  // Skips whitespace, then the literal (its own whitespace may be missing or more). The cursor stays
  // before a literal that is not there.
  Match accept(const Input& input, std::string_view literal);
  // The same for a literal that must come: next when it is there, text when something else is.
  Step expect(const Input& input, std::string_view literal);
  void skip_space(const Input& input);
  // The bytes up to the cursor belong to the call.
  void consume(Input& input) {
    input.at += cursor_;
    cursor_ = 0;
  }

  std::size_t cursor_ = 0;  // from input.at
  bool started_ = false;
};

std::unique_ptr<CallReader> make_call_reader(const Dialect& dialect);  // by its frame
std::unique_ptr<CallReader> make_envelope_call_reader(const Dialect& dialect);
std::unique_ptr<CallReader> make_framed_call_reader(const Dialect& dialect);

// The marker that ends a call as a model may also write it: without the whitespace around it.
// "</function>\n</tool_call>" has two; a call_end of nothing but whitespace has none.
std::vector<std::string_view> end_markers(const Dialect& dialect);

}  // namespace kvern::chat
