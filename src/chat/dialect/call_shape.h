// The parts of a call, found in the calls of a probe. Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "chat/dialect/dialect.h"

namespace kvern::chat {

// The fields of a record of these names, with their texts.
struct CallShape {
  bool parallel = true;
  std::string section_begin;
  std::string section_end;
  std::string call_begin;
  std::string name_end;
  std::string call_end;
  std::string call_separator;
  IdPlace id_place = IdPlace::none;
  IdForm id_form = IdForm::nine;
  std::int32_t id_first = 0;
  std::string id_mark;
  ArgumentStyle style = ArgumentStyle::json;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  std::string parameter_begin;
  TypeWord type_word = TypeWord::none;
  std::string type_begin;
  std::string parameter_name_end;
  std::string parameter_end;
};

// one: the first of probe_calls(), two: both, as ShownCalls::calls. A template that wrote the first only
// (or nothing) for both is not parallel. nullopt when the texts around name and arguments are not fixed.
std::optional<CallShape> shape_of(std::string_view one, std::string_view two);

}  // namespace kvern::chat
