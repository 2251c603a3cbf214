// A disk tier in fake time: one thread that reads before it writes, at the rates of a described machine.
//
// It holds what it is given, without a budget, and loses nothing. Thread: the caller's.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cache/record_store.h"
#include "scale/machine.h"

namespace kvern::bench {

class TimedStore final : public cache::RecordStore {
 public:
  // All must outlive it. bytes_factor: what a byte of the fake engine's rows stands for.
  TimedStore(const Clock& clock, const Machine& machine, double bytes_factor)
      : clock_(clock), machine_(machine), bytes_factor_(bytes_factor) {}

  bool write(cache::RecordInfo info, cache::SharedBytes payload) override {
    writes_.push_back({std::move(info.id), std::move(payload), clock_.now_us()});
    return true;
  }
  void read(const cache::RecordId& id) override { reads_.push_back({id, nullptr, clock_.now_us()}); }
  void touch(const cache::RecordId&) override {}
  void remove(const cache::RecordId& id) override { records_.erase(id); }

  std::vector<cache::StoreEvent> take_events() override {
    std::vector<cache::StoreEvent> events;
    while (work_one()) {
      events.push_back(std::move(*done_));
      done_.reset();
    }
    return events;
  }

  // When something will have been done: in us from now; -1: nothing is to be done.
  std::int64_t next_us() const {
    const Job* job = next();
    return job ? std::max<std::int64_t>(0, begin_of(*job) + took_us(*job) - clock_.now_us()) : -1;
  }

  double written_gb() const { return written_bytes_ / 1e9; }

 private:
  struct Job {
    cache::RecordId id;
    cache::SharedBytes payload;  // null: a read
    std::int64_t asked_us = 0;
  };

  // A read goes first, unless the writes before it began when nobody had asked for it.
  const Job* next() const {
    if (reads_.empty()) return writes_.empty() ? nullptr : &writes_.front();
    const bool write_began = !writes_.empty() && begin_of(writes_.front()) < reads_.front().asked_us;
    return write_began ? &writes_.front() : &reads_.front();
  }
  std::int64_t begin_of(const Job& job) const { return std::max(free_at_us_, job.asked_us); }

  std::int64_t took_us(const Job& job) const {
    const cache::SharedBytes payload = job.payload ? job.payload : held(job.id);
    const double bytes = payload ? static_cast<double>(payload->size()) * bytes_factor_ : 0;
    const double rate = job.payload ? machine_.disk_write_gbs : machine_.disk_read_gbs;
    return static_cast<std::int64_t>(machine_.disk_us + bytes / (rate * 1e3));
  }

  cache::SharedBytes held(const cache::RecordId& id) const {
    const auto found = records_.find(id);
    return found == records_.end() ? nullptr : found->second;
  }

  // The next job, if it is done by now.
  bool work_one() {
    const Job* at = next();
    if (!at) return false;
    const std::int64_t took = took_us(*at);
    if (begin_of(*at) + took > clock_.now_us()) return false;
    free_at_us_ = begin_of(*at) + took;
    std::deque<Job>& queue = at->payload ? writes_ : reads_;
    const Job job = std::move(queue.front());
    queue.pop_front();
    if (job.payload) {
      written_bytes_ += static_cast<double>(job.payload->size()) * bytes_factor_;
      records_[job.id] = job.payload;
      done_ = {cache::StoreEvent::Kind::written, job.id, cache::SharedBytes(), 0};
      return true;
    }
    done_ = {cache::StoreEvent::Kind::read, job.id, held(job.id), took};
    if (!*done_->payload) done_->payload = fail(Code::not_found, "it was removed");
    return true;
  }

  const Clock& clock_;
  const Machine& machine_;
  const double bytes_factor_;
  std::int64_t free_at_us_ = 0;
  std::deque<Job> reads_;
  std::deque<Job> writes_;
  std::unordered_map<cache::RecordId, cache::SharedBytes, cache::RecordIdHasher> records_;
  std::optional<cache::StoreEvent> done_;
  double written_bytes_ = 0;
};

}  // namespace kvern::bench
