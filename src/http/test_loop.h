// A loop for tests in which nothing happens by itself: posted functions and timers run when the test says so.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "http/loop.h"

namespace kvern::http::test {

class TestLoop final : public Loop {
 public:
  // Until nothing is posted any more.
  void run() override {
    while (run_one()) {
    }
  }
  bool run_one() {
    if (posted_.empty()) return false;
    const auto function = std::move(posted_.front());
    posted_.pop_front();
    function();
    return true;
  }
  // A millisecond at a time, with everything that is due meanwhile.
  void advance_ms(int duration_ms) {
    for (run(); duration_ms > 0; --duration_ms) {
      clock_.advance_us(1'000);
      for (TestTimer* timer : std::vector<TestTimer*>(timers_)) timer->look();
      run();
    }
  }
  std::size_t running_timers() const {
    return static_cast<std::size_t>(
        std::count_if(timers_.begin(), timers_.end(), [](const TestTimer* timer) { return timer->end_us >= 0; }));
  }
  const Clock& clock() const { return clock_; }

  void stop() override {}
  void post(std::function<void()> function) override { posted_.push_back(std::move(function)); }
  std::unique_ptr<Timer> timer(std::function<void()> on_end) override {
    return std::make_unique<TestTimer>(*this, std::move(on_end));
  }
  std::unique_ptr<Listener> accept(int, std::function<void(std::unique_ptr<Socket>)>) override { return nullptr; }
  void on_signal(std::function<void(int)>) override {}

 private:
  struct TestTimer final : Timer {
    TestTimer(TestLoop& owner, std::function<void()> at_end) : loop(owner), on_end(std::move(at_end)) {
      loop.timers_.push_back(this);
    }
    ~TestTimer() override { std::erase(loop.timers_, this); }
    void start(int after_ms) override { end_us = loop.clock_.now_us() + std::int64_t{1'000} * after_ms; }
    void stop() override { end_us = -1; }
    void look() {
      if (end_us < 0 || loop.clock_.now_us() < end_us) return;
      end_us = -1;
      on_end();
    }

    TestLoop& loop;
    std::function<void()> on_end;
    std::int64_t end_us = -1;
  };

  FakeClock clock_;
  std::deque<std::function<void()>> posted_;
  std::vector<TestTimer*> timers_;
};

}  // namespace kvern::http::test
