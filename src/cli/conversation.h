// The client's half of a chat: history, request bodies, reading the stream. No sockets, no
// terminal. Thread: main.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvern::cli {

struct TurnUsage {
  std::int64_t prompt_tokens = 0;
  std::int64_t reused_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::optional<double> ttft_ms;  // as the server measured it
};

// One piece of an answer.
struct Piece {
  std::string text;
  std::string reasoning;
  std::optional<TurnUsage> usage;
  bool done = false;  // [DONE]
};

// Reads one event of the stream. Code::failed for an error the server sent within it.
Result<Piece> read_piece(std::string_view data);

// What an answer other than 200 says, in words for a person.
Error refused(int status, std::string_view body);

class Conversation {
 public:
  explicit Conversation(std::string system = {}) : system_(std::move(system)) {}

  void set_system(std::string text) { system_ = std::move(text); }
  void reset() { turns_.clear(); }
  void ask(std::string question) { turns_.push_back({"user", std::move(question)}); }
  // What was heard of the answer, also when it was stopped half-way; with nothing heard, the
  // question is forgotten as well, so that roles keep alternating.
  void answered(std::string answer);

  struct Options {
    std::string model;
    std::optional<std::int64_t> tokens_max;
    std::optional<double> temperature;
  };
  std::string request_body(const Options& options) const;

 private:
  struct Turn {
    std::string role;
    std::string content;
  };
  std::string system_;
  std::vector<Turn> turns_;
};

// "prompt=120 reused=96 ttft=310ms 41.2 tok/s". decode_s: first piece to last.
std::string usage_line(const TurnUsage& usage, double measured_ttft_s, double decode_s);

}  // namespace kvern::cli
