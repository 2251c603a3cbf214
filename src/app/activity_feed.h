// Tells whoever watches what the server does: GET /kvern/events, described in docs/events.md.
//
// The state is read on the engine thread once for all watchers, only while there are any, only when something has
// changed, and at most every kWatchInterval_ms; of many watchers each hears less often, so that all together cost a
// bounded part of the net thread. What is said is made once and shared; see http/feed.h.
//
// Thread: net, but changed() any thread and ended() the engine's.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/activity.h"
#include "base/clock.h"
#include "http/feed.h"
#include "http/server.h"

namespace kvern::app {

class ActivityFeed {
 public:
  struct Source {
    std::function<bool(std::function<void()> job)> post;  // runs the job on the engine thread; false: never
    std::function<Activity()> read;                       // on that thread; `ended` is not filled in
  };
  // It ends before the loop does, after the engine thread, and the loop runs nothing any more by then.
  ActivityFeed(std::shared_ptr<http::Loop> loop, const Clock& clock);

  // Before anything else; thread: engine.
  void read_from(Source source) { source_ = std::move(source); }

  // The exchange becomes a watcher. Code::busy when there are as many as there may be.
  Status follow(http::Exchange& exchange);

  // Thread: any. Cheap: an atomic's look unless somebody watches and has not been promised news yet.
  void changed();
  // Thread: engine.
  void ended(EndedRequest request);

 private:
  void on_watchers(std::size_t count);
  void plan();
  void ask();
  void take(Activity now);
  void tell(Activity now);
  std::string changes(const Activity& now) const;
  std::int64_t interval_us() const;

  const std::shared_ptr<http::Loop> loop_;
  const Clock& clock_;
  const std::size_t watchers_max_;
  Source source_;

  std::atomic<bool> watched_{false};
  std::atomic<bool> noticed_{false};  // a change that net has been told of and the engine thread not been asked for
  std::vector<EndedRequest> ended_;   // thread: engine

  const std::unique_ptr<http::Timer> due_;
  const std::shared_ptr<http::Feed> feed_;
  std::int64_t due_us_ = 0;  // nothing is read before, whether or not the last time brought news
  bool asking_ = false;
  bool again_ = false;  // something was noticed while asking
  bool fresh_ = false;  // told_ is what was told last
  Activity told_;
};

}  // namespace kvern::app
