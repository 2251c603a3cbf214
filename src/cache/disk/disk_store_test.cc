#include "cache/disk/disk_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <condition_variable>
#include <cstdlib>

#include "cache/disk/disk_fixture.h"

namespace kvern::cache {
namespace {

using namespace testing;

class DiskStoreTest : public DiskTest {};

TEST_F(DiskStoreTest, WhatWasWrittenIsReadAlsoAfterARestart) {
  open();
  for (const RecordKind kind : {RecordKind::block, RecordKind::tail, RecordKind::snapshot, RecordKind::turn}) {
    const RecordInfo info = record(kind, root_, 0, 7, 3.5F);
    keep(info);
    EXPECT_EQ(read(info.id), "ok");
  }
  crash_and_open();
  ASSERT_EQ(store_->list().size(), 4U);
  for (const StoredRecord& stored : store_->list()) {
    EXPECT_EQ(read(stored.info.id), "ok");
    EXPECT_EQ(stored.info.cost_ms, 3.5F);
    EXPECT_EQ(stored.payload_bytes, 1000U);
  }
}

TEST_F(DiskStoreTest, AnUnknownRecordIsNotFound) {
  open();
  EXPECT_EQ(read(block(1).id), "not_found");
}

TEST_F(DiskStoreTest, ARecordThatWaitsToBeWrittenCanBeReadAlready) {
  open();
  ASSERT_TRUE(write(block(1)));
  store_->read(block(1).id);
  store_->run_pending();
  const auto events = store_->take_events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].kind, Kind::read) << "reads go before writes";
  EXPECT_EQ(said(events[0]), "ok");
  EXPECT_EQ(events[1].kind, Kind::written);
}

TEST_F(DiskStoreTest, ARecordIsWrittenOnce) {
  open();
  ASSERT_TRUE(write(block(1)));
  ASSERT_TRUE(write(block(1))) << "while it waits";
  EXPECT_EQ(settle(block(1).id), "written");
  ASSERT_TRUE(write(block(1))) << "and when it is there";
  EXPECT_EQ(settle(block(1).id), "written");
  EXPECT_EQ(store_->stats().writes, 1U);
}

// Nobody read it in this process, so nobody knows that its bytes are bad.
TEST_F(DiskStoreTest, ADamagedRecordOfAnEarlierProcessIsReplacedByANewWrite) {
  open();
  keep(block(1), 1000);
  crash_and_open();
  flip(block(1).id, prefix_bytes(block(1).tokens.size()) + 10);
  ASSERT_TRUE(write(block(1)));
  EXPECT_EQ(settle(block(1).id), "written");
  EXPECT_EQ(read(block(1).id), "ok");
  crash_and_open();
  EXPECT_EQ(read(block(1).id), "ok");
}

TEST_F(DiskStoreTest, ParentsAreListedBeforeTheirChildren) {
  open();
  auto records = chain(5, 10);
  records.push_back(records[1]);
  records.back().id.kind = RecordKind::snapshot;
  std::reverse(records.begin(), records.end());
  for (const RecordInfo& info : records) keep(info);
  crash_and_open();
  const auto list = store_->list();
  ASSERT_EQ(list.size(), 6U);
  std::set<Key> known = {root_};
  for (const StoredRecord& stored : list) {
    EXPECT_TRUE(known.contains(stored.info.parent));
    if (stored.info.id.kind == RecordKind::snapshot) {
      EXPECT_TRUE(known.contains(stored.info.id.key)) << "after its own rows";
    }
    known.insert(stored.info.id.key);
  }
}

TEST_F(DiskStoreTest, AModelSeesItsOwnRecordsOnly) {
  open();
  keep(block(1));
  store_.reset();
  const auto other = open_as(options_, sha256("other model"));
  EXPECT_TRUE(other->list().empty());
  EXPECT_GT(other->stats().bytes, 0U) << "but their bytes count";
}

TEST_F(DiskStoreTest, ARemovedRecordIsGoneAndCanBeWrittenAgain) {
  open();
  keep(block(1));
  store_->remove(block(1).id);
  EXPECT_EQ(read(block(1).id), "not_found");
  EXPECT_FALSE(exists(path_of(block(1).id)));
  ASSERT_TRUE(write(block(2)));
  store_->remove(block(2).id);
  EXPECT_EQ(settle(block(2).id), "") << "it was cancelled before it was written";
  EXPECT_FALSE(exists(path_of(block(2).id)));
  store_->remove(block(1).id);
  keep(block(1));
  EXPECT_EQ(read(block(1).id), "ok");
}

TEST_F(DiskStoreTest, AFullQueueDropsTheWrite) {
  options_.queue_bytes = 2500;
  open();
  EXPECT_TRUE(write(block(1)));
  EXPECT_TRUE(write(block(2)));
  EXPECT_FALSE(write(block(3)));
  EXPECT_EQ(store_->stats().queued_bytes, 2000U);
  EXPECT_EQ(store_->stats().writes_dropped, 1U);
  store_->run_pending();
  EXPECT_EQ(store_->stats().queued_bytes, 0U);
  EXPECT_TRUE(write(block(3)));
}

