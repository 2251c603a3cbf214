// Thousands of random histories with faults, crashes and damage. Whatever happens: a read gives the
// bytes that were written or a miss, what was told safe is there after a crash, the budget is kept
// once the store is idle, and a directory that can be listed can be opened.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/log.h"
#include "cache/disk/disk_fixture.h"

namespace kvern::cache {
namespace {

using namespace testing;

constexpr std::uint64_t kBudget = 40 * 4096;

class DiskPropertyTest : public DiskTest {
 protected:
  void run(std::uint64_t seed, int steps) {
    random_.seed(seed);
    files_.remove_tree("/cache");
    make_records();
    safe_.clear();
    harmed_.clear();
    scarred_.clear();
    waiting_.clear();
    pins_.clear();
    open(kBudget);
    for (int i = 0; i < steps && !HasFailure(); ++i) step();
    if (!HasFailure()) check_idle();
  }

  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }

  // A forest: chains that share heads, tails and snapshots on some nodes, turns beside them.
  void make_records() {
    records_.clear();
    std::vector<std::pair<Key, int>> nodes = {{root_, 0}};
    for (TokenId i = 0; i < 60; ++i) {
      const auto [parent, begin] = nodes[below(nodes.size())];
      const auto kind = static_cast<RecordKind>(1 + below(4));
      records_.push_back(record(kind, parent, begin, i, static_cast<float>(below(1000))));
      if (kind == RecordKind::block) nodes.emplace_back(records_.back().id.key, begin + 256);
    }
  }

  const RecordInfo& any() { return records_[below(records_.size())]; }
  static std::size_t size_of(const RecordInfo& info) { return 1 + info.id.key[5] * 40U; }

