#include "schedule/reasoning_budget.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace kvern::schedule {
namespace {

constexpr std::int64_t kCharacterTokens = 3;  // what may be missing of a character
constexpr std::size_t kCharacterBytes = 4;

std::string_view trimmed(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

}  // namespace

ReasoningBudget::ReasoningBudget(ReasoningLimit limit) : limit_(std::move(limit)) {
  if (limit_.tokens_max < 0 || limit_.end.empty() || limit_.close.empty()) return;
  limit_.begin = trimmed(limit_.begin);
  if (limit_.open) {
    place_ = Place::inside;
    look_for_end({});
  } else if (!limit_.begin.empty()) {
    place_ = Place::ahead;
  }
}

void ReasoningBudget::saw(std::string_view text) {
  if (place_ == Place::ahead) {
    look_for_begin(text);
  } else if (place_ == Place::inside) {
    ++tokens_;
    look_for_end(text);
  }
}

void ReasoningBudget::look_for_begin(std::string_view text) {
  text_ += text;
  text_.erase(0, text_.size() - trimmed(text_).size());
  if (limit_.begin.starts_with(text_) && text_.size() < limit_.begin.size()) return;  // may still become it
  if (!text_.starts_with(limit_.begin)) {
    place_ = Place::beyond;
    return;
  }
  place_ = Place::inside;
  const std::string rest = std::exchange(text_, {}).substr(limit_.begin.size());
  look_for_end(rest);
}

void ReasoningBudget::look_for_end(std::string_view text) {
  text_ += text;
  if (text_.find(limit_.end) != std::string::npos) {
    place_ = Place::beyond;
    return;
  }
  const std::size_t keep = std::max(limit_.end.size() - 1, kCharacterBytes);
  if (text_.size() > keep) text_.erase(0, text_.size() - keep);
  const std::int64_t over = tokens_ - limit_.tokens_max;
  if (over < 0 || (utf8_incomplete_suffix(text_) > 0 && over < kCharacterTokens)) return;
  place_ = Place::closing;
}

std::optional<TokenId> ReasoningBudget::due() const {
  if (place_ != Place::closing || closed_ == limit_.close.size()) return std::nullopt;
  return limit_.close[closed_];
}

}  // namespace kvern::schedule
