# The disk tier's files, for src/cache/CMakeLists.txt.
set(KVERN_CACHE_DISK_SOURCES
  disk/archive.cc disk/daily_writes.cc disk/disk_store.cc disk/eviction_plan.cc disk/record_format.cc disk/recovery.cc
  disk/shelf.cc disk/store_open.cc disk/store_queue.cc disk/store_work.cc disk/store_write.cc)
# fault_file_system.cc is a test's file system, and no test itself.
set(KVERN_CACHE_DISK_TESTS
  disk/archive_test.cc disk/disk_faults_test.cc disk/disk_property_test.cc disk/disk_store_test.cc
  disk/eviction_plan_test.cc disk/fault_file_system.cc disk/record_format_test.cc)