  void step() {
    take();  // what was told before this step is not about what it does
    switch (below(20)) {
      case 0: return quiet([&] { crash(); });
      case 1: return quiet([&] { restart(); });
      case 2: return damage();
      case 3: return faults();
      case 4: return files_.set_plan(nullptr);
      case 5: return store_->remove(forget(any().id));
      case 6: return pin();
      case 7: return use([&] { [[maybe_unused]] const auto freed = store_->prune(below(kBudget)); });
      case 8: return clock_.advance_us(static_cast<std::int64_t>(random_() % 4'000'000'000));
      case 9: return use([&] { store_->verify(nullptr); });
      case 10: return check_idle();
      case 11: return store_->touch(any().id);
      case 12:
      case 13: return read_any();
      case 14: return use([&] { store_->run_pending(); });
      default: return write_any();
    }
  }

  template <typename Act>
  void use(Act act) {
    act();
    take();
  }
  template <typename Act>
  void quiet(Act act) {
    act();
    if (!HasFailure()) check_idle();
  }

  void write_any() {
    const RecordInfo& info = any();
    if (write(info, size_of(info))) waiting_.insert(name(info.id));
  }

  void read_any() {
    const RecordId id = any().id;
    store_->read(id);
    store_->run_pending();
    const int answers = take(&id);
    ASSERT_EQ(answers, 1);
  }

  void pin() {
    const RecordId id = any().id;
    if (pins_.size() < 2 && store_->pin(id, true)) pins_.push_back(id);
    if (!pins_.empty() && below(3) == 0 && store_->pin(pins_.back(), false)) pins_.pop_back();
  }

  // Not safe any more, by our own doing.
  RecordId forget(const RecordId& id) {
    safe_.erase(name(id));
    waiting_.erase(name(id));
    return id;
  }

  void faults() {
    const std::size_t often = 3 + below(60);
    const bool crashes = below(3) == 0;
    files_.set_plan([this, often, crashes](Operation, const auto&) {
      if (random_() % often != 0) return Fault::none;
      const auto fault = static_cast<Fault>(1 + random_() % 5);
      return crashes && random_() % 4 == 0 ? Fault::crash : fault;
    });
  }

  void damage() {
    const auto files = files_.all_files();
    if (files.empty()) return;
    const auto path = files[below(files.size())];
    if (path.filename() == "lock") return;
    if (const auto id = parse_file_name(path.filename().string())) harm(*id);
    const std::size_t how = below(12);
    if (how == 0) {
      files_.remove_tree(below(2) == 0 ? "/cache" : path.parent_path());
      for (const RecordInfo& info : records_) harm(info.id);
    } else if (how < 4) {
      files_.remove_tree(path);
    } else {
      files_.change(path, [&](std::vector<std::byte>& bytes) {
        if (bytes.empty()) return;
        if (how < 6) return bytes.resize(below(bytes.size()));
        bytes[below(bytes.size())] ^= static_cast<std::byte>(1 << below(8));
      });
    }
  }

  // The store believes it is there until it looks.
  void harm(const RecordId& id) {
    safe_.erase(name(id));
    harmed_.insert(name(id));
  }

  void crash() {
    take();
    store_.reset();
    files_.reboot(random_());
    for (const RecordInfo& info : records_) {
      EXPECT_TRUE(!safe_.contains(name(info.id)) || exists(path_of(info.id))) << "lost in a crash";
    }
    // Putting aside is not synced: damage may be back under its old name.
    harmed_.merge(scarred_);
    scarred_.clear();
    reopen();
  }

  void restart() {
    store_->close(1'000);
    take();
    store_.reset();
    files_.set_plan(nullptr);
    if (files_.crashed()) {
      files_.reboot(random_());
      harmed_.merge(scarred_);
    }
    reopen();
  }

  void reopen() {
    waiting_.clear();
    open(kBudget);
    ASSERT_TRUE(store_ && store_->owner());
    // What a crash brought back may have pushed others out, and nobody is told of that.
    std::set<std::string> there;
    pins_.clear();
    for (const StoredRecord& stored : store_->list()) {
      there.insert(name(stored.info.id));
      if (stored.pinned) pins_.push_back(stored.info.id);
    }
    std::erase_if(safe_, [&](const std::string& id) { return !there.contains(id); });
    std::erase_if(harmed_, [&](const std::string& id) { return !there.contains(id); });
  }

  // Without faults, and with nothing left to do.
  void check_idle() {
    if (files_.crashed()) return crash();
    files_.set_plan(nullptr);
    clock_.advance_us(61'000'000);  // a scan that saw too little is repeated
    store_->run_pending();
    take();
    EXPECT_TRUE(waiting_.empty()) << "a write that was taken was never told of";
    EXPECT_EQ(store_->stats().queued_bytes, 0U);
    EXPECT_LE(files_.allocated_bytes(), kBudget);
    for (const RecordInfo& info : records_) {
      store_->read(info.id);
      store_->run_pending();
      if (safe_.contains(name(info.id))) {
        EXPECT_EQ(last_read_of(info.id), "ok") << "told safe, and not there";
      }
      take(&info.id);
    }
  }

  std::string last_read_of(const RecordId& id) {
    store_->read(id);
    store_->run_pending();
    std::string last;
    for (const StoreEvent& event : store_->take_events()) {
      note(event);
      if (event.kind == Kind::read && event.id == id) last = said(event);
    }
    return last;
  }

  // How many answers to reads of this record came.
  int take(const RecordId* id = nullptr) {
    int answers = 0;
    for (const StoreEvent& event : store_->take_events()) {
      note(event);
      answers += event.kind == Kind::read && id != nullptr && event.id == *id;
    }
    return answers;
  }

  void note(const StoreEvent& event) {
    const std::string id = name(event.id);
    if (event.kind == Kind::read) {
      EXPECT_NE(said(event), "WRONG BYTES");
      if (event.payload || event.payload.error().code == Code::failed) return;
      lost(id);
      return;
    }
    waiting_.erase(id);
    if (event.kind == Kind::gone) {
      lost(id);
    } else if (!harmed_.contains(id)) {
      safe_.insert(id);
      scarred_.erase(id);
    }
  }

  void lost(const std::string& id) {
    safe_.erase(id);
    if (harmed_.erase(id) != 0) scarred_.insert(id);
  }

  static std::string name(const RecordId& id) { return file_name(id); }

  std::mt19937_64 random_;
  std::vector<RecordInfo> records_;
  std::set<std::string> safe_;     // told written, and nothing since
  std::set<std::string> harmed_;   // by others, and not noticed yet
  std::set<std::string> scarred_;  // harmed, noticed, and not written again
  std::set<std::string> waiting_;  // taken, and nothing told yet
  std::vector<RecordId> pins_;
};

TEST_F(DiskPropertyTest, NoHistoryGivesWrongBytesOrLosesSafeOnes) {
  log::configure(log::Level::off, log::Format::text);
  for (std::uint64_t seed = 1; seed <= 150 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    run(seed, 120);
  }
  log::configure(log::Level::info, log::Format::text);
}

}  // namespace
}  // namespace kvern::cache
