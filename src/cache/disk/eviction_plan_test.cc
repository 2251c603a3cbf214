#include "cache/disk/eviction_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "cache/disk/daily_writes.h"
#include "cache/disk/test_records.h"
#include "cache/eviction.h"

namespace kvern::cache {
namespace {

constexpr std::int64_t kNow_s = 1'800'000'000;
constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
const Key kRoot = root_key(sha256("model"), "");

OwnFile own(RecordKind kind, const Key& key, const Key& parent, float cost_ms = 100, std::int64_t idle_s = 0) {
  return {{kind, key}, parent, cost_ms, 0, kNow_s - idle_s, 4096, false};
}

OtherFile other(OtherFile::What what, std::int64_t idle_s) { return {what, "x", 4096, kNow_s - idle_s, false}; }

EvictionPlan plan(const std::vector<OwnFile>& files, std::uint64_t bytes, const std::vector<Key>& expected = {}) {
  return plan_eviction(files, {}, expected, bytes, kNow_s);
}

TEST(KeepScore, GrowsWithCostAndUseAndFallsWithSizeAndAge) {
  const double base = keep_score(100, 1, 60, 4096);
  EXPECT_GT(keep_score(200, 1, 60, 4096), base);
  EXPECT_GT(keep_score(100, 2, 60, 4096), base);
  EXPECT_LT(keep_score(100, 1, 120, 4096), base);
  EXPECT_LT(keep_score(100, 1, 60, 8192), base);
  EXPECT_EQ(keep_score(100, 1, -1e9, 4096), keep_score(100, 1, 0, 4096)) << "a clock that went back";
  EXPECT_GT(keep_score(100, 0, 0, 0), 0.0) << "no division by zero";
}

TEST(EvictionPlan, FreesNoMoreThanAsked) {
  const std::vector<OwnFile> files = {own(RecordKind::block, sha256("a"), kRoot, 100, 10),
                                      own(RecordKind::block, sha256("b"), kRoot, 100, 5000)};
  EXPECT_EQ(plan(files, 4096).own, (std::vector<std::size_t>{1})) << "the longer idle";
  EXPECT_EQ(plan(files, 4097).own, (std::vector<std::size_t>{1, 0}));
  EXPECT_TRUE(plan(files, 0).own.empty());
}

// A block without the one before it is dead weight.
TEST(EvictionPlan, NeverTakesAParentBeforeItsChildren) {
  std::vector<OwnFile> files;
  std::vector<Key> keys = {kRoot};
  for (int i = 0; i < 50; ++i) {
    const Key parent = keys[static_cast<std::size_t>(i * 7 % static_cast<int>(keys.size()))];
    keys.push_back(sha256(std::to_string(i)));
    // Parents are cheaper and longer idle: the score alone would take them first.
    files.push_back(own(i % 5 == 4 ? RecordKind::tail : RecordKind::block, keys.back(), parent,
                        static_cast<float>(1 + i), 1000 - i));
  }
  const auto order = plan(files, kAll).own;
  ASSERT_EQ(order.size(), files.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t j = i + 1; j < order.size(); ++j) {
      EXPECT_NE(files[order[j]].parent, files[order[i]].id.key) << "a child stayed longer than its parent";
    }
  }
}

TEST(EvictionPlan, ASnapshotHoldsTheRowsOfItsNode) {
  const Key key = sha256("k");
  std::vector<OwnFile> files = {own(RecordKind::block, key, kRoot, 1, 9000),
                                own(RecordKind::snapshot, key, kRoot, 1000, 0)};
  EXPECT_EQ(plan(files, 1).own, (std::vector<std::size_t>{1}));
  files[1].pinned = true;
  EXPECT_TRUE(plan(files, kAll).own.empty());
}

TEST(EvictionPlan, WhatAWaitingWriteBuildsOnStays) {
  const std::vector<OwnFile> files = {own(RecordKind::block, sha256("a"), kRoot),
                                      own(RecordKind::block, sha256("b"), kRoot)};
  EXPECT_EQ(plan(files, kAll, {sha256("a")}).own, (std::vector<std::size_t>{1}));
}

TEST(EvictionPlan, UselessFilesGoFirstAndOtherModelsByTheSameScore) {
  const std::vector<OwnFile> files = {own(RecordKind::block, sha256("a"), kRoot, 0, 100'000),
                                      own(RecordKind::block, sha256("b"), kRoot, 100, 50)};
  std::vector<OtherFile> others = {other(OtherFile::What::record, 5000), other(OtherFile::What::record, 10),
                                   other(OtherFile::What::useless, 0)};
  const auto first = plan_eviction(files, others, {}, 4096, kNow_s);
  EXPECT_EQ(first.others, (std::vector<std::size_t>{2}));
  EXPECT_TRUE(first.own.empty());
  const auto three = plan_eviction(files, others, {}, 3 * 4096, kNow_s);
  EXPECT_EQ(three.own, (std::vector<std::size_t>{0})) << "free to compute again";
  EXPECT_EQ(three.others, (std::vector<std::size_t>{2, 0})) << "the other model's oldest";
  others[0].pinned = true;
  EXPECT_EQ(plan_eviction(files, others, {}, kAll, kNow_s).others, (std::vector<std::size_t>{2, 1}));
}

TEST(DailyWrites, ForgetsAfterADay) {
  DailyWrites writes;
  writes.add(kNow_s, 100);
  writes.add(kNow_s + 3600, 50);
  EXPECT_EQ(writes.last_24h(kNow_s + 3600), 150U);
  EXPECT_EQ(writes.last_24h(kNow_s + 24 * 3600), 50U);
  EXPECT_EQ(writes.last_24h(kNow_s + 26 * 3600), 0U);
  EXPECT_EQ(writes.last_24h(kNow_s - 3600), 150U) << "a clock that went back gives no second budget";
}

TEST(DailyWrites, SurviveARestartAndNonsense) {
  DailyWrites writes;
  writes.add(kNow_s, 100);
  EXPECT_EQ(DailyWrites::parse(writes.to_text(), kNow_s).last_24h(kNow_s), 100U);
  EXPECT_EQ(DailyWrites::parse(writes.to_text(), kNow_s - 400'000).last_24h(kNow_s - 400'000), 0U)
      << "written by a clock that was days ahead";
  EXPECT_EQ(DailyWrites::parse("garbage", kNow_s).last_24h(kNow_s), 0U);
  EXPECT_EQ(DailyWrites::parse("500000 18446744073709551615\n", kNow_s).last_24h(kNow_s), 0U);
}

}  // namespace
}  // namespace kvern::cache
