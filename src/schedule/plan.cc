#include "schedule/plan.h"

#include <algorithm>

namespace kvern::schedule {
namespace {

// What a step still has room for.
class Room {
 public:
  Room(const PlanLimits& limits) : limits_(limits), tokens_(limits.batch) {}

  std::int32_t tokens() const { return tokens_; }
  void take(std::int32_t tokens) { tokens_ -= tokens; }
  // From now on others wait for what is taken.
  void bound() { bounded_ = true; }

  // How many of these tokens fit, and takes them.
  std::int32_t take(std::int32_t wanted, const PlanItem& item) {
    wanted = std::min(wanted, tokens_);
    if (bounded_ && wanted > 0) {
      wanted = std::min(wanted, affordable(item));
      us_ += wanted * item.chunk.token_us.value_or(0);
      begun_ = begun_ || wanted > 0;
    }
    tokens_ -= wanted;
    return wanted;
  }

 private:
  std::int32_t affordable(const PlanItem& item) const {
    if (!limits_.beside_us) return 0;
    const std::int32_t least = begun_ ? 0 : item.chunk.least;
    if (!item.chunk.token_us) return least;
    const std::int32_t most = std::min(tokens_, item.chunk.most);
    if (*item.chunk.token_us <= 0) return most;
    const double left = std::max(0.0, (*limits_.beside_us - us_) / *item.chunk.token_us);
    return std::max(least, left < most ? static_cast<std::int32_t>(left) : most);
  }

  const PlanLimits& limits_;
  std::int32_t tokens_;
  double us_ = 0;         // taken of beside_us
  bool bounded_ = false;  // somebody decodes beside
  bool begun_ = false;    // somebody got something of it
};

void share_prefills(std::span<const PlanItem> items, bool beside, Room& room, Plan& plan) {
  plan.order.clear();
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].prefills()) plan.order.push_back(i);
  }
  std::sort(plan.order.begin(), plan.order.end(),
            [&](std::size_t a, std::size_t b) { return goes_before(items[a].claim, items[b].claim); });
  bool ends = false;   // somebody's prompt ends in this step
  bool saves = false;  // somebody before the others waits until there is time for a batch
  for (const std::size_t i : plan.order) {
    const std::int32_t pending = items[i].pending;
    if (room.tokens() == 0) return;
    if (!beside && ends && pending > room.tokens()) continue;
    if (saves && !items[i].at_once) continue;
    const std::int32_t tokens = room.take(pending, items[i]);
    if (tokens == 0) {
      if (items[i].chunk.most > 0 || items[i].claim.passed >= kPassedMax) return;
      saves = true;
      continue;
    }
    plan.shares.push_back({i, tokens});
    ends = ends || tokens == items[i].claim.work;
  }
}

}  // namespace

void make_plan(std::span<const PlanItem> items, const PlanLimits& limits, Plan& plan) {
  plan.shares.clear();
  Room room(limits);
  for (std::size_t i = 0; i < items.size() && room.tokens() > 0; ++i) {
    if (!items[i].decodes()) continue;
    plan.shares.push_back({i, 1});
    room.take(1);
  }
  const std::size_t decoding = plan.shares.size();
  // What a lone stream's step takes is not measured while something else is in it, however often it is forced.
  const bool finds_out = decoding == 1 && !limits.beside_us &&
                         std::any_of(items.begin(), items.end(), [](const auto& item) { return item.prefills(); });
  if (decoding > 1 || finds_out) room.bound();
  for (PlanShare& share : plan.shares) {
    const PlanItem& item = items[share.item];
    if (item.pending > 1) share.tokens += room.take(item.pending - 1, item);
  }
  if (decoding == 1) room.bound();
  share_prefills(items, decoding > 0, room, plan);
  plan.tokens = 0;
  for (const PlanShare& share : plan.shares) plan.tokens += share.tokens;
}

}  // namespace kvern::schedule
