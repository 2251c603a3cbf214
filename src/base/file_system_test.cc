#include "base/file_system.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace kvern {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class FileSystemTest : public ::testing::Test {
 protected:
  FileSystemTest() {
    std::string pattern = (fs::temp_directory_path() / "kvern-files-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
  }
  ~FileSystemTest() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  Status write(const fs::path& path, std::string_view text) {
    const std::array parts = {bytes_of(text)};
    return files_.write_new(path, parts);
  }
  static unsigned mode(const fs::path& path) {
    struct stat status {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0);
    return status.st_mode & 0777;
  }

  FileSystem& files_ = file_system();
  fs::path root_;
};

// Token ids are readable text to whoever can open them.
TEST_F(FileSystemTest, DirectoriesAndFilesAreForTheirOwnerAlone) {
  const fs::path folder = root_ / "a" / "b";
  ASSERT_TRUE(files_.make_directory(folder));
  ASSERT_TRUE(files_.make_directory(folder)) << "there already";
  ASSERT_TRUE(write(folder / "file", "x"));
  EXPECT_EQ(mode(root_ / "a"), 0700U);
  EXPECT_EQ(mode(folder), 0700U);
  EXPECT_EQ(mode(folder / "file"), 0600U);
}

TEST_F(FileSystemTest, PartsAreWrittenInOrderAndReadFromAnyOffset) {
  const std::array parts = {bytes_of("head"), bytes_of(""), bytes_of("payload")};
  ASSERT_TRUE(files_.write_new(root_ / "file", parts));
  EXPECT_EQ(text_of(*files_.read(root_ / "file", 0, 100)), "headpayload");
  EXPECT_EQ(text_of(*files_.read(root_ / "file", 4, 3)), "pay");
  EXPECT_EQ(text_of(*files_.read(root_ / "file", 11, 3)), "");
  EXPECT_EQ(text_of(*files_.read(root_ / "file", 1000, 3)), "");
  EXPECT_EQ(files_.facts(root_ / "file")->bytes, 11U);
}

TEST_F(FileSystemTest, ANewFileNeverReplacesAnother) {
  ASSERT_TRUE(write(root_ / "file", "first"));
  EXPECT_FALSE(write(root_ / "file", "second"));
  EXPECT_EQ(text_of(*files_.read(root_ / "file", 0, 100)), "first");
}

TEST_F(FileSystemTest, WhatIsMissingIsNotFound) {
  const fs::path missing = root_ / "missing";
  EXPECT_EQ(files_.read(missing, 0, 1).error().code, Code::not_found);
  EXPECT_EQ(files_.facts(missing).error().code, Code::not_found);
  EXPECT_EQ(files_.list(missing).error().code, Code::not_found);
  EXPECT_EQ(files_.remove(missing).error().code, Code::not_found);
  EXPECT_EQ(files_.rename(missing, root_ / "x").error().code, Code::not_found);
  EXPECT_EQ(files_.sync_directory(missing).error().code, Code::not_found);
  EXPECT_EQ(files_.set_modified(missing, 1).error().code, Code::not_found);
  EXPECT_EQ(write(missing / "file", "x").error().code, Code::not_found);
}

TEST_F(FileSystemTest, AFileInTheWayOfADirectoryIsAnError) {
  ASSERT_TRUE(write(root_ / "file", "x"));
  EXPECT_EQ(files_.make_directory(root_ / "file").error().code, Code::failed);
  EXPECT_FALSE(files_.make_directory(root_ / "file" / "below"));
}

TEST_F(FileSystemTest, ListsNamesInOrderAndTellsDirectoriesApart) {
  ASSERT_TRUE(write(root_ / "b", "x"));
  ASSERT_TRUE(files_.make_directory(root_ / "c"));
  ASSERT_EQ(::symlink((root_ / "c").c_str(), (root_ / "a").c_str()), 0);
  const auto entries = files_.list(root_);
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 3U);
  EXPECT_EQ((*entries)[0].name, "a");
  EXPECT_FALSE((*entries)[0].directory) << "a link to a directory is not followed";
  EXPECT_FALSE((*entries)[1].directory);
  EXPECT_TRUE((*entries)[2].directory);
}

// A cache directory may be shared: a link in it must not make us read or overwrite another file.
TEST_F(FileSystemTest, LinksAreNotFollowed) {
  ASSERT_TRUE(write(root_ / "target", "secret"));
  ASSERT_EQ(::symlink((root_ / "target").c_str(), (root_ / "link").c_str()), 0);
  EXPECT_FALSE(files_.read(root_ / "link", 0, 10));
  EXPECT_FALSE(files_.lock(root_ / "link", "note"));
  ASSERT_EQ(::mkfifo((root_ / "pipe").c_str(), 0600), 0);
  EXPECT_FALSE(files_.read(root_ / "pipe", 0, 10)) << "and a pipe does not block";
}

TEST_F(FileSystemTest, RemovesFilesAndEmptyDirectories) {
  ASSERT_TRUE(files_.make_directory(root_ / "d"));
  ASSERT_TRUE(write(root_ / "d" / "file", "x"));
  EXPECT_FALSE(files_.remove(root_ / "d")) << "not empty";
  EXPECT_TRUE(files_.remove(root_ / "d" / "file"));
  EXPECT_TRUE(files_.remove(root_ / "d"));
}

TEST_F(FileSystemTest, TheTimeOfAFileIsWhatWasSet) {
  ASSERT_TRUE(write(root_ / "file", "x"));
  ASSERT_TRUE(files_.set_modified(root_ / "file", 1'700'000'000));
  EXPECT_EQ(files_.facts(root_ / "file")->modified_s, 1'700'000'000);
}

TEST_F(FileSystemTest, ALockHasOneHolderAndANoteWhileItIsHeld) {
  auto first = files_.lock(root_ / "lock", "first");
  ASSERT_TRUE(first);
  ASSERT_TRUE(*first);
  auto second = files_.lock(root_ / "lock", "second");
  ASSERT_TRUE(second);
  EXPECT_FALSE(*second);
  EXPECT_EQ(text_of(*files_.read(root_ / "lock", 0, 100)), "first");
  first->reset();
  EXPECT_EQ(files_.facts(root_ / "lock")->bytes, 0U);
  auto third = files_.lock(root_ / "lock", "3");
  ASSERT_TRUE(third);
  EXPECT_TRUE(*third);
  EXPECT_EQ(mode(root_ / "lock"), 0600U);
}

TEST_F(FileSystemTest, FreeSpaceIsPartOfTheWhole) {
  const auto space = files_.space(root_);
  ASSERT_TRUE(space);
  EXPECT_GT(space->total_bytes, 0U);
  EXPECT_LE(space->free_bytes, space->total_bytes);
}

// /dev/full accepts an open and refuses every write: the one full disk each Linux has.
TEST_F(FileSystemTest, ANoteThatCannotBeWrittenDoesNotCostTheLock) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const auto lock = files_.lock("/dev/full", "note");
  EXPECT_TRUE(lock && *lock);
}

}  // namespace
}  // namespace kvern
