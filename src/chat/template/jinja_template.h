// A chat template (Jinja) and its rendering, on llama.cpp's engine with limits around it.
//
// Output is in parts that know whether their bytes came from the input (messages, tools) or from
// the template, so that "<|im_end|>" inside a file stays text. Deep nesting, endless recursion,
// endless loops and huge output are errors, not crashes. Thread: any; a template is immutable.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace kvern::chat {

struct RenderedPart {
  std::string text;
  bool is_input = false;
};

inline std::string joined(const std::vector<RenderedPart>& parts) {
  std::string text;
  for (const RenderedPart& part : parts) text += part.text;
  return text;
}

// A document in the engine's own form, made once for many renders: a list of tools. Templates cannot
// change it. Thread: any.
class PreparedValue;
std::shared_ptr<const PreparedValue> prepare_value(const Json& document);
// With room for what loops make of it.
std::shared_ptr<const PreparedValue> prepare_item(const Json& document, std::size_t round_bytes);
std::size_t bytes_of(const PreparedValue& prepared);  // about what it takes

// A variable of a render, beside those in JSON; its strings are input, too.
struct PreparedVariable {
  std::string name;
  std::shared_ptr<const PreparedValue> value;
};

// A list whose items are prepared one by one: messages. What a loop made of an item is kept with it where that
// cannot change, and used again.
struct PreparedList {
  std::string name;
  std::vector<std::shared_ptr<const PreparedValue>> items;
};

class JinjaTemplate {
 public:
  // Code::invalid with the position when the source is no template or exceeds a limit.
  static Result<std::unique_ptr<JinjaTemplate>> parse(std::string source);
  virtual ~JinjaTemplate() = default;

  // variables: an object; its strings are input. `constants` (bos_token, eos_token, ...) are not.
  // Code::invalid with the template's own words when it raises (raise_exception), or the limit.
  virtual Result<std::vector<RenderedPart>> render(const Json& variables, const Json& constants,
                                                   std::span<const PreparedVariable> prepared = {},
                                                   std::span<const PreparedList> lists = {}) const = 0;

  virtual const std::string& source() const = 0;
  virtual std::size_t kept_loops() const = 0;  // loops whose rounds are kept with prepared items
};

}  // namespace kvern::chat
