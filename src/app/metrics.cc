#include "app/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace kvern::app {
namespace {

enum class Kind { counter, gauge };

void head(std::string& out, std::string_view name, Kind kind, std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, kind == Kind::counter ? "counter" : "gauge");
}

// label: `tier="disk"`, or nothing.
template <typename Number>
void sample(std::string& out, std::string_view name, std::string_view label, Number value) {
  out += name;
  if (!label.empty()) out += fmt::format("{{{}}}", label);
  fmt::format_to(std::back_inserter(out), " {}\n", value);
}

template <typename Number>
void single(std::string& out, std::string_view name, Kind kind, std::string_view help, Number value) {
  head(out, name, kind, help);
  sample(out, name, "", value);
}

double seconds(std::int64_t us) { return static_cast<double>(us) / 1e6; }

struct Tiers {
  std::uint64_t memory = 0;
  std::optional<std::uint64_t> disk;
};

void by_tier(std::string& out, std::string_view name, Kind kind, std::string_view help, const Tiers& tiers) {
  head(out, name, kind, help);
  sample(out, name, "tier=\"memory\"", tiers.memory);
  if (tiers.disk) sample(out, name, "tier=\"disk\"", *tiers.disk);
}

void write_cache(std::string& out, const cache::CacheReport& cache, const std::optional<cache::DiskStats>& disk) {
  const auto of_disk = [&](std::uint64_t cache::DiskStats::*member) {
    return disk ? std::optional((*disk).*member) : std::nullopt;
  };
  using cache::DiskStats;
  single(out, "kvern_cache_cells", Kind::gauge, "Tokens the device has room for.", cache.cells);
  single(out, "kvern_cache_cells_used", Kind::gauge, "Tokens on the device, shared ones once.", cache.cells_used);
  by_tier(out, "kvern_cache_bytes", Kind::gauge, "Bytes held.", {cache.ram_bytes, of_disk(&DiskStats::bytes)});
  by_tier(out, "kvern_cache_budget_bytes", Kind::gauge, "Bytes that may be held.",
          {cache.ram_budget_bytes, of_disk(&DiskStats::budget_bytes)});
  by_tier(out, "kvern_cache_records", Kind::gauge, "Records held, of this model.",
          {static_cast<std::uint64_t>(cache.records_ram), of_disk(&DiskStats::records)});
  by_tier(out, "kvern_cache_evictions_total", Kind::counter, "Records that had to make room.",
          {cache.ram_evictions, of_disk(&DiskStats::evictions)});
}

void write_disk(std::string& out, const cache::DiskStats& disk) {
  const auto count = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    single(out, name, Kind::counter, help, value);
  };
  count("kvern_disk_reads_total", "Records read.", disk.reads);
  count("kvern_disk_read_bytes_total", "Bytes of records read.", disk.read_bytes);
  single(out, "kvern_disk_read_seconds_total", Kind::counter, "Time spent reading.",
         seconds(static_cast<std::int64_t>(disk.read_us)));
  count("kvern_disk_writes_total", "Records written.", disk.writes);
  count("kvern_disk_written_bytes_total", "Bytes of records written.", disk.written_bytes);
  count("kvern_disk_dropped_writes_total", "Writes dropped: queue full, suspended, or over the daily budget.",
        disk.writes_dropped);
  count("kvern_disk_write_failures_total", "Writes the system refused.", disk.write_failures);
  count("kvern_disk_damaged_total", "Records refused by a check.", disk.damaged);
  single(out, "kvern_disk_queued_bytes", Kind::gauge, "Bytes waiting to be written.", disk.queued_bytes);
  single(out, "kvern_disk_writing", Kind::gauge, "1 while records are written; 0 as a reader, or suspended.",
         disk.owner && disk.suspended_because.empty() ? 1 : 0);
}

}  // namespace

void Histogram::observe(double seconds_taken) {
  const auto bucket = std::lower_bound(kBounds_s.begin(), kBounds_s.end(), seconds_taken) - kBounds_s.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  sum_s_ += seconds_taken;
}

void Histogram::write(std::string& out, std::string_view name, std::string_view help) const {
  out += fmt::format("# HELP {} {}\n# TYPE {} histogram\n", name, help, name);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBounds_s.size(); ++i) {
    below += counts_[i];
    out += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, kBounds_s[i], below);
  }
  below += counts_.back();
  out += fmt::format("{}_bucket{{le=\"+Inf\"}} {}\n{}_sum {}\n{}_count {}\n", name, below, name, sum_s_, name, below);
}

