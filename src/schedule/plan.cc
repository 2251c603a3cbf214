#include "schedule/plan.h"

#include <algorithm>

namespace kvern::schedule {

void make_plan(std::span<const PlanItem> items, const PlanLimits& limits, Plan& plan) {
  plan.shares.clear();
  plan.tokens = 0;
  const auto give = [&](std::size_t item, std::int32_t tokens) {
    if (tokens <= 0) return;
    plan.shares.push_back({item, tokens});
    plan.tokens += tokens;
  };
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].decoding && !items[i].parked) give(i, std::min(items[i].pending, limits.batch - plan.tokens));
  }
  const bool beside = plan.tokens > 0;
  std::int32_t room = limits.batch - plan.tokens;
  if (beside) room = std::min(room, limits.prefill_beside);
  for (std::size_t i = 0; i < items.size() && room > 0; ++i) {
    if (items[i].decoding || items[i].parked) continue;
    const std::int32_t tokens = std::min(items[i].pending, room);
    give(i, tokens);
    room -= tokens;
  }
}

}  // namespace kvern::schedule
