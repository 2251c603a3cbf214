// The cache's values as JSON, for /admin/cache and for `kvern cache --json`. Pure; thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/json.h"
#include "cache/cache_report.h"
#include "cache/disk/archive.h"
#include "cache/disk/disk_store.h"
#include "schedule/reuse_log.h"

namespace kvern::app {

// disk: null without one.
Json report_json(const cache::CacheReport& report, const cache::DiskStore* disk);

// total: of all records that were asked for; `records` may be the first of them only.
Json held_records_json(std::span<const cache::HeldRecord> records, std::size_t total);

Json verified_json(const cache::DiskStore::Verified& verified);

Json archived_json(const cache::Archived& archived);

Json reuse_json(const schedule::ReuseReport& report);

}  // namespace kvern::app