TEST_F(DiskStoreTest, ARecordWhoseKeyIsWrongIsNotTaken) {
  open();
  RecordInfo info = block(1);
  info.tokens[3] = 99;
  EXPECT_FALSE(write(info));
  EXPECT_FALSE(store_->write(block(1), nullptr));
}

TEST_F(DiskStoreTest, TheSecondProcessReadsAndNeverWrites) {
  options_.owner_note = "http://127.0.0.1:8080 \"x\"";
  open();
  keep(block(1));
  const auto second = open_as(options_, model_);
  EXPECT_TRUE(store_->owner());
  EXPECT_FALSE(second->owner());
  EXPECT_FALSE(second->write(block(2), payload_of(block(2).id.key, 10)));
  EXPECT_EQ(second->pin(block(1).id, true).error().code, Code::busy);
  EXPECT_EQ(second->prune(0).error().code, Code::busy);
  EXPECT_EQ(second->clear().error().code, Code::busy);
  EXPECT_NE(second->stats().suspended_because, "");
  second->remove(block(1).id);
  keep(block(3));
  second->read(block(1).id);
  second->read(block(3).id);
  second->run_pending();
  const auto events = second->take_events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(said(events[0]), "ok");
  EXPECT_EQ(said(events[1]), "ok") << "written after it had opened";
  EXPECT_EQ(*DiskStore::owner_note(files_, "/cache"), options_.owner_note);
}

// The second one may find what the first has evicted: a miss like any other.
TEST_F(DiskStoreTest, WhatTheOwnerEvictsIsAMissForTheReader) {
  open();
  keep(block(1));
  const auto second = open_as(options_, model_);
  ASSERT_TRUE(store_->prune(0));
  second->read(block(1).id);
  second->run_pending();
  EXPECT_EQ(said(second->take_events().at(0)), "not_found");
  EXPECT_TRUE(second->list().empty());
}

TEST_F(DiskStoreTest, APinnedRecordAndWhatItBuildsOnSurviveEverything) {
  open();
  const auto pinned = chain(3, 10);
  for (const RecordInfo& info : pinned) keep(info);
  keep(block(50));
  ASSERT_TRUE(store_->pin(pinned[2].id, true));
  store_->remove(pinned[2].id);
  ASSERT_TRUE(store_->prune(0));
  ASSERT_TRUE(store_->clear());
  crash_and_open();
  ASSERT_EQ(store_->list().size(), 3U);
  EXPECT_TRUE(store_->list()[2].pinned);
  EXPECT_FALSE(store_->list()[1].pinned);
  ASSERT_TRUE(store_->pin(pinned[2].id, false));
  ASSERT_TRUE(store_->clear());
  EXPECT_TRUE(store_->list().empty());
  EXPECT_EQ(store_->pin(pinned[2].id, true).error().code, Code::not_found);
}

// A pin is of a record, and another model's server must respect it.
TEST_F(DiskStoreTest, AnotherModelsPinsAreKept) {
  open();
  const auto records = chain(3, 10);
  for (const RecordInfo& info : records) keep(info);
  ASSERT_TRUE(store_->pin(records[1].id, true));
  store_.reset();
  const auto other = open_as(options_, sha256("other model"));
  ASSERT_TRUE(other->prune(0));
  EXPECT_TRUE(exists(path_of(records[0].id))) << "the pinned one builds on it";
  EXPECT_TRUE(exists(path_of(records[1].id)));
  EXPECT_FALSE(exists(path_of(records[2].id)));
}

