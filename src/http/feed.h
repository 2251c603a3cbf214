// One text for many: event streams that all say the same, a state and what changes in it.
//
// Whoever publishes says what changed. A client that took everything so far is told that; any other, because
// it is new or was too slow, is told the whole state instead. So a client holds one text at most, which all
// share, and one that does not read costs nothing more until it is given up. No timer, no thread and no text
// is a client's own. Others get their turn between every few clients.
//
// Thread: net.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/limits.h"
#include "http/loop.h"

namespace kvern::http {

// Whole events, framed once for everybody.
class FeedText {
 public:
  enum class Place { between, last };
  explicit FeedText(std::string_view events, Place place = Place::between);
  std::string_view chunked() const { return bytes_; }  // with the body's end behind the last
  std::string_view plain() const { return std::string_view(bytes_).substr(begin_, size_); }  // for HTTP/1.0

 private:
  std::string bytes_;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
};
using SharedFeedText = std::shared_ptr<const FeedText>;

class FeedFollower;

// Where a follower is in its feed, which alone looks at it.
struct FeedPlace {
  static constexpr std::uint64_t kNew = UINT64_MAX;
  std::uint64_t position = kNew;  // what it was told last
  std::int64_t moved_us = 0;      // when it was told that, or has taken a byte of it since
  std::list<FeedFollower*>::iterator entry;
};

// A client of a feed. It leaves the feed before it is destroyed.
class FeedFollower {
 public:
  virtual bool busy() const = 0;               // something is still on its way
  virtual void tell(SharedFeedText text) = 0;  // while not busy; Feed::was_told() when it is out
  virtual void give_up() = 0;                  // it takes no byte for too long

  FeedPlace place;

 protected:
  ~FeedFollower() = default;
};

struct FeedOptions {
  // The whole state as events; asked at most once after each publish(), when somebody needs it.
  std::function<std::string()> whole;
  std::string farewell;  // the last event of a stream that the server ends
  // The number of followers has changed.
  std::function<void(std::size_t followers)> on_followers;

  // Tests own the time, and make what is from limits.h small.
  const Clock* clock = &steady_clock();
  int keep_alive_ms = limits::kFeedKeepAlive_ms;
  int write_timeout_ms = limits::kWriteTimeout_ms;
};

class Feed : public std::enable_shared_from_this<Feed> {
 public:
  Feed(std::shared_ptr<Loop> loop, FeedOptions options);
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  // What changed, as events; empty: everybody is told the whole state.
  void publish(std::string_view change);
  // What was published may not be true any more: who comes waits for the next publish(), and that tells everybody
  // the whole state.
  void forget();
  std::size_t followers() const { return followers_.size(); }

  // For followers.
  void add(FeedFollower& follower);
  void remove(FeedFollower& follower);
  void took_some(FeedFollower& follower);  // a part of what it was told; it is busy still
  void was_told(FeedFollower& follower);   // it is not busy any more; tells it what there is
  const SharedFeedText& farewell() const { return farewell_; }

 private:
  enum class Round { news, keep_alive };
  void begin_round(Round round);
  void go_round();
  void visit(FeedFollower& follower);
  SharedFeedText next(FeedFollower& follower);
  void tell(FeedFollower& follower, SharedFeedText text);

  const std::shared_ptr<Loop> loop_;
  const FeedOptions options_;
  const SharedFeedText farewell_;
  const SharedFeedText keep_alive_;
  std::unique_ptr<Timer> quiet_;  // since the last publish() or keep-alive
  std::list<FeedFollower*> followers_;
  std::uint64_t position_ = 0;  // of what was published last
  bool known_ = false;          // something was published and not forgotten
  SharedFeedText change_;       // from the position before; null: none
  SharedFeedText whole_;        // null: nobody needed it yet
  Round round_ = Round::news;
  std::list<FeedFollower*>::iterator next_;  // who is visited next in this round
  bool going_round_ = false;
};

}  // namespace kvern::http
