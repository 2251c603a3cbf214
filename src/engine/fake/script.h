// What a fake model is and says: the file behind `kvern serve --model fake:SCRIPT.json`.
//
//   {"context": 65536, "dialect": "qwen3-coder", "rules": [
//     {"when": "read (\\S+)", "say": "I read {{1}}.", "times": 1},
//     {"say": "hello"}]}
//
// Thread: any; a plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/fake/kv.h"
#include "engine/fake/pattern.h"

namespace kvern::engine {

struct Rule {
  std::optional<Pattern> when;      // must be found in the last turn; unset: always
  std::optional<Pattern> anywhere;  // must be found in the whole prompt: tells an agent's side requests apart
  std::string say;                  // {{1}} is the text of when's first group, {{0}} of all it matched
  std::int32_t times = 0;           // generations it may speak in; 0: any number
};

struct Script {
  std::int32_t context = 65536;
  std::int32_t cells = 0;  // 0: as many as context
  std::int32_t sequences = 16;
  bool rows_in_parallel = true;  // no field of a script: tests say it
  std::int32_t batch = 2048;
  Keeps keeps = Keeps::rows;
  std::int32_t window = 0;               // for "sliding_window"
  std::string dialect;                   // as written: the engine gives it no meaning
  std::string chat_template;             // the text of the file "template" names
  double tokens_per_second = 0;          // 0: as fast as possible
  double prefill_tokens_per_second = 0;  // 0: as fast as possible
  std::vector<Rule> rules;
};

// `folder` is what a relative "template" is relative to. Code::invalid names the field.
Result<Script> parse_script(std::string_view json_text, const std::string& folder);

Result<Script> read_script(const std::string& path);

// What rules look at.
struct Heard {
  std::string turn;    // the prompt from the last user or tool message on
  std::string prompt;  // all of it; may be left empty where no rule has an `anywhere`
};

// What `rule` says to it, or nothing when it does not match.
std::optional<std::string> answer(const Rule& rule, const Heard& heard);

}  // namespace kvern::engine