TEST_F(DiskStoreTest, ATouchReachesTheFileOnceAnHourAndAtTheEnd) {
  open();
  keep(block(1));
  const std::int64_t written_s = files_.facts(path_of(block(1).id))->modified_s;
  const auto age = [&] { return files_.facts(path_of(block(1).id))->modified_s - written_s; };
  clock_.advance_us(1'000'000'000);
  store_->touch(block(1).id);
  store_->run_pending();
  EXPECT_EQ(age(), 0);
  clock_.advance_us(3'000'000'000);
  store_->touch(block(1).id);
  store_->run_pending();
  EXPECT_NEAR(static_cast<double>(age()), 4000.0, 2.0);
  clock_.advance_us(500'000'000);
  store_->touch(block(1).id);
  store_->close(1000);
  EXPECT_NEAR(static_cast<double>(age()), 4500.0, 2.0);
}

TEST_F(DiskStoreTest, CloseWritesWhatWaitsAndThenTakesNoMore) {
  open();
  for (TokenId token = 0; token < 40; ++token) ASSERT_TRUE(write(block(token)));
  store_->close(1000);
  EXPECT_FALSE(write(block(100)));
  EXPECT_EQ(read(block(0).id), "ok") << "reading goes on";
  crash_and_open();
  EXPECT_EQ(store_->list().size(), 40U);
}

TEST_F(DiskStoreTest, WithoutTimeCloseDropsWhatWaits) {
  open();
  ASSERT_TRUE(write(block(1)));
  store_->close(0);
  EXPECT_EQ(settle(block(1).id), "gone");
}

TEST_F(DiskStoreTest, TheBudgetCountsEveryFile) {
  files_.put("/cache/v0/old/format/file", 9000);
  files_.put("/cache/v2/x", 4000);
  files_.put("/cache/notes.txt", 100);
  files_.put("/cache/quarantine/bad.block", 5000);
  open();
  keep(block(1));
  EXPECT_EQ(store_->stats().bytes, files_.allocated_bytes());
  ASSERT_TRUE(store_->prune(1));
  EXPECT_TRUE(exists("/cache/notes.txt")) << "not ours to remove";
  EXPECT_FALSE(exists("/cache/v0/old/format/file"));
  EXPECT_FALSE(exists("/cache/v2/x"));
  EXPECT_FALSE(exists("/cache/quarantine/bad.block"));
  EXPECT_EQ(store_->stats().bytes, files_.allocated_bytes());
}

TEST_F(DiskStoreTest, ASmallerBudgetAppliesAtOnce) {
  open();
  for (TokenId token = 0; token < 20; ++token) keep(block(token));
  open(10 * 4096);
  EXPECT_LE(files_.allocated_bytes(), 10U * 4096);
  EXPECT_FALSE(store_->list().empty());
}

// Real files and the real thread.
class RealDiskTest : public DiskTest {
 protected:
  RealDiskTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kvern-disk-XXXXXX").string();
    root_path_ = ::mkdtemp(pattern.data());
    options_.directory = root_path_ / "cache";
    options_.budget_bytes = 10 << 20;
  }
  ~RealDiskTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_path_, ignored);
  }
  std::unique_ptr<DiskStore> open_real() {
    auto opened = DiskStore::open(file_system(), steady_clock(), options_, {model_, "{}"});
    EXPECT_TRUE(opened);
    return std::move(*opened);
  }
  std::filesystem::path root_path_;
};

TEST_F(RealDiskTest, ReadsAndWritesOfManyThreadsAreAllAnswered) {
  const auto store = open_real();
  ASSERT_TRUE(store->owner());
  std::mutex mutex;
  std::condition_variable told;
  int calls = 0;
  store->on_event = [&] {
    const std::lock_guard guard(mutex);
    ++calls;
    told.notify_all();
  };
  std::vector<std::thread> threads;
  for (TokenId t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (TokenId i = 0; i < 50; ++i) {
        const RecordInfo info = block(t * 100 + i);
        ASSERT_TRUE(store->write(info, payload_of(info.id.key, 3000)));
        store->touch(info.id);
        store->read(info.id);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int reads = 0;
  int written = 0;
  while (true) {
    for (const StoreEvent& event : store->take_events()) {
      reads += event.kind == Kind::read && said(event) == "ok";
      written += event.kind == Kind::written;
      ASSERT_NE(event.kind, Kind::gone);
    }
    if (reads + written == 400) break;
    std::unique_lock guard(mutex);
    told.wait(guard, [&] { return calls > 0; });
    calls = 0;
  }
  EXPECT_EQ(reads, 200);
  EXPECT_EQ(store->verify(nullptr).good, 200U);
  store->close(10'000);
}

TEST_F(RealDiskTest, ARestartFindsWhatCloseWaitedFor) {
  {
    const auto store = open_real();
    for (TokenId i = 0; i < 20; ++i) ASSERT_TRUE(store->write(block(i), payload_of(block(i).id.key, 3000)));
    store->close(60'000);
  }
  const auto store = open_real();
  EXPECT_TRUE(store->owner());
  EXPECT_EQ(store->list().size(), 20U);
  for (TokenId i = 0; i < 20; ++i) EXPECT_TRUE(store->read_now(block(i).id));
}

TEST_F(RealDiskTest, FilesAreForTheirOwnerAlone) {
  const auto store = open_real();
  ASSERT_TRUE(store->write_now(block(1), payload_of(block(1).id.key, 3000)));
  ASSERT_TRUE(store->flush());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(options_.directory)) {
    EXPECT_EQ(static_cast<unsigned>(entry.status().permissions()) & 077U, 0U) << entry.path();
  }
}

TEST_F(RealDiskTest, ADirectoryHasOneOwnerAtATime) {
  auto first = open_real();
  EXPECT_FALSE(open_real()->owner());
  first.reset();
  EXPECT_TRUE(open_real()->owner());
}

}  // namespace
}  // namespace kvern::cache
