// A request's body, read in parts where a memory of earlier requests knows most of them.
//
// An agent sends the same tools and messages with every request. Those large parts are left as text, and what was
// made of the same text before is used again. What is left has an empty value of its kind in a part's place: where
// it and every part are JSON, the body is, and says the same. Where anything is not as it should be the body is
// read once more as a whole, so that errors are those of one reading. Thread: any.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/fields.h"
#include "base/json_outline.h"
#include "base/text_memory.h"
#include "core/message.h"
#include "core/tool.h"

namespace kvern::api {

// The members of the body that an API may leave as text. It must read each of them.
struct PartNames {
  std::span<const std::string_view> lists = {};     // as a whole, where they are lists
  std::span<const std::string_view> of_items = {};  // item by item, where they are lists of objects
};

class RequestBody {
 public:
  static Result<RequestBody> whole(std::string_view text);
  // None: it must be read as a whole. text and memory must outlive it.
  static std::optional<RequestBody> in_parts(std::string_view text, const PartNames& names, TextMemory& memory);

  // All of it but what was left as text. Must not outlive the body.
  Fields fields() const;

  TextMemory* memory() const { return memory_; }
  // The text of a member that was left as one; "" for any other.
  std::string_view list_text(std::string_view name) const;
  // The texts of the items of a member that was left as such; none for any other.
  std::span<const std::string_view> item_texts(std::string_view name) const;

 private:
  explicit RequestBody(Json document);

  std::shared_ptr<const Json> document_;
  TextMemory* memory_ = nullptr;
  std::vector<JsonMember> parts_;
};

// What read() makes of a body: in parts first, where there is a memory.
template <typename Read>
auto read_body(std::string_view text, const PartNames& names, TextMemory* memory, Read read)
    -> decltype(read(std::declval<const RequestBody&>())) {
  if (memory != nullptr) {
    if (const auto body = RequestBody::in_parts(text, names, *memory))
      if (auto request = read(*body)) return request;
  }
  TRY(const RequestBody body, RequestBody::whole(text));
  return read(body);
}

// About what they take in a memory.
std::size_t bytes_of(const Message& message);
std::size_t bytes_of(std::span<const Message> messages);
std::size_t bytes_of(const Tool& tool);
std::size_t bytes_of(std::span<const Tool> tools);

}  // namespace kvern::api
