// What /v1/responses has answered and may be asked about again: previous_response_id, item references,
// GET and DELETE. In memory only; bounded by answers and by bytes, the longest unused go first.
//
// Thread: any; one mutex.
#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/openai_responses.h"
#include "base/limits.h"

namespace kvern::app {

struct StoredResponse {
  std::string id;
  std::string salt;                  // whose it is: nobody else finds it
  std::string body;                  // the response object
  std::vector<api::ItemText> items;  // the whole conversation, the answer's own items last
  std::size_t output = 0;            // of items: where the answer's own begin
};

class ResponseStore {
 public:
  struct Limits {
    std::size_t responses = limits::kStoredResponses;
    std::size_t bytes = limits::kStoredResponseBytes;
  };
  ResponseStore() = default;
  explicit ResponseStore(Limits limits) : limits_(limits) {}

  // One that is larger than all that may be kept is not kept.
  void put(StoredResponse response);
  // Null when it is unknown. Shared: what is evicted meanwhile stays readable.
  std::shared_ptr<const StoredResponse> find(std::string_view id, std::string_view salt);
  bool erase(std::string_view id, std::string_view salt);

  std::size_t size() const;
  std::size_t bytes() const;

 private:
  struct Entry {
    std::shared_ptr<const StoredResponse> response;
    std::size_t bytes = 0;
  };
  using Entries = std::list<Entry>;

  void drop(Entries::iterator entry);

  const Limits limits_;
  mutable std::mutex mutex_;
  Entries entries_;  // last used first
  std::unordered_map<std::string, Entries::iterator> places_;
  std::size_t bytes_ = 0;
};

// The store as one client sees it.
class StoredFor final : public api::StoredItems {
 public:
  StoredFor(ResponseStore& store, std::string salt) : store_(store), salt_(std::move(salt)) {}
  std::optional<std::vector<api::ItemText>> conversation(std::string_view response_id) const override;
  api::ItemText item(std::string_view item_id) const override;

 private:
  ResponseStore& store_;
  const std::string salt_;
};

}  // namespace kvern::app
