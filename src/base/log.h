// One line per event on stderr, as text for people or JSON for machines. Never prompts, never keys.
//
// log::info("request", {{"prompt", 8412}, {"reused", 8190}, {"why", "new_text"}});
//   text: 14:02:11 request prompt=8412 reused=8190 why=new_text
//   json: {"ts":"2026-11-24T14:02:11.123Z","level":"info","event":"request","prompt":8412,...}
//
// Thread: any; a line is written with one write call.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kvern::log {

enum class Level { debug, info, warn, error, off };
enum class Format { text, json };

// Parses "debug", "info", "warn", "error", "off"; false if the word is another.
bool parse_level(std::string_view word, Level& out);

void configure(Level level, Format format);
bool enabled(Level level);

struct Field {
  std::string_view key;
  std::variant<std::int64_t, double, bool, std::string> value;

  Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, std::string_view v) : key(k), value(std::string(v)) {}
  Field(std::string_view k, const char* v) : key(k), value(std::string(v)) {}
  Field(std::string_view k, bool v) : key(k), value(v) {}
  template <std::integral T>
  Field(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
  template <std::floating_point T>
  Field(std::string_view k, T v) : key(k), value(static_cast<double>(v)) {}
};

using Fields = std::vector<Field>;

void write(Level level, std::string_view event, const Fields& fields);

inline void debug(std::string_view event, const Fields& fields = {}) { write(Level::debug, event, fields); }
inline void info(std::string_view event, const Fields& fields = {}) { write(Level::info, event, fields); }
inline void warn(std::string_view event, const Fields& fields = {}) { write(Level::warn, event, fields); }
inline void error(std::string_view event, const Fields& fields = {}) { write(Level::error, event, fields); }

}  // namespace kvern::log
