// What both turn parsers share: whole characters in, events out. Thread: one.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "chat/dialect/call_reader.h"
#include "core/event.h"

namespace kvern::chat {

// Pieces of bytes as an Input of whole UTF-8 sequences; invalid ones become U+FFFD.
class InputBuffer {
 public:
  void add(std::string_view bytes) {
    bytes_ += bytes;
    const std::size_t whole = bytes_.size() - utf8_incomplete_suffix(bytes_);
    input.text += to_valid_utf8(std::string_view(bytes_).substr(0, whole));
    bytes_.erase(0, whole);
  }

  // What was cut is as if more were to come.
  void close(TurnEnd end) {
    input.text += to_valid_utf8(bytes_);
    bytes_.clear();
    input.last = end == TurnEnd::own;
  }

  void forget_consumed() {
    input.text.erase(0, input.at);
    input.at = 0;
  }

  Input input;

 private:
  std::string bytes_;  // a sequence whose end is still to come
};

// Appends events; pieces of one kind that come in one feed are one event.
class EventWriter {
 public:
  // Events go to the end of out, until the next begin(). None that is there is changed.
  void begin(std::vector<Event>& out) {
    out_ = &out;
    first_new_ = out.size();
  }

  template <typename TextLike>
  void say(std::string_view text) {
    if (text.empty()) return;
    if (auto* last = last_new<TextLike>()) {
      last->text += text;
    } else {
      out_->push_back(TextLike{std::string(text)});
    }
  }

  void call_start(std::string id, std::string_view name) {
    out_->push_back(CallStartEvent{calls_++, std::move(id), std::string(name)});
  }

  void call_args(std::string_view json) {
    if (json.empty()) return;
    if (auto* last = last_new<CallArgsEvent>()) {
      last->text += json;
    } else {
      out_->push_back(CallArgsEvent{calls_ - 1, std::string(json)});
    }
  }

  void call_end(std::string_view written_id) { out_->push_back(CallEndEvent{calls_ - 1, std::string(written_id)}); }

  std::int32_t calls() const { return calls_; }

 private:
  template <typename Kind>
  Kind* last_new() {
    return out_->size() > first_new_ ? std::get_if<Kind>(&out_->back()) : nullptr;
  }

  std::vector<Event>* out_ = nullptr;
  std::size_t first_new_ = 0;
  std::int32_t calls_ = 0;
};

}  // namespace kvern::chat
