#include "cache/cell_ledger.h"

#include <algorithm>

#include "base/check.h"

namespace kvern::cache {

void CellLedger::Account::append(std::int32_t count) {
  while (count > 0) {
    // Only a run nobody shares, and used to its end, can grow.
    const bool can_grow = !parts_.empty() && parts_.back().run.use_count() == 1 &&
                          parts_.back().length == parts_.back().run->cells && parts_.back().length < kRun;
    if (!can_grow) parts_.push_back({std::make_shared<Run>(ledger_), 0});
    Part& last = parts_.back();
    const std::int32_t step = std::min(count, kRun - last.length);
    last.run->cells += step;
    last.length += step;
    ledger_->used_ += step;
    length_ += step;
    count -= step;
  }
}

void CellLedger::Account::share(const Account& from, std::int32_t end) {
  CHECK(length_ == 0 && end <= from.length_);
  for (const Part& part : from.parts_) {
    if (end == 0) break;
    const std::int32_t step = std::min(end, part.length);
    parts_.push_back({part.run, step});
    length_ += step;
    end -= step;
  }
}

void CellLedger::Account::truncate(std::int32_t end) {
  while (length_ > end) {
    Part& last = parts_.back();
    const std::int32_t step = std::min(length_ - end, last.length);
    last.length -= step;
    length_ -= step;
    if (last.run.use_count() == 1) {
      ledger_->used_ -= last.run->cells - last.length;
      last.run->cells = last.length;
    }
    if (last.length == 0) parts_.pop_back();
  }
}

}  // namespace kvern::cache
