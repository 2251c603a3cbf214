// What `kvern cache` prints about models and records: tables for people, JSON for programs.
// Pure but for the time of day; thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "cli/cache_directory.h"

namespace kvern::cli {

// Columns as wide as their widest cell; two spaces between. Numbers stand at the right.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string_view title;
    Align align = Align::left;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // fd: the title line is dim where it shows colours.
  std::string text(int fd) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "5 s", "12 min", "3 h", "9 d": how long ago, for people.
std::string human_age(std::int64_t seconds);

std::string models_text(const std::vector<StoredModel>& models, std::int64_t now_s, int fd);
Json model_json(const StoredModel& model);

std::string records_text(const std::vector<StoredRecord>& records, std::int64_t now_s, int fd);
Json record_json(const StoredRecord& record);

// What `show` knows beyond the record itself.
struct RecordDetail {
  std::string verdict;  // "good", or what is wrong with its bytes
  std::string text;     // what its tokens stand for; empty when no server could tell
};
std::string record_text(const FoundRecord& found, const RecordDetail& detail, std::int64_t now_s);

// Of the server's GET /admin/cache and /admin/cache/records.
std::string server_text(const Json& report);
std::string held_records_text(const Json& records, int fd);

}  // namespace kvern::cli
