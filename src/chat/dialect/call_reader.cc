#include "chat/dialect/call_reader.h"

#include <algorithm>

#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kSpaceBytes = 128;

}  // namespace

Match match(std::string_view text, std::string_view literal) {
  if (text.starts_with(literal)) return Match::full;
  return literal.starts_with(text) ? Match::partial : Match::none;
}

std::size_t partial_suffix(std::string_view text, std::string_view marker) {
  for (std::size_t length = std::min(text.size(), marker.size() - 1); length > 0; --length)
    if (text.ends_with(marker.substr(0, length))) return length;
  return 0;
}

void CallReader::skip_space(const Input& input) {
  const std::string_view rest = input.rest();
  cursor_ = std::min(rest.find_first_not_of(kJsonSpace, cursor_), rest.size());
}

// A literal's parts between whitespace must be there in their order.
Match CallReader::accept(const Input& input, std::string_view literal) {
  const std::size_t start = cursor_;
  for (literal = trimmed(literal); !literal.empty();) {
    const std::size_t space = cursor_;
    skip_space(input);
    const std::string_view part = literal.substr(0, literal.find_first_of(kJsonSpace));
    // Until the literal is there whole it is looked at again with each piece of text, so the space
    // within it has a bound.
    const bool spread = cursor_ - space > kSpaceBytes;
    const Match found = spread ? Match::none : match(input.rest().substr(cursor_), part);
    if (found != Match::full) {
      cursor_ = start;
      return found;
    }
    cursor_ += part.size();
    literal = trimmed(literal.substr(part.size()));
  }
  return Match::full;
}

CallReader::Step CallReader::expect(const Input& input, std::string_view literal) {
  switch (accept(input, literal)) {
    case Match::partial: return Step::wait;
    case Match::none: return Step::text;
    case Match::full: break;
  }
  return Step::next;
}

std::vector<std::string_view> end_markers(const Dialect& dialect) {
  std::vector<std::string_view> markers;
  std::string_view rest = trimmed(dialect.call_end);
  while (!rest.empty()) {
    markers.push_back(rest.substr(0, rest.find_first_of(kJsonSpace)));
    rest = trimmed(rest.substr(markers.back().size()));
  }
  return markers;
}

std::unique_ptr<CallReader> make_call_reader(const Dialect& dialect) {
  return dialect.frame == CallFrame::envelope ? make_envelope_call_reader(dialect) : make_framed_call_reader(dialect);
}

Progress CallReader::read(Input& input, CallSink& sink) {
  for (;;) {
    switch (one_step(input, sink)) {
      case Step::next: break;
      case Step::wait: return Progress::wait;
      case Step::done: return Progress::done;
      case Step::text: return Progress::text;
    }
  }
}

}  // namespace kvern::chat
