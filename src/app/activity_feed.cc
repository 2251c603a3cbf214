#include "app/activity_feed.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/limits.h"
#include "http/loop.h"
#include "http/sse.h"

namespace kvern::app {
namespace {

// Where the system allows few files half of them stay for requests.
std::size_t watchers_max() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return limits::kWatchers;
  return std::min<std::size_t>(limits::kWatchers, files.rlim_cur / 2);
}

std::string event(std::string_view name, std::string_view data) {
  std::string out;
  http::append_sse(out, name, data);
  return out;
}

}  // namespace

ActivityFeed::ActivityFeed(std::shared_ptr<http::Loop> loop, const Clock& clock)
    : loop_(std::move(loop)),
      clock_(clock),
      watchers_max_(watchers_max()),
      due_(loop_->timer([this] { ask(); })),
      feed_(std::make_shared<http::Feed>(
          loop_, http::FeedOptions{
                     .whole = [this] { return event("snapshot", snapshot_json(told_, limits::kWatchTextBytes)); },
                     .farewell = event("stop", R"({"reason":"the server is shutting down"})"),
                     .on_followers = [this](std::size_t count) { on_watchers(count); },
                     .clock = &clock,
                 })) {}

Status ActivityFeed::follow(http::Exchange& exchange) {
  if (feed_->followers() >= watchers_max_)
    return fail(Code::busy, fmt::format("{} clients watch this server already; GET /kvern/requests tells the same once",
                                        feed_->followers()));
  exchange.follow(feed_);
  return {};
}

void ActivityFeed::changed() {
  if (!watched_.load(std::memory_order_acquire) || noticed_.exchange(true)) return;
  loop_->post([this] { plan(); });
}

void ActivityFeed::ended(EndedRequest request) {
  if (!watched_.load(std::memory_order_acquire)) return;
  if (ended_.size() >= limits::kWatchEnds) ended_.erase(ended_.begin());
  ended_.push_back(std::move(request));
}

// What was told before the first came may be long past.
void ActivityFeed::on_watchers(std::size_t count) {
  const bool watched = count > 0;
  if (watched_.exchange(watched, std::memory_order_acq_rel) == watched) return;
  if (!watched) return due_->stop();
  fresh_ = false;
  feed_->forget();
  plan();
}

std::int64_t ActivityFeed::interval_us() const {
  const auto shared_us = static_cast<std::int64_t>(feed_->followers()) * 1'000'000 / limits::kWatchTexts_per_s;
  return std::max<std::int64_t>(limits::kWatchInterval_ms * 1'000, shared_us);
}

void ActivityFeed::plan() {
  const std::int64_t wait_us = due_us_ - clock_.now_us();
  if (wait_us <= 0) return ask();
  due_->start(static_cast<int>((wait_us + 999) / 1'000));
}

void ActivityFeed::ask() {
  if (std::exchange(asking_, true)) {
    again_ = true;
    return;
  }
  const bool posted = source_.post([this] {
    noticed_ = false;  // what changes from here on is news again
    auto now = std::make_shared<Activity>(source_.read());
    now->ended = std::exchange(ended_, {});
    loop_->post([this, now] { take(std::move(*now)); });
  });
  asking_ = posted;
}

void ActivityFeed::take(Activity now) {
  asking_ = false;
  due_us_ = clock_.now_us() + interval_us();
  if (watched_) tell(std::move(now));
  if (std::exchange(again_, false)) plan();
}

void ActivityFeed::tell(Activity now) {
  const std::string change = fresh_ ? changes(now) : std::string();
  if (fresh_ && change.empty()) return;
  now.ended.clear();
  told_ = std::move(now);
  feed_->publish(change);
  fresh_ = true;
}

// As events; nothing when nothing changed. The whole state where a change would be too long, or would not say that a
// request is gone: so many ended that the ends of some were left out.
std::string ActivityFeed::changes(const Activity& now) const {
  std::unordered_map<std::string_view, const schedule::RequestReport*> before;
  for (const schedule::RequestReport& request : told_.requests) before.emplace(request.id, &request);
  std::string ends;
  for (const EndedRequest& ended : now.ended) {
    ends += event("end", end_json(ended, now.model));
    before.erase(ended.report.id);
  }
  std::vector<const schedule::RequestReport*> changed;
  for (const schedule::RequestReport& request : now.requests) {
    const auto found = before.find(request.id);
    if (found == before.end() || differs(*found->second, request)) changed.push_back(&request);
    if (found != before.end()) before.erase(found);
  }
  if (ends.empty() && before.empty() && changed.empty() && now.totals == told_.totals) return {};
  const std::string change = event("change", change_json(now, changed));
  if (before.empty() && change.size() <= limits::kWatchTextBytes) return ends + change;
  return ends + event("snapshot", snapshot_json(now, limits::kWatchTextBytes));
}

}  // namespace kvern::app
