#include "cache/disk/archive.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "cache/disk/disk_fixture.h"

namespace kvern::cache {
namespace {

using namespace testing;

class ArchiveTest : public DiskTest {
 protected:
  ArchiveTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kvern-archive-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ / "cache.kvern";
  }
  ~ArchiveTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::string bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void put(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }
  // A chain, a snapshot and a turn.
  void fill() {
    open();
    for (const RecordInfo& info : chain(3, 10)) keep(info);
    keep(record(RecordKind::snapshot, root_, 0, 5));
    keep(record(RecordKind::turn, {}, 0, 6));
  }
  // The same model's store, empty.
  void empty() {
    store_.reset();
    files_.remove_tree("/cache");
    open();
  }

  std::filesystem::path folder_;
  std::filesystem::path path_;
};

TEST_F(ArchiveTest, WhatWasExportedIsImportedAndSafe) {
  fill();
  const auto exported = export_records(*store_, {}, path_);
  ASSERT_TRUE(exported);
  EXPECT_EQ(exported->records, 5U);
  empty();
  const auto imported = import_records(*store_, path_);
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(imported->records, 5U);
  EXPECT_EQ(imported->bytes, exported->bytes);
  crash_and_open();
  ASSERT_EQ(store_->list().size(), 5U);
  for (const StoredRecord& stored : store_->list()) EXPECT_EQ(read(stored.info.id), "ok");
  const auto again = import_records(*store_, path_);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->records, 0U);
  EXPECT_EQ(again->skipped, 5U) << "they are there already";
}

TEST_F(ArchiveTest, OnlyTheNamedRecordsAreExported) {
  fill();
  const RecordId id = chain(3, 10)[1].id;
  ASSERT_TRUE(export_records(*store_, {id}, path_));
  empty();
  ASSERT_TRUE(import_records(*store_, path_));
  ASSERT_EQ(store_->list().size(), 1U);
  EXPECT_EQ(store_->list()[0].info.id, id);
}

TEST_F(ArchiveTest, ItIsForItsOwnerAlone) {
  fill();
  ASSERT_TRUE(export_records(*store_, {}, path_));
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(ArchiveTest, AnotherModelsArchiveIsRefusedInWords) {
  fill();
  ASSERT_TRUE(export_records(*store_, {}, path_));
  store_.reset();
  const auto other = open_as(options_, sha256("other model"));
  const auto imported = import_records(*other, path_);
  ASSERT_FALSE(imported);
  EXPECT_EQ(imported.error().code, Code::invalid);
  EXPECT_NE(imported.error().message.find("another model"), std::string::npos);
}

TEST_F(ArchiveTest, AReaderCannotImport) {
  fill();
  ASSERT_TRUE(export_records(*store_, {}, path_));
  const auto second = open_as(options_, model_);
  EXPECT_EQ(import_records(*second, path_).error().code, Code::busy);
  EXPECT_FALSE(export_records(*second, {}, path_)) << "what is there is never replaced";
  std::filesystem::path other = path_;
  other += ".2";
  EXPECT_TRUE(export_records(*second, {}, other)) << "but it can export";
}

TEST_F(ArchiveTest, WhatIsNoArchiveIsRefused) {
  open();
  EXPECT_FALSE(import_records(*store_, path_)) << "missing";
  for (const std::string text : {"", "KVERNARC", "something else altogether, and long enough for a header"}) {
    put(text);
    EXPECT_EQ(import_records(*store_, path_).error().code, Code::invalid) << text;
  }
}

TEST_F(ArchiveTest, ACutArchiveIsAnErrorAndGivesWhatIsWhole) {
  fill();
  ASSERT_TRUE(export_records(*store_, {}, path_));
  const std::string whole = bytes();
  for (std::size_t size = 48; size < whole.size(); size += 257) {
    put(whole.substr(0, size));
    empty();
    EXPECT_EQ(import_records(*store_, path_).error().code, Code::corrupt) << size;
    for (const StoredRecord& stored : store_->list()) EXPECT_EQ(read(stored.info.id), "ok");
  }
}

TEST_F(ArchiveTest, ADamagedRecordIsLeftOut) {
  fill();
  ASSERT_TRUE(export_records(*store_, {}, path_));
  std::string text = bytes();
  text[48 + 8 + 200] = static_cast<char>(text[48 + 8 + 200] ^ 1);
  put(text);
  empty();
  const auto imported = import_records(*store_, path_);
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->damaged, 1U);
  EXPECT_EQ(imported->records, 4U);
}

TEST_F(ArchiveTest, AModelListNamesWhatADirectoryHolds) {
  fill();
  store_.reset();
  const Key other = sha256("other model");
  {
    const auto store = open_as(options_, other);
    const RecordInfo info = record(RecordKind::block, root_key(other, ""), 0, 1);
    ASSERT_TRUE(store->write_now(info, payload_of(info.id.key, 10'000)));
    ASSERT_TRUE(store->flush());
  }
  const auto models = list_models(files_, "/cache");
  ASSERT_TRUE(models);
  ASSERT_EQ(models->size(), 2U);
  const auto& [mine, theirs] =
      (*models)[0].fingerprint == model_ ? std::tie((*models)[0], (*models)[1]) : std::tie((*models)[1], (*models)[0]);
  EXPECT_EQ(mine.records, 5U);
  EXPECT_EQ(mine.description, R"({"name":"test"})");
  EXPECT_EQ(theirs.fingerprint, other);
  EXPECT_EQ(theirs.records, 1U);
  EXPECT_EQ(theirs.bytes, 12'288U);
  EXPECT_GE(theirs.used_s, files_.now_s);
  EXPECT_FALSE(list_models(files_, "/missing"));
}

}  // namespace
}  // namespace kvern::cache
