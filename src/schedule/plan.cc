#include "schedule/plan.h"

#include <algorithm>

namespace kvern::schedule {

void make_plan(std::span<const PlanItem> items, const PlanLimits& limits, Plan& plan) {
  plan.shares.clear();
  std::int32_t room = limits.batch;
  for (std::size_t i = 0; i < items.size() && room > 0; ++i) {
    if (!items[i].decoding || items[i].parked || items[i].pending <= 0) continue;
    plan.shares.push_back({i, 1});
    --room;
  }
  if (!plan.shares.empty()) room = std::min(room, limits.prefill_beside);
  for (PlanShare& share : plan.shares) {
    const std::int32_t tokens = std::min(items[share.item].pending - 1, room);
    share.tokens += tokens;
    room -= tokens;
  }
  for (std::size_t i = 0; i < items.size() && room > 0; ++i) {
    if (items[i].decoding || items[i].parked || items[i].pending <= 0) continue;
    plan.shares.push_back({i, std::min(items[i].pending, room)});
    room -= plan.shares.back().tokens;
  }
  plan.tokens = 0;
  for (const PlanShare& share : plan.shares) plan.tokens += share.tokens;
}

}  // namespace kvern::schedule
