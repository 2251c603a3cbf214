// What a person sees: messages on stderr, colours only on a terminal, a line that is redrawn.
// Thread: main, unless said otherwise.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvern::cli {

enum class Style { plain, dim, bold, red, green, yellow };

bool is_terminal(int fd);

// A terminal that is not dumb, and NO_COLOR is not set.
bool has_colour(int fd);

// The text in that style where fd shows colours, else the text.
std::string styled(std::string_view text, Style style, int fd);

// One line on stderr.
void say(std::string_view line);

// "error: --port: 8080 is taken ..." on stderr. The field is left out where the message begins with it.
void say_error(const Error& error);

// Bytes on stdout at once; false when nobody reads them any more.
bool put(std::string_view text);

// The same, but asks now and then while a pager, say, takes none of them: false and the rest is dropped once stopped
// says so. Signals held by a handler do not end a put() by themselves.
bool put(std::string_view text, const std::function<bool()>& stopped);

// Without what could steer the terminal: control characters except newline and tab are dropped.
std::string without_controls(std::string_view text);

// One line on stderr that is drawn again and again; nothing at all off a terminal.
// Thread: any, one at a time.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  // At most ten times a second, and always for 1.
  void show(std::string_view what, float fraction);
  // The same without a fraction.
  void show(std::string_view what);
  void clear();

 private:
  bool live_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_;
};

// Lines from a file descriptor, with EINTR as an answer of its own.
class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}
  enum class Got { line, end, interrupted };
  Got next(std::string& line);

 private:
  int fd_;
  std::string buffer_;
};

// Everything until the end of fd; nothing when that fails.
std::optional<std::string> read_all(int fd);

}  // namespace kvern::cli
