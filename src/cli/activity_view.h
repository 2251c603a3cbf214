// What a server does, as lines for a person: from the events of docs/events.md, without a terminal or a server.
// Thread: main.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvern::cli {

// Columns a terminal gives the text: characters, for none of ours is wide. cut() keeps whole ones, and colours.
std::string cut(std::string_view text, std::size_t columns);

class ActivityView {
 public:
  struct Style {
    std::size_t columns = 80;  // of the longest line
    std::size_t rows = 24;     // of lines() at most
    bool colour = false;
  };

  // Events and fields that are unknown are passed over. Code::invalid where the data is no JSON object.
  Status take(std::string_view event, std::string_view data, std::int64_t now_us);

  // The state now: a line for the server and one for each request that runs or waits.
  std::vector<std::string> lines(std::int64_t now_us, const Style& style) const;
  // What happened since the last call, a line each: requests that came, went on to another state, or ended.
  std::vector<std::string> take_news();
  // The same, but only of those that ended.
  std::vector<std::string> take_ends();

  bool idle() const { return requests_.empty(); }
  bool server_stopped() const { return stopped_; }

 private:
  struct Request {
    std::string session;
    std::string state;
    std::string why;
    double prompt = 0, reused = 0, computed = 0, completion = 0, tokens_max = 0;
    double age_s = 0, tokens_per_s = 0;
    std::int64_t seen_us = 0;  // when this was told
  };
  struct News {
    std::string line;
    bool is_end = false;
  };

  void add_news(std::string line, bool is_end);
  void forget_unless(const std::vector<std::string>& ids);
  std::string server_line(bool colour) const;
  std::string request_line(const std::string& id, const Request& request, std::int64_t now_us, bool colour) const;

  std::string model_;
  std::map<std::string, double> totals_;
  std::map<std::string, Request> requests_;
  std::vector<News> news_;
  bool stopped_ = false;
};

}  // namespace kvern::cli
