// A store on a FaultFileSystem, and what its tests ask of it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "cache/disk/disk_store.h"
#include "cache/disk/fault_file_system.h"
#include "cache/disk/record_format.h"
#include "cache/disk/test_records.h"

namespace kvern::cache::testing {

using Operation = FaultFileSystem::Operation;
using Fault = FaultFileSystem::Fault;
using Kind = StoreEvent::Kind;

class DiskTest : public ::testing::Test {
 protected:
  DiskTest() { files_.now_s = unix_time_s(); }

  void open(std::uint64_t budget_bytes = 100 << 20) {
    options_.directory = "/cache";
    options_.budget_bytes = budget_bytes;
    options_.threaded = false;
    store_.reset();
    store_ = open_as(options_, model_);
    ASSERT_TRUE(store_);
  }
  std::unique_ptr<DiskStore> open_as(const DiskOptions& options, const Key& model) {
    auto opened = DiskStore::open(files_, clock_, options, {model, R"({"name":"test"})"});
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message);
    return opened ? std::move(*opened) : nullptr;
  }
  // As a crash does: what was not synced is lost.
  void crash_and_open() {
    store_.reset();
    files_.reboot(++seed_);
    open(options_.budget_bytes);
  }

  bool write(const RecordInfo& info, std::size_t bytes = 1000) {
    return store_->write(info, payload_of(info.id.key, bytes));
  }
  // Written and safe.
  void keep(const RecordInfo& info, std::size_t bytes = 1000) {
    ASSERT_TRUE(write(info, bytes));
    ASSERT_EQ(settle(info.id), "written");
  }
  // Runs everything; the last thing told about the record.
  std::string settle(const RecordId& id) {
    store_->run_pending();
    std::string last;
    for (const StoreEvent& event : store_->take_events()) {
      if (event.id != id) continue;
      if (event.kind == Kind::written) last = "written";
      if (event.kind == Kind::gone) last = "gone";
      if (event.kind == Kind::read) last = said(event);
    }
    return last;
  }
  // "ok" when the payload is the record's, else why there is none.
  static std::string said(const StoreEvent& event) {
    if (!event.payload) return std::string(to_string(event.payload.error().code));
    const auto& bytes = **event.payload;
    return bytes == *payload_of(event.id.key, bytes.size()) && !bytes.empty() ? "ok" : "WRONG BYTES";
  }
  std::string read(const RecordId& id) {
    store_->read(id);
    return settle(id);
  }

  std::filesystem::path path_of(const RecordId& id) const {
    return std::filesystem::path("/cache/v1") / to_hex(model_) / to_hex(std::span(id.key).first(1)) / file_name(id);
  }
  bool exists(const std::filesystem::path& path) const {
    const auto files = files_.all_files();
    return std::find(files.begin(), files.end(), path) != files.end();
  }
  void flip(const RecordId& id, std::size_t at, int bit = 0) {
    files_.change(path_of(id),
                  [&](std::vector<std::byte>& bytes) { bytes.at(at) ^= static_cast<std::byte>(1 << bit); });
  }
  RecordInfo block(TokenId token, float cost_ms = 100) const {
    return record(RecordKind::block, root_, 0, token, cost_ms);
  }
  // A chain of blocks from the root.
  std::vector<RecordInfo> chain(int count, TokenId first) const {
    std::vector<RecordInfo> records;
    Key parent = root_;
    for (int i = 0; i < count; ++i) {
      records.push_back(record(RecordKind::block, parent, i * 256, first + i));
      parent = records.back().id.key;
    }
    return records;
  }

  FaultFileSystem files_;
  FakeClock clock_;
  DiskOptions options_;
  Key model_ = sha256("model");
  Key root_ = root_key(model_, "");
  std::uint64_t seed_ = 0;
  std::unique_ptr<DiskStore> store_;
};

}  // namespace kvern::cache::testing
