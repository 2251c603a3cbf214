#include "schedule/prompt_lookup.h"

#include <algorithm>
#include <bit>

namespace kvern::schedule {
namespace {

constexpr std::int32_t kNone = -1;
constexpr std::size_t kLongGram = 8;
constexpr int kTried = 16;

std::int32_t agreeing(std::span<const TokenId> tokens, std::size_t from) {
  const std::size_t most = std::min<std::size_t>(from, PromptLookup::kMatchMax);
  std::size_t matched = 0;
  while (matched < most && tokens[from - 1 - matched] == tokens[tokens.size() - 1 - matched]) ++matched;
  return static_cast<std::int32_t>(matched);
}

}  // namespace

PromptLookup::Table::Table(std::size_t gram_tokens, std::size_t tokens_expected)
    : gram(gram_tokens), latest(std::bit_ceil(std::max<std::size_t>(tokens_expected, 64)), kNone) {
  former.reserve(tokens_expected + 1);
}

// Of the run that ends before `end`.
std::size_t PromptLookup::Table::slot(std::span<const TokenId> tokens, std::size_t end) const {
  std::uint64_t hash = 0;
  for (std::size_t i = end - gram; i < end; ++i)
    hash = (hash + static_cast<std::uint32_t>(tokens[i]) + 1) * 0x9E3779B97F4A7C15ULL;
  return static_cast<std::size_t>(hash >> 32) & (latest.size() - 1);
}

// The run at the very end is not in the table: it would find itself.
void PromptLookup::Table::add(std::span<const TokenId> tokens) {
  for (std::size_t end = former.size(); end < tokens.size(); ++end) {
    std::int32_t before = kNone;
    if (end >= gram) {
      std::int32_t& last = latest[slot(tokens, end)];
      before = last;
      last = static_cast<std::int32_t>(end);
    }
    former.push_back(before);
  }
}

PromptLookup::PromptLookup(std::size_t tokens_expected)
    : long_(kLongGram, tokens_expected), short_(kGram, tokens_expected) {}

void PromptLookup::add(std::span<const TokenId> tokens) {
  long_.add(tokens);
  short_.add(tokens);
}

PromptLookup::Guess PromptLookup::find(std::span<const TokenId> tokens) {
  Guess best;
  const auto consider = [&](std::size_t from) {
    const std::int32_t matched = agreeing(tokens, from);
    if (matched >= static_cast<std::int32_t>(kGram) && matched > best.matched) best = {from, matched};
  };
  if (last_from_ > 0) consider(last_from_ + (tokens.size() - last_size_));
  for (const Table* table : {&long_, &short_}) {
    if (tokens.size() < table->gram) continue;
    std::int32_t end = table->latest[table->slot(tokens, tokens.size())];
    for (int tried = 0; tried < kTried && end != kNone && best.matched < kMatchMax; ++tried) {
      consider(static_cast<std::size_t>(end));
      end = table->former[static_cast<std::size_t>(end)];
    }
  }
  last_from_ = best.from;
  last_size_ = tokens.size();
  return best;
}

}  // namespace kvern::schedule
