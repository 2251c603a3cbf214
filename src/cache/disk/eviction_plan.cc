#include "cache/disk/eviction_plan.h"

#include <queue>
#include <unordered_map>

#include "cache/eviction.h"

namespace kvern::cache {
namespace {

struct Choice {
  double score = 0;
  bool own = false;
  std::size_t index = 0;
};

struct LeavesLater {
  bool operator()(const Choice& a, const Choice& b) const {
    if (a.score != b.score) return a.score > b.score;
    return a.index > b.index;  // the same plan for the same state
  }
};

class Planner {
 public:
  Planner(std::span<const OwnFile> own, std::span<const OtherFile> others, std::span<const Key> expected,
          std::int64_t now_s)
      : own_(own), others_(others), now_s_(now_s) {
    for (const Key& key : expected) ++dependents_[key];
    for (std::size_t i = 0; i < own_.size(); ++i) {
      by_id_.emplace(own_[i].id, i);
      for_each_support(own_[i], [this](const Key& key) { ++dependents_[key]; });
    }
    for (std::size_t i = 0; i < own_.size(); ++i) offer_own(i);
    for (std::size_t i = 0; i < others_.size(); ++i) offer_other(i);
  }

  EvictionPlan run(std::uint64_t bytes_to_free) {
    EvictionPlan plan;
    while (plan.bytes < bytes_to_free && !choices_.empty()) {
      const Choice choice = choices_.top();
      choices_.pop();
      if (!choice.own) {
        plan.others.push_back(choice.index);
        plan.bytes += others_[choice.index].bytes;
        continue;
      }
      plan.own.push_back(choice.index);
      plan.bytes += own_[choice.index].bytes;
      for_each_support(own_[choice.index], [this](const Key& key) { release(key); });
    }
    return plan;
  }

 private:
  // The keys whose rows a record needs: those before it, and a snapshot those of its own node.
  template <typename Visit>
  static void for_each_support(const OwnFile& file, Visit visit) {
    if (file.id.kind == RecordKind::turn) return;
    visit(file.parent);
    if (file.id.kind == RecordKind::snapshot) visit(file.id.key);
  }

  static bool holds_rows(RecordKind kind) { return kind == RecordKind::block || kind == RecordKind::tail; }

  void offer_own(std::size_t index) {
    const OwnFile& file = own_[index];
    if (file.pinned) return;
    if (holds_rows(file.id.kind)) {
      const auto found = dependents_.find(file.id.key);
      if (found != dependents_.end() && found->second > 0) return;
    }
    const double idle_s = static_cast<double>(now_s_ - file.used_s);
    choices_.push({keep_score(file.cost_ms, file.hits, idle_s, file.bytes), true, index});
  }

  // What another model's record cost is in its header; our own mean is guess enough.
  void offer_other(std::size_t index) {
    const OtherFile& file = others_[index];
    if (file.pinned) return;
    if (file.what == OtherFile::What::useless) {
      choices_.push({-1.0, false, index});
      return;
    }
    const double idle_s = static_cast<double>(now_s_ - file.used_s);
    const double cost_ms = mean_cost_ms_per_byte() * static_cast<double>(file.bytes);
    choices_.push({keep_score(cost_ms, 0, idle_s, file.bytes), false, index});
  }

  double mean_cost_ms_per_byte() {
    if (mean_ < 0) {
      double cost_ms = 0;
      double bytes = 0;
      for (const OwnFile& file : own_) {
        cost_ms += file.cost_ms;
        bytes += static_cast<double>(file.bytes);
      }
      mean_ = bytes > 0 && cost_ms > 0 ? cost_ms / bytes : 1e-6;
    }
    return mean_;
  }

  void release(const Key& key) {
    if (--dependents_[key] > 0) return;
    for (const RecordKind kind : {RecordKind::block, RecordKind::tail}) {
      const auto found = by_id_.find({kind, key});
      if (found != by_id_.end()) offer_own(found->second);
    }
  }

  std::span<const OwnFile> own_;
  std::span<const OtherFile> others_;
  std::int64_t now_s_;
  double mean_ = -1;
  std::unordered_map<RecordId, std::size_t, RecordIdHasher> by_id_;
  std::unordered_map<Key, std::size_t, KeyHasher> dependents_;
  std::priority_queue<Choice, std::vector<Choice>, LeavesLater> choices_;
};

}  // namespace

EvictionPlan plan_eviction(std::span<const OwnFile> own, std::span<const OtherFile> others,
                           std::span<const Key> expected, std::uint64_t bytes_to_free, std::int64_t now_s) {
  return Planner(own, others, expected, now_s).run(bytes_to_free);
}

}  // namespace kvern::cache
