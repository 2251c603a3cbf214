#include "chat/template/prepared_value.h"

#include <nlohmann/json.hpp>
#include <string>

#include "chat/template/rounds.h"
#include "chat/template/values.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kMemberBytes = 1'000;  // a name, its value, and their places in the object
constexpr std::size_t kItemBytes = 500;
constexpr std::size_t kRoundsMax = 10;  // of all loops: as the last message and as not, before a question and behind it

std::size_t bytes_of(const Json& json) {
  if (json.is_string()) return json.get_ref<const std::string&>().size();
  if (!json.is_structured()) return 0;
  std::size_t bytes = 0;
  for (const Json& item : json) bytes += (json.is_object() ? kMemberBytes : kItemBytes) + bytes_of(item);
  return bytes;
}

}  // namespace

PreparedValue::PreparedValue(const Json& document, Room room)
    : value_(input_value(document, heights_)),
      room_(room),
      bytes_(bytes_of(document) + room.text_bytes + room.round_bytes) {}

std::optional<int> PreparedValue::height_of(const jinja::value& container) const {
  const auto known = heights_.find(container.get());
  return known == heights_.end() ? std::nullopt : std::optional(known->second);
}

jinja::value PreparedValue::json_of(const jinja::value& container, const JsonLayout& layout) const {
  const std::pair key(container.get(), layout);
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = texts_.find(key); known != texts_.end()) return known->second;
  }
  const std::string text = value_to_json_text(container, layout);
  jinja::value made = mk_val<jinja::value_string>(text);
  const std::lock_guard lock(mutex_);
  if (text_bytes_ + text.size() > room_.text_bytes) return made;
  if (texts_.emplace(key, made).second) text_bytes_ += text.size();
  return made;
}

std::vector<std::shared_ptr<const Round>> PreparedValue::rounds_of(std::uint64_t loop) const {
  std::vector<std::shared_ptr<const Round>> rounds;
  const std::lock_guard lock(mutex_);
  for (const KeptRound& kept : rounds_)
    if (kept.loop == loop) rounds.push_back(kept.round);
  return rounds;
}

void PreparedValue::keep_round(std::uint64_t loop, std::shared_ptr<const Round> round) const {
  const std::size_t bytes = round->bytes();
  if (bytes > room_.round_bytes) return;
  const std::lock_guard lock(mutex_);
  rounds_.insert(rounds_.begin(), {loop, std::move(round)});
  round_bytes_ += bytes;
  while (round_bytes_ > room_.round_bytes || rounds_.size() > kRoundsMax) {
    round_bytes_ -= rounds_.back().round->bytes();
    rounds_.pop_back();
  }
}

}  // namespace kvern::chat
