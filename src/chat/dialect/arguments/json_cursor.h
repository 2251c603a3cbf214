// Steps through valid JSON text, a token at a time: for writing it in another style. Nothing here builds
// a document, so numbers stay as they are. Thread: one.
#pragma once

#include <string>
#include <string_view>

namespace kvern::chat {

class JsonCursor {
 public:
  explicit JsonCursor(std::string_view valid) : text_(valid) {}

  // The first character of the next token; 0 at the end.
  char peek();
  // Whether the next token is this bracket, comma or colon; then it is behind us.
  bool take(char token);
  std::string take_text();         // a string, unescaped
  std::string_view take_scalar();  // a number, true, false or null

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace kvern::chat
