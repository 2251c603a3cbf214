#include "app/response_store.h"

#include <charconv>
#include <iterator>
#include <utility>

namespace kvern::app {
namespace {

// Shared items count for every conversation they are in: the bound then holds whichever goes first.
std::size_t bytes_of(const StoredResponse& response) {
  std::size_t bytes = sizeof response + response.id.size() + response.salt.size() + response.body.size();
  for (const api::ItemText& item : response.items) bytes += sizeof item + sizeof *item + item->size();
  return bytes;
}

// The number at the end of "msg_TAG_3".
std::optional<std::size_t> number_of_item(std::string_view id) {
  const std::string_view digits = id.substr(id.rfind('_') + 1);
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

}  // namespace

void ResponseStore::put(StoredResponse response) {
  const std::size_t bytes = bytes_of(response);
  if (bytes > limits_.bytes || limits_.responses == 0) return;
  const std::lock_guard lock(mutex_);
  if (const auto known = places_.find(response.id); known != places_.end()) drop(known->second);
  while (!entries_.empty() && (entries_.size() >= limits_.responses || bytes_ + bytes > limits_.bytes))
    drop(std::prev(entries_.end()));
  entries_.push_front({std::make_shared<const StoredResponse>(std::move(response)), bytes});
  places_.emplace(entries_.front().response->id, entries_.begin());
  bytes_ += bytes;
}

std::shared_ptr<const StoredResponse> ResponseStore::find(std::string_view id, std::string_view salt) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(std::string(id));
  if (found == places_.end() || found->second->response->salt != salt) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->response;
}

bool ResponseStore::erase(std::string_view id, std::string_view salt) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(std::string(id));
  if (found == places_.end() || found->second->response->salt != salt) return false;
  drop(found->second);
  return true;
}

std::size_t ResponseStore::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::size_t ResponseStore::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

void ResponseStore::drop(Entries::iterator entry) {
  bytes_ -= entry->bytes;
  places_.erase(entry->response->id);
  entries_.erase(entry);
}

std::optional<std::vector<api::ItemText>> StoredFor::conversation(std::string_view response_id) const {
  const auto found = store_.find(response_id, salt_);
  if (!found) return std::nullopt;
  return found->items;
}

api::ItemText StoredFor::item(std::string_view item_id) const {
  const std::string_view tag = api::tag_of_item(item_id);
  const auto number = number_of_item(item_id);
  if (tag.empty() || !number) return nullptr;
  const auto found = store_.find(std::string(api::kResponsePrefix) + std::string(tag), salt_);
  if (!found || *number >= found->items.size() - found->output) return nullptr;
  return found->items[found->output + *number];
}

}  // namespace kvern::app
