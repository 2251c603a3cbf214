// Values as Python prints them: what `{{ value }}` and `value ~ ""` write.
#pragma once

#include <cstdint>
#include <string>

#include "chat/template/engine.h"

namespace kvern::chat {

// A whole number too large for the engine's integers, kept as it is written.
class LargeInteger : public jinja::value_float_t {
 public:
  explicit LargeInteger(std::uint64_t number)
      : jinja::value_float_t(static_cast<double>(number)), text(std::to_string(number)) {}

  const std::string text;
};

// A number as Python prints it: 1.0, 1e-05, 0.1.
std::string python_float(double number);

// A number or truth value as Python prints it.
std::string number_text(const jinja::value_t& number);

// Python's repr(): strings are quoted, containers written with their items.
// Throws TemplateError when it becomes larger than a rendering may.
std::string python_repr(const jinja::value& value);

}  // namespace kvern::chat
