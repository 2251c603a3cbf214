#include "chat/dialect/call_reader.h"

#include <algorithm>

#include "chat/dialect/json_scan.h"

namespace kvern::chat {

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

Match CallReader::accept(const Input& input, std::string_view literal) {
  skip_space(input);
  const Match found = match(input.rest().substr(cursor_), literal);
  if (found == Match::full) cursor_ += literal.size();
  return found;
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
