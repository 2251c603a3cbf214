// A way to write arguments: its grammar, its reader and its renderer, which must agree. One codec a
// style, one file (or a few) a codec. Thread: any for codecs; a reader belongs to one parser.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "chat/dialect/call_reader.h"
#include "chat/dialect/dialect.h"
#include "chat/dialect/grammar_parts.h"

namespace kvern::chat {

// Reads the arguments of one call, from right behind Dialect::name_end (or the id there) up to, and
// without, what follows them. What it consumes leaves the input (input.at), and comes out of the sink
// as pieces of the arguments' JSON text: never a byte that later text could change.
class ArgumentReader {
 public:
  virtual ~ArgumentReader() = default;

  // Whether text can be the start of arguments (or, where they have no start of their own, the end of
  // a call without any). Only when it says full is what was read so far certain to be a call.
  // text is what follows the name, whitespace skipped.
  virtual Match begins(std::string_view text) const = 0;

  virtual void begin(const Tool& tool) = 0;

  // wait: more is needed. done: complete; input.rest() begins behind them. text: what follows cannot
  // belong to the arguments; the call is given up where it is (it gets no end), input.rest() is text.
  // Looks at no byte twice, but for markers.
  virtual Progress read(Input& input, CallSink& sink) = 0;

  // The text ended within: says what was held back and is certain. The JSON may stay incomplete.
  virtual void truncate(Input& input, CallSink& sink) = 0;
};

struct ArgumentCodec {
  // Lark for the right side of a rule: everything between name_end (or the id behind the name) and
  // call_end (or the id before it). Code::invalid without a field when the parameters are no schema.
  Result<std::string> (*grammar)(GrammarParts& parts, const Tool& tool);

  std::unique_ptr<ArgumentReader> (*reader)(const Dialect& dialect);

  // arguments: what a client or a model wrote, which need not be JSON: it is shown, never lost.
  void (*render)(std::string& out, const Dialect& dialect, std::string_view arguments);
};

const ArgumentCodec& codec_of(ArgumentStyle style);

extern const ArgumentCodec kJsonCodec;      // json.cc
extern const ArgumentCodec kTaggedCodec;    // tagged.cc
extern const ArgumentCodec kPythonicCodec;  // pythonic.cc
extern const ArgumentCodec kObjectCodec;    // object.cc
extern const ArgumentCodec kElementsCodec;  // elements.cc

}  // namespace kvern::chat
