// Token bytes -> text for the client: whole UTF-8 sequences, nothing after a stop string.
//
// Holds back the bytes at the end that may still become a character or a stop string; finish()
// lets go of them. Thread: engine.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvern::schedule {

class TextAssembler {
 public:
  explicit TextAssembler(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // Appends what may be shown to out. When a stop string is complete, the text before it is
  // appended and the stop string returned; nothing must be fed after that.
  std::optional<std::string> feed(std::string_view bytes, std::string& out);

  // What was held back, invalid bytes as U+FFFD.
  void finish(std::string& out);

 private:
  std::size_t possible_stop() const;

  std::vector<std::string> stops_;
  std::string held_;
};

}  // namespace kvern::schedule
