// One item of an answer, while it is written and when it is done. Pure; thread: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/custom_input.h"
#include "api/openai_responses.h"

namespace kvern::api {

struct ResponsesEncoder::Item {
  enum class Kind { message, reasoning, call };

  Kind kind = Kind::message;
  std::string id = {};
  std::string text = {};  // words, arguments; of a custom call its input
  std::string status = "in_progress";
  std::string call_id = {};
  CallName call = {};
  CustomInput input = {};  // of a custom call: its arguments go through here

  bool has_content() const { return kind != Kind::call; }

  // "response.X.delta" carries its text and "response.X.done" the whole, as the member `field`. Empty
  // name: an item that is shown whole only.
  struct TextEvent {
    std::string_view name;
    std::string_view field;
  };
  TextEvent text_event() const;

  std::string part(std::string_view words) const;  // the content part that holds its words
  // announced: without its words. sealed: reasoning also as encrypted_content.
  std::string json(bool announced, bool sealed) const;
};

}  // namespace kvern::api
