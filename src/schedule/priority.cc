#include "schedule/priority.h"

#include <tuple>

namespace kvern::schedule {

bool goes_before(const Claim& a, const Claim& b) {
  const bool a_due = a.passed >= kPassedMax;
  const bool b_due = b.passed >= kPassedMax;
  if (a_due != b_due) return a_due;
  if (a_due) return a.arrival < b.arrival;
  return std::tie(a.priority, a.debt, a.work, a.arrival) < std::tie(b.priority, b.debt, b.work, b.arrival);
}

}  // namespace kvern::schedule
