#include "http/feed.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "http/sse.h"

namespace kvern::http {
namespace {

// Each costs some microseconds in the system; whoever waits for an answer meanwhile must not wait for all.
constexpr int kVisitsAtOnce = 32;

}  // namespace

FeedText::FeedText(std::string_view events, Place place) : size_(events.size()) {
  bytes_ = fmt::format("{:x}\r\n", events.size());
  begin_ = bytes_.size();
  bytes_ += events;
  bytes_ += place == Place::last ? "\r\n0\r\n\r\n" : "\r\n";
}

Feed::Feed(std::shared_ptr<Loop> loop, FeedOptions options)
    : loop_(std::move(loop)),
      options_(std::move(options)),
      farewell_(std::make_shared<FeedText>(options_.farewell, FeedText::Place::last)),
      keep_alive_(std::make_shared<FeedText>(kSsePing)),
      quiet_(loop_->timer([this] { begin_round(Round::keep_alive); })),
      next_(followers_.end()) {}

void Feed::publish(std::string_view change) {
  const bool follows = known_ && !change.empty();
  known_ = true;
  ++position_;
  change_ = follows ? std::make_shared<FeedText>(change) : nullptr;
  whole_ = nullptr;
  begin_round(Round::news);
}

void Feed::forget() {
  known_ = false;
  change_ = nullptr;
  whole_ = nullptr;
}

void Feed::add(FeedFollower& follower) {
  if (followers_.empty()) quiet_->start(options_.keep_alive_ms);
  follower.place.entry = followers_.insert(followers_.end(), &follower);
  took_some(follower);
  if (options_.on_followers) options_.on_followers(followers_.size());
  if (!follower.busy()) was_told(follower);
}

void Feed::remove(FeedFollower& follower) {
  if (next_ == follower.place.entry) ++next_;
  followers_.erase(follower.place.entry);
  if (followers_.empty()) quiet_->stop();
  if (options_.on_followers) options_.on_followers(followers_.size());
}

void Feed::took_some(FeedFollower& follower) { follower.place.moved_us = options_.clock->now_us(); }

void Feed::was_told(FeedFollower& follower) {
  if (SharedFeedText text = next(follower)) tell(follower, std::move(text));
}

void Feed::begin_round(Round round) {
  quiet_->start(options_.keep_alive_ms);
  round_ = round;
  next_ = followers_.begin();
  if (!going_round_) go_round();
}

void Feed::go_round() {
  going_round_ = true;
  for (int visits = 0; visits < kVisitsAtOnce && next_ != followers_.end(); ++visits) visit(**next_++);
  going_round_ = next_ != followers_.end();
  if (!going_round_) return;
  loop_->post([feed = weak_from_this()] {
    if (const auto alive = feed.lock()) alive->go_round();
  });
}

void Feed::visit(FeedFollower& follower) {
  if (follower.busy()) {
    const std::int64_t waits_us = options_.clock->now_us() - follower.place.moved_us;
    if (waits_us > std::int64_t{1'000} * options_.write_timeout_ms) follower.give_up();
    return;
  }
  SharedFeedText text = next(follower);
  if (!text && round_ == Round::keep_alive) text = keep_alive_;
  if (text) tell(follower, std::move(text));
}

// What it has not been told yet, if anything; it counts as told.
SharedFeedText Feed::next(FeedFollower& follower) {
  if (!known_ || follower.place.position == position_) return nullptr;
  const bool follows = change_ && follower.place.position + 1 == position_;
  follower.place.position = position_;
  if (follows) return change_;
  if (!whole_) whole_ = std::make_shared<FeedText>(options_.whole());
  return whole_;
}

void Feed::tell(FeedFollower& follower, SharedFeedText text) {
  took_some(follower);
  follower.tell(std::move(text));
}

}  // namespace kvern::http
