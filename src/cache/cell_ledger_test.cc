#include "cache/cell_ledger.h"

#include <gtest/gtest.h>

#include <random>

namespace kvern::cache {
namespace {

TEST(CellLedger, SharedCellsCountOnce) {
  CellLedger ledger(10'000);
  CellLedger::Account parent(ledger);
  parent.append(1000);
  CellLedger::Account child(ledger);
  child.share(parent, 600);
  EXPECT_EQ(ledger.used(), 1000);
  child.append(50);
  EXPECT_EQ(ledger.used(), 1050);
  EXPECT_EQ(child.length(), 650);
}

// The parent's cells after the fork go with it; what the child shares stays.
TEST(CellLedger, DroppingTheParentFreesAllButTheSharedRuns) {
  CellLedger ledger(10'000);
  CellLedger::Account parent(ledger);
  parent.append(1000);
  CellLedger::Account child(ledger);
  child.share(parent, 512);
  parent.clear();
  EXPECT_EQ(ledger.used(), 512);
  child.clear();
  EXPECT_EQ(ledger.used(), 0);
}

TEST(CellLedger, TruncatingGivesBackOwnCells) {
  CellLedger ledger(1000);
  CellLedger::Account account(ledger);
  account.append(700);
  account.truncate(300);
  EXPECT_EQ(ledger.used(), 300);
  account.append(10);
  EXPECT_EQ(ledger.used(), 310);
}

// Whatever sequences do: the ledger never counts fewer cells than are really owned, and at most a
// run too many for each fork inside a run.
TEST(CellLedger, NeverCountsTooFewAgainstAnExactModel) {
  std::mt19937 random(7);
  CellLedger ledger(1'000'000);
  constexpr std::size_t kSequences = 6;
  std::vector<CellLedger::Account> accounts;
  std::vector<std::vector<int>> exact(kSequences);  // cell numbers each sequence owns
  for (std::size_t i = 0; i < kSequences; ++i) accounts.emplace_back(ledger);
  int next_cell = 0;
  for (int round = 0; round < 5000; ++round) {
    const std::size_t a = random() % kSequences;
    const std::size_t b = random() % kSequences;
    switch (random() % 4) {
      case 0: {
        const int count = static_cast<int>(random() % 400);
        accounts[a].append(count);
        for (int i = 0; i < count; ++i) exact[a].push_back(next_cell++);
        break;
      }
      case 1: {
        const auto end = static_cast<std::size_t>(random() % (exact[a].size() + 1));
        accounts[a].truncate(static_cast<std::int32_t>(end));
        exact[a].resize(end);
        break;
      }
      case 2:
        accounts[a].clear();
        exact[a].clear();
        break;
      case 3: {
        if (a == b) break;
        accounts[b].clear();
        const auto end = static_cast<std::size_t>(random() % (exact[a].size() + 1));
        accounts[b].share(accounts[a], static_cast<std::int32_t>(end));
        exact[b].assign(exact[a].begin(), exact[a].begin() + static_cast<std::ptrdiff_t>(end));
        break;
      }
    }
    std::vector<int> owned;
    for (const auto& cells : exact) owned.insert(owned.end(), cells.begin(), cells.end());
    std::sort(owned.begin(), owned.end());
    const auto distinct = std::unique(owned.begin(), owned.end()) - owned.begin();
    ASSERT_GE(ledger.used(), distinct) << "round " << round;
  }
  for (auto& account : accounts) account.clear();
  EXPECT_EQ(ledger.used(), 0);
}

}  // namespace
}  // namespace kvern::cache
