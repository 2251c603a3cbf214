#include "base/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <ctime>

#include "base/json_text.h"

namespace kvern::log {
namespace {

std::atomic<Level> g_level{Level::info};
std::atomic<Format> g_format{Format::text};

std::string_view name(Level level) {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warn: return "warn";
    case Level::error: return "error";
    case Level::off: break;
  }
  return "off";
}

bool needs_quotes(std::string_view text) {
  return text.empty() || text.find_first_of(" =\"\n\t") != std::string_view::npos;
}

void append_value(std::string& out, const Field& field, Format format) {
  if (const auto* text = std::get_if<std::string>(&field.value)) {
    if (format == Format::json || needs_quotes(*text)) {
      append_json_string(out, *text);
    } else {
      out += *text;
    }
  } else if (const auto* integer = std::get_if<std::int64_t>(&field.value)) {
    fmt::format_to(std::back_inserter(out), "{}", *integer);
  } else if (const auto* real = std::get_if<double>(&field.value)) {
    fmt::format_to(std::back_inserter(out), "{:.4g}", *real);
  } else {
    out += std::get<bool>(field.value) ? "true" : "false";
  }
}

}  // namespace

bool parse_level(std::string_view word, Level& out) {
  for (const Level level : {Level::debug, Level::info, Level::warn, Level::error, Level::off}) {
    if (word == name(level)) {
      out = level;
      return true;
    }
  }
  return false;
}

void configure(Level level, Format format) {
  g_level = level;
  g_format = format;
}

bool enabled(Level level) { return level >= g_level.load(std::memory_order_relaxed); }

void write(Level level, std::string_view event, const Fields& fields) {
  if (!enabled(level)) return;
  const Format format = g_format.load(std::memory_order_relaxed);
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::string line;
  if (format == Format::json) {
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    line = fmt::format("{{\"ts\":\"{:%Y-%m-%dT%H:%M:%S}.{:03}Z\",\"level\":\"{}\",\"event\":", fmt::gmtime(seconds),
                       millis, name(level));
    append_json_string(line, event);
    for (const Field& field : fields) {
      line += ',';
      append_json_string(line, field.key);
      line += ':';
      append_value(line, field, format);
    }
    line += "}\n";
  } else {
    line = fmt::format("{:%H:%M:%S} ", fmt::localtime(seconds));
    if (level != Level::info) {
      line += name(level);
      line += ": ";
    }
    line += event;
    for (const Field& field : fields) {
      line += ' ';
      line += field.key;
      line += '=';
      append_value(line, field, format);
    }
    line += '\n';
  }
  // One write a line keeps lines of different threads whole; nothing useful can be done on failure.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace kvern::log