void Metrics::request(const Usage& usage, FinishReason finish) {
  const auto tokens = [](std::int32_t count) { return static_cast<std::uint64_t>(std::max(count, 0)); };
  const bool admitted = usage.queue_us > 0 || usage.completion_tokens > 0 || usage.reused_tokens() > 0;
  const std::lock_guard lock(mutex_);
  ++finishes_[static_cast<std::size_t>(finish)];
  if (!admitted) return;  // it left while it waited: no token of it was looked up
  ++reasons_[static_cast<std::size_t>(usage.why)];
  device_tokens_ += tokens(usage.reused_device_tokens);
  memory_tokens_ += tokens(usage.reused_memory_tokens);
  disk_tokens_ += tokens(usage.reused_disk_tokens);
  computed_tokens_ += tokens(usage.computed_tokens());
  completion_tokens_ += tokens(usage.completion_tokens);
  drafted_tokens_ += tokens(usage.drafted_tokens);
  accepted_tokens_ += tokens(usage.accepted_tokens);
  queue_.observe(seconds(usage.queue_us));
  if (usage.completion_tokens > 0) ttft_.observe(seconds(usage.ttft_us));
}

void Metrics::ended_with_calls() {
  const std::lock_guard lock(mutex_);
  ++with_calls_;
}

void Metrics::tool_call(CallCheck check) {
  const std::lock_guard lock(mutex_);
  ++checks_[static_cast<std::size_t>(check)];
}

void Metrics::unconstrained_tool_call() {
  const std::lock_guard lock(mutex_);
  ++unconstrained_calls_;
}

// A turn is known to have stopped a moment before it is known to have called: a scrape in between
// takes it for a stop, and a counter must not go back.
void Metrics::write_finishes(std::string& out) const {
  head(out, "kvern_requests_total", Kind::counter, "Requests that ended, by how.");
  const std::uint64_t stopped = finishes_[static_cast<std::size_t>(FinishReason::stop)];
  stops_shown_ = std::max(stops_shown_, stopped - std::min(stopped, with_calls_));
  for (std::size_t i = 0; i < kFinishes; ++i) {
    const auto finish = static_cast<FinishReason>(i);
    std::uint64_t count = finishes_[i];
    if (finish == FinishReason::stop) count = stops_shown_;
    if (finish == FinishReason::tool_calls) count += with_calls_;
    sample(out, "kvern_requests_total", fmt::format("finish=\"{}\"", to_string(finish)), count);
  }
}

void Metrics::write_calls(std::string& out) const {
  constexpr std::array<std::string_view, kChecks> words = {"exact", "checked", "invalid", "unchecked", "cut"};
  head(out, "kvern_tool_calls_total", Kind::counter, "Tool calls, by how they were held to their schemas.");
  for (std::size_t i = 0; i < kChecks; ++i)
    sample(out, "kvern_tool_calls_total", fmt::format("check=\"{}\"", words[i]), checks_[i]);
  single(out, "kvern_tool_calls_unconstrained_total", Kind::counter, "Tool calls read from text that no grammar held.",
         unconstrained_calls_);
}

std::string Metrics::text(const Now& now) const {
  std::string out;
  {
    const std::lock_guard lock(mutex_);
    write_finishes(out);
    write_calls(out);
    head(out, "kvern_prompt_tokens_total", Kind::counter, "Prompt tokens, by where they came from.");
    sample(out, "kvern_prompt_tokens_total", "source=\"device\"", device_tokens_);
    sample(out, "kvern_prompt_tokens_total", "source=\"memory\"", memory_tokens_);
    sample(out, "kvern_prompt_tokens_total", "source=\"disk\"", disk_tokens_);
    sample(out, "kvern_prompt_tokens_total", "source=\"computed\"", computed_tokens_);
    single(out, "kvern_completion_tokens_total", Kind::counter, "Tokens generated.", completion_tokens_);
    single(out, "kvern_drafted_tokens_total", Kind::counter, "Tokens guessed ahead and computed.", drafted_tokens_);
    single(out, "kvern_accepted_tokens_total", Kind::counter, "Guessed tokens that were right.", accepted_tokens_);
    head(out, "kvern_reuse_stops_total", Kind::counter, "Requests, by why reuse stopped where it did.");
    for (std::size_t i = 0; i < kReasons; ++i) {
      const std::string_view word = to_string(static_cast<ReuseStop>(i));
      sample(out, "kvern_reuse_stops_total", fmt::format("reason=\"{}\"", word), reasons_[i]);
    }
    ttft_.write(out, "kvern_time_to_first_token_seconds", "From a request's arrival to its first token.");
    queue_.write(out, "kvern_queue_seconds", "From a request's arrival to the start of its work.");
  }
  single(out, "kvern_requests_running", Kind::gauge, "Requests being worked on.", now.running);
  single(out, "kvern_requests_waiting", Kind::gauge, "Requests that wait for their turn.", now.waiting);
  write_cache(out, now.cache, now.disk);
  if (now.disk) write_disk(out, *now.disk);
  return out;
}

}  // namespace kvern::app
