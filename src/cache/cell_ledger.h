// Counts the device cells sequences use, shared ones once.
//
// libllama shares cells between sequences but does not say how many are in use. The ledger keeps
// runs of at most kRun cells; a fork shares whole runs. A run counts until its last owner drops it,
// so after forking inside a run and dropping the parent up to kRun - 1 cells are counted that are
// really free: too many, never too few. Thread: engine.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace kvern::cache {

class CellLedger {
 public:
  static constexpr std::int32_t kRun = 256;

  class Account;

  explicit CellLedger(std::int32_t cells) : cells_(cells) {}

  std::int32_t used() const { return used_; }
  std::int32_t free() const { return cells_ - used_; }

 private:
  std::int32_t cells_;
  std::int32_t used_ = 0;
};

// What one sequence owns. Empty at first; give() everything back before the ledger dies.
class CellLedger::Account {
 public:
  explicit Account(CellLedger& ledger) : ledger_(&ledger) {}

  std::int32_t length() const { return length_; }
  void append(std::int32_t count);
  // Shares the first `end` cells of another account. This account must be empty.
  void share(const Account& from, std::int32_t end);
  void truncate(std::int32_t end);
  void clear() { truncate(0); }

 private:
  struct Run {
    CellLedger* ledger;
    std::int32_t cells = 0;
    explicit Run(CellLedger* l) : ledger(l) {}
    ~Run() { ledger->used_ -= cells; }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
  };
  struct Part {
    std::shared_ptr<Run> run;
    std::int32_t length;  // cells of the run this sequence uses, from its start
  };

  CellLedger* ledger_;
  std::vector<Part> parts_;
  std::int32_t length_ = 0;
};

}  // namespace kvern::cache
