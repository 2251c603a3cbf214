#include "app/activity_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"
#include "http/test_loop.h"

namespace kvern::app {
namespace {

using schedule::RequestReport;
using testing::ElementsAre;
using testing::IsEmpty;

// A watcher whose socket takes everything at once, unless it is slow.
class Watcher final : public http::Exchange, public http::FeedFollower {
 public:
  explicit Watcher(bool slow = false) : slow_(slow) {}
  ~Watcher() override { leave(); }
  void leave() {
    if (feed_) feed_->remove(*this);
    feed_ = nullptr;
  }
  // The names of the events told since the last call, and their data in data.
  std::vector<std::string> events() {
    data.clear();
    std::vector<std::string> names;
    for (const std::string& text : std::exchange(texts_, {})) {
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find("\n\n", at);
        const std::string event = text.substr(at, end - at);
        at = end + 2;
        if (event.starts_with(':')) continue;
        const std::size_t line = event.find('\n');
        names.push_back(event.substr(7, line - 7));
        data.push_back(*parse_json(std::string_view(event).substr(line + 7)));
      }
    }
    return names;
  }
  void took() {
    busy_ = false;
    feed_->was_told(*this);
  }
  std::vector<Json> data;

  void follow(std::shared_ptr<http::Feed> feed) override {
    feed_ = std::move(feed);
    feed_->add(*this);
  }
  bool busy() const override { return busy_; }
  void tell(http::SharedFeedText text) override {
    texts_.emplace_back(text->plain());
    busy_ = slow_;
  }
  void give_up() override {}

  void respond(int, std::string, std::string, http::Headers) override {}
  void start_stream(http::Headers, std::string_view) override {}
  void write(std::string) override {}
  void finish() override {}
  std::size_t unsent_bytes() const override { return 0; }
  bool closed() const override { return false; }
  void run_on_net(std::function<void()>) override {}
  void on_room(std::function<void()>) override {}
  void on_close(std::function<void()>) override {}

 private:
  const bool slow_;
  bool busy_ = false;
  std::shared_ptr<http::Feed> feed_;
  std::vector<std::string> texts_;
};

RequestReport report(const std::string& id, std::int32_t completion_tokens = 0) {
  RequestReport report;
  report.id = id;
  report.running = true;
  report.state = completion_tokens > 0 ? RequestReport::State::decode : RequestReport::State::prefill;
  report.prompt_tokens = 10;
  report.completion_tokens = completion_tokens;
  return report;
}

class ActivityFeedTest : public testing::Test {
 protected:
  ActivityFeedTest() {
    feed.read_from({.post =
                        [this](std::function<void()> job) {
                          if (stopped) return false;
                          jobs.push_back(std::move(job));
                          if (quick) run_jobs();
                          return true;
                        },
                    .read =
                        [this] {
                          ++reads;
                          return state;
                        }});
  }
  ~ActivityFeedTest() override { loop->run(); }

  void run_jobs() {
    while (!jobs.empty()) {
      const auto job = std::move(jobs.front());
      jobs.pop_front();
      job();
    }
  }
  // The engine thread made a step.
  void change(std::vector<RequestReport> requests) {
    state.requests = std::move(requests);
    state.totals.running = static_cast<std::int32_t>(state.requests.size());
    feed.changed();
    loop->run();
  }
  void end(const std::string& id) {
    std::erase_if(state.requests, [&](const RequestReport& request) { return request.id == id; });
    ++state.totals.ended;
    feed.ended({report(id), {}, FinishReason::stop});
    change(state.requests);
  }
  void watch(Watcher& watcher) {
    EXPECT_TRUE(feed.follow(watcher));
    loop->run();
  }

