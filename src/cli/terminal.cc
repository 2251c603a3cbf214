#include "cli/terminal.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>

namespace kvern::cli {
namespace {

constexpr int kLookAround_ms = 100;  // how soon Ctrl-C is heard while nobody reads

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::string_view code_of(Style style) {
  switch (style) {
    case Style::plain: return "";
    case Style::dim: return "\x1b[2m";
    case Style::bold: return "\x1b[1m";
    case Style::red: return "\x1b[31m";
    case Style::green: return "\x1b[32m";
    case Style::yellow: return "\x1b[33m";
  }
  return "";
}

}  // namespace

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

bool has_colour(int fd) {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  return is_terminal(fd) && !(no_colour && *no_colour) && !(kind && std::string_view(kind) == "dumb");
}

std::string styled(std::string_view text, Style style, int fd) {
  if (style == Style::plain || !has_colour(fd)) return std::string(text);
  return fmt::format("{}{}\x1b[0m", code_of(style), text);
}

void say(std::string_view line) { write_all(STDERR_FILENO, fmt::format("{}\n", line)); }

void say_error(const Error& error) {
  const bool named = error.field.empty() || error.message.starts_with(error.field);
  say(fmt::format("{} {}{}{}", styled("error:", Style::red, STDERR_FILENO), named ? "" : error.field, named ? "" : ": ",
                  error.message));
}

bool put(std::string_view text) { return write_all(STDOUT_FILENO, text); }

bool put(std::string_view text, const std::function<bool()>& stopped) {
  // A pipe that is ready takes so much without waiting; a frame on a terminal is one write.
  const std::size_t most = is_terminal(STDOUT_FILENO) ? text.size() : PIPE_BUF;
  while (!text.empty()) {
    pollfd out{STDOUT_FILENO, POLLOUT, 0};
    if (::poll(&out, 1, kLookAround_ms) <= 0) {
      if (stopped()) return false;
      continue;
    }
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), std::min(most, text.size()));
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::string without_controls(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // C2 80 .. C2 9F are the control characters of Latin-1, some of which terminals obey.
    const bool latin_control = byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (latin_control) {
      ++i;
    } else if ((byte >= 0x20 && byte != 0x7F) || byte == '\n' || byte == '\t') {
      out += text[i];
    }
  }
  return out;
}

ProgressLine::ProgressLine() : live_(is_terminal(STDERR_FILENO)) {}

void ProgressLine::show(std::string_view what, float fraction) {
  const auto now = std::chrono::steady_clock::now();
  if (!live_ || (drawn_ && fraction < 1 && now - last_ < std::chrono::milliseconds(100))) return;
  last_ = now;
  drawn_ = true;
  write_all(STDERR_FILENO, fmt::format("\r\x1b[K{} {:3.0f} %", what, static_cast<double>(fraction) * 100));
}

void ProgressLine::show(std::string_view what) {
  const auto now = std::chrono::steady_clock::now();
  if (!live_ || (drawn_ && now - last_ < std::chrono::milliseconds(100))) return;
  last_ = now;
  drawn_ = true;
  write_all(STDERR_FILENO, fmt::format("\r\x1b[K{}", what));
}

void ProgressLine::clear() {
  if (!drawn_) return;
  drawn_ = false;
  write_all(STDERR_FILENO, "\r\x1b[K");
}

LineReader::Got LineReader::next(std::string& line) {
  for (;;) {
    if (const std::size_t newline = buffer_.find('\n'); newline != std::string::npos) {
      line = buffer_.substr(0, newline);
      buffer_.erase(0, newline + 1);
      return Got::line;
    }
    std::array<char, 4096> chunk{};
    const ssize_t got = ::read(fd_, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) {
      buffer_.clear();  // what was typed before Ctrl-C is not wanted
      return Got::interrupted;
    }
    if (got <= 0) {
      line = std::move(buffer_);
      buffer_.clear();
      return line.empty() ? Got::end : Got::line;
    }
    buffer_.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

std::optional<std::string> read_all(int fd) {
  std::string text;
  std::array<char, 65536> chunk{};
  for (;;) {
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got == 0) return text;
    if (got < 0) return std::nullopt;  // Ctrl-C, too
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace kvern::cli