  std::shared_ptr<http::test::TestLoop> loop = std::make_shared<http::test::TestLoop>();
  ActivityFeed feed{loop, loop->clock()};
  Activity state;
  int reads = 0;
  bool stopped = false;
  bool quick = true;  // the engine thread runs a job at once
  std::deque<std::function<void()>> jobs;
};

TEST_F(ActivityFeedTest, NobodyWatchesAndNothingIsRead) {
  change({report("a")});
  loop->advance_ms(60'000);
  end("a");
  EXPECT_EQ(reads, 0);
  EXPECT_EQ(loop->running_timers(), 0U);
}

TEST_F(ActivityFeedTest, ASnapshotComesFirstThenWhatChangedThenAnEnd) {
  change({report("a")});
  Watcher watcher;
  watch(watcher);
  EXPECT_THAT(watcher.events(), ElementsAre("snapshot"));
  EXPECT_EQ(watcher.data[0]["version"], 1);
  EXPECT_EQ(watcher.data[0]["requests"][0]["id"], "a");
  EXPECT_EQ(watcher.data[0]["requests"][0]["state"], "prefill");
  change({report("a", 5), report("b")});
  loop->advance_ms(1'000);
  EXPECT_THAT(watcher.events(), ElementsAre("change"));
  EXPECT_EQ(watcher.data[0]["requests"].size(), 2U);
  change({report("a", 6), report("b")});
  loop->advance_ms(1'000);
  EXPECT_THAT(watcher.events(), ElementsAre("change"));
  EXPECT_EQ(watcher.data[0]["requests"].size(), 1U) << "b is as it was";
  EXPECT_EQ(watcher.data[0]["requests"][0]["completion_tokens"], 6);
  end("a");
  loop->advance_ms(1'000);
  EXPECT_THAT(watcher.events(), ElementsAre("end", "change"));
  EXPECT_EQ(watcher.data[0]["id"], "a");
  EXPECT_EQ(watcher.data[0]["finish"], "stop");
  EXPECT_EQ(watcher.data[1]["totals"]["ended"], 1);
  EXPECT_THAT(watcher.data[1]["requests"], IsEmpty());
}

TEST_F(ActivityFeedTest, AThousandStepsASecondAreFourEvents) {
  Watcher watcher;
  watch(watcher);
  watcher.events();
  const int before = reads;
  for (int step = 1; step <= 1'000; ++step) {
    change({report("a", step)});
    loop->advance_ms(1);
  }
  loop->advance_ms(250);
  EXPECT_THAT(watcher.events(), ElementsAre("change", "change", "change", "change"));
  EXPECT_EQ(watcher.data[3]["requests"][0]["completion_tokens"], 1'000) << "the last one is not lost";
  EXPECT_LE(reads - before, 5);
}

TEST_F(ActivityFeedTest, WhileNothingChangesNothingIsReadAndOnlyLifeIsShown) {
  Watcher watcher;
  watch(watcher);
  watcher.events();
  loop->advance_ms(60'000);
  EXPECT_THAT(watcher.events(), IsEmpty());
  feed.changed();  // a step that changed nothing of this
  loop->advance_ms(1'000);
  EXPECT_THAT(watcher.events(), IsEmpty());
  EXPECT_EQ(reads, 2);
}

// Most steps change something, but not all: those must not cost more than the others.
TEST_F(ActivityFeedTest, StepsThatChangeNothingAreLookedAtFourTimesASecond) {
  Watcher watcher;
  watch(watcher);
  watcher.events();
  loop->advance_ms(1'000);
  const int before = reads;
  for (int step = 1; step <= 1'000; ++step) {
    change({});
    loop->advance_ms(1);
  }
  EXPECT_THAT(watcher.events(), IsEmpty());
  EXPECT_LE(reads - before, 5);
  change({report("a")});
  loop->advance_ms(250);
  EXPECT_THAT(watcher.events(), ElementsAre("change")) << "news wait no longer for that";
}

TEST_F(ActivityFeedTest, ManyWatchersHearLessOftenAndTheStateIsReadOnceForAll) {
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (int i = 0; i < 1'000; ++i) watch(*watchers.emplace_back(std::make_unique<Watcher>()));
  EXPECT_LE(reads, 2);
  loop->advance_ms(2'000);
  for (const auto& watcher : watchers) watcher->events();
  const int before = reads;
  for (int step = 1; step <= 10'000; step += 10) {
    change({report("a", step)});
    loop->advance_ms(10);
  }
  EXPECT_NEAR(static_cast<double>(watchers[7]->events().size()), 10.0 * limits::kWatchTexts_per_s / 1'000, 1);
  EXPECT_LE(reads - before, 10 * limits::kWatchTexts_per_s / 1'000 + 1);
}

TEST_F(ActivityFeedTest, OneThatComesLaterIsToldTheSame) {
  Watcher first;
  watch(first);
  change({report("a", 3)});
  loop->advance_ms(1'000);
  const int before = reads;
  Watcher second;
  watch(second);
  EXPECT_THAT(second.events(), ElementsAre("snapshot"));
  EXPECT_EQ(second.data[0]["requests"][0]["completion_tokens"], 3);
  EXPECT_EQ(reads, before) << "what is known is told";
}

TEST_F(ActivityFeedTest, WhatWasToldToFormerWatchersIsNotToldToTheNext) {
  {
    Watcher former;
    watch(former);
    change({report("a", 3)});
    loop->advance_ms(1'000);
    end("a");
  }
  loop->run();
  state.requests = {report("b")};
  loop->advance_ms(1'000);
  Watcher next;
  watch(next);
  EXPECT_THAT(next.events(), ElementsAre("snapshot"));
  EXPECT_EQ(next.data[0]["requests"].size(), 1U);
  EXPECT_EQ(next.data[0]["requests"][0]["id"], "b");
  loop->advance_ms(1'000);
  EXPECT_THAT(next.events(), IsEmpty());
}

TEST_F(ActivityFeedTest, ASlowWatcherIsToldTheNewestState) {
  Watcher slow(true);
  watch(slow);
  for (int step = 1; step <= 40; ++step) {
    change({report("a", step)});
    loop->advance_ms(250);
  }
  EXPECT_THAT(slow.events(), ElementsAre("snapshot")) << "one text waits for it, not forty";
  slow.took();
  EXPECT_THAT(slow.events(), ElementsAre("snapshot"));
  EXPECT_EQ(slow.data[0]["requests"][0]["completion_tokens"], 40);
}

// A long step of the engine: it is asked once, and what comes meanwhile is told after.
TEST_F(ActivityFeedTest, AnEngineThatDoesNotAnswerIsAskedOnce) {
  quick = false;
  Watcher watcher;
  watch(watcher);
  for (int i = 0; i < 10; ++i) {
    change({report("a", i)});
    loop->advance_ms(500);
  }
  EXPECT_EQ(jobs.size(), 1U);
  run_jobs();
  change({report("a", 11)});
  loop->advance_ms(1'000);
  run_jobs();
  loop->advance_ms(1'000);
  run_jobs();
  loop->advance_ms(1'000);
  watcher.events();
  EXPECT_EQ(watcher.data.back()["requests"][0]["completion_tokens"], 11);
  change({report("a", 12)});
  loop->advance_ms(1'000);
  run_jobs();
  loop->advance_ms(1'000);
  watcher.events();
  EXPECT_EQ(watcher.data.back()["requests"][0]["completion_tokens"], 12) << "it is asked again";
}

// Two changes in the middle of a question: the second must be told, too.
TEST_F(ActivityFeedTest, AChangeBetweenAnAnswerAndItsArrivalIsToldLater) {
  Watcher watcher;
  watch(watcher);
  loop->advance_ms(1'000);
  watcher.events();
  state.requests = {report("a", 1)};
  feed.changed();
  while (reads < 2) ASSERT_TRUE(loop->run_one());  // read, and not taken yet
  state.requests = {report("a", 2)};
  feed.changed();
  loop->advance_ms(1'000);
  watcher.events();
  EXPECT_EQ(watcher.data.back()["requests"][0]["completion_tokens"], 2);
}

TEST_F(ActivityFeedTest, WhereSoManyEndThatSomeEndsAreLeftOutTheWholeIsTold) {
  Watcher watcher;
  std::vector<RequestReport> crowd;
  for (int i = 0; i < 100; ++i) crowd.push_back(report(std::to_string(i), 1));
  change(crowd);
  watch(watcher);
  watcher.events();
  for (int i = 0; i < 100; ++i) {
    ++state.totals.ended;
    feed.ended({report(std::to_string(i)), {}, FinishReason::cancelled});
  }
  change({});
  loop->advance_ms(1'000);
  EXPECT_EQ(watcher.events().size(), limits::kWatchEnds + 1);
  EXPECT_EQ(watcher.data[0]["id"], "36");
  EXPECT_TRUE(watcher.data.back().contains("version")) << "a snapshot";
  EXPECT_THAT(watcher.data.back()["requests"], IsEmpty());
  EXPECT_EQ(watcher.data.back()["totals"]["ended"], 100);
}

TEST_F(ActivityFeedTest, MoreThanFitsIsLeftOutAndCounted) {
  std::vector<RequestReport> crowd;
  for (int i = 0; i < 2'000; ++i) crowd.push_back(report("chatcmpl-" + std::string(100, 'x') + std::to_string(i)));
  state.requests = crowd;
  Watcher watcher;
  watch(watcher);
  watcher.events();
  const std::size_t told = watcher.data[0]["requests"].size();
  EXPECT_LT(dump_json(watcher.data[0]).size(), limits::kWatchTextBytes + 1'000);
  EXPECT_GT(told, 500U);
  EXPECT_EQ(watcher.data[0]["left_out"], 2'000 - told);
  for (RequestReport& request : crowd) ++request.completion_tokens;
  change(crowd);
  loop->advance_ms(1'000);
  EXPECT_THAT(watcher.events(), ElementsAre("snapshot"));
}

TEST_F(ActivityFeedTest, ThereIsAMostOfWatchersAndOneThatLeavesMakesRoom) {
  std::vector<std::unique_ptr<Watcher>> watchers;
  Status status;
  while ((status = feed.follow(*watchers.emplace_back(std::make_unique<Watcher>()))) && watchers.size() < 5'000) {
  }
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::busy);
  EXPECT_THAT(status.error().message, testing::HasSubstr("/kvern/requests"));
  EXPECT_LE(watchers.size(), limits::kWatchers + 1);
  watchers.front()->leave();
  EXPECT_TRUE(feed.follow(*watchers.back()));
  loop->run();
}

TEST_F(ActivityFeedTest, AStoppedEngineIsNoReasonToHang) {
  stopped = true;
  Watcher watcher;
  watch(watcher);
  change({report("a")});
  loop->advance_ms(1'000);
  EXPECT_THAT(watcher.events(), IsEmpty());
}

TEST(Activity, ASessionIsShownAsAShortWordThatSaysNothing) {
  EXPECT_EQ(session_name("", "secret"), "");
  const std::string name = session_name("claude:1234", "secret");
  EXPECT_EQ(name.size(), 8U);
  EXPECT_EQ(session_name("claude:1234", "secret"), name);
  EXPECT_NE(session_name("claude:1234", "other"), name);
  const std::string agent = session_name("claude:1234/a1", "secret");
  EXPECT_EQ(agent.substr(0, 9), name + "/") << "agents of a session are seen to belong to it";
  EXPECT_NE(agent, session_name("claude:1234/a2", "secret"));
}

TEST(Activity, TheWordOfASessionIsTheSameWhetherItIsKnownOrNot) {
  const SessionWords words("secret");
  EXPECT_EQ(words.of(""), "");
  for (int time = 0; time < 2; ++time) {
    for (const char* session : {"claude:1234", "claude:1234/a1", "claude:1234/a2", "other"})
      EXPECT_EQ(words.of(session), session_name(session, "secret")) << session;
  }
  // More than are kept.
  for (int i = 0; i < 5'000; ++i) words.of("session " + std::to_string(i));
  EXPECT_EQ(words.of("claude:1234"), session_name("claude:1234", "secret"));
}

TEST(Activity, ARequestIsToldInFull) {
  Activity now;
  now.time_ms = 1'700'000'000'250;
  now.model = "m\"x";
  RequestReport request = report("chatcmpl-1", 7);
  request.session = "aaaaaaaa/bbbbbbbb";
  request.priority = Priority::sub_agent;
  request.reused_tokens = 6;
  request.computed_tokens = 4;
  request.tokens_max = 100;
  request.why = ReuseStop::new_text;
  request.age_us = 1'234'567;
  request.tokens_per_s = 58.07;
  now.requests = {request, report("2")};
  const Json told = *parse_json(snapshot_json(now, 10'000));
  EXPECT_EQ(told["time"], 1'700'000'000.25);
  EXPECT_EQ(dump_json(told["requests"][0]),
            R"({"id":"chatcmpl-1","model":"m\"x","session":"aaaaaaaa","agent":"bbbbbbbb","class":"sub_agent",)"
            R"("state":"decode","prompt_tokens":10,"reused_tokens":6,"computed_tokens":4,"completion_tokens":7,)"
            R"("tokens_max":100,"why":"new_text","age_s":1.235,"tokens_per_s":58.1})");
  for (const char* unknown : {"session", "agent", "tokens_max", "why"})
    EXPECT_TRUE(told["requests"][1][unknown].is_null()) << unknown;
}

}  // namespace
}  // namespace kvern::app
