#include "schedule/simulation/shrink.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace kvern::schedule::simulation {
namespace {

// Makes an arrival plainer in one way; nothing changes where it is plain already.
using Simplify = void (*)(Arrival&);

constexpr Simplify kSimplify[] = {
    [](Arrival& a) { a.cancel_at_us = -1; },    [](Arrival& a) { a.capacity = Arrival().capacity, a.reads_every = 1; },
    [](Arrival& a) { a.call = false; },         [](Arrival& a) { a.priority = Priority::interactive; },
    [](Arrival& a) { a.session.clear(); },      [](Arrival& a) { a.turns = 0; },
    [](Arrival& a) { a.turns -= a.turns > 0; }, [](Arrival& a) { a.agent = 0; },
    [](Arrival& a) { a.padding /= 2; },         [](Arrival& a) { a.question = (a.question + 1) / 2; },
    [](Arrival& a) { a.letter = 'x'; },         [](Arrival& a) { a.reads_every = (a.reads_every + 1) / 2; },
};

class Shrinking {
 public:
  Shrinking(Traffic failing, const std::string& failure, const Rules& rules, int runs_max)
      : traffic_(std::move(failing)), kind_(kind_of(failure)), rules_(rules), runs_left_(runs_max) {}

  Traffic run() {
    while (pass()) {
    }
    return std::move(traffic_);
  }

 private:
  // True when something went.
  bool pass() {
    bool changed = drop_arrivals();
    changed = simplify_all() || changed;
    changed = come_sooner() || changed;
    changed = run_fewer() || changed;
    return changed;
  }

  // Keeps the traffic when it fails still.
  bool take(Traffic fewer) {
    if (runs_left_ <= 0) return false;
    --runs_left_;
    const auto failure = simulate(fewer, rules_).failure;
    if (!failure || kind_of(*failure) != kind_) return false;
    traffic_ = std::move(fewer);
    return true;
  }

  // Halves, quarters, and so on to single ones.
  bool drop_arrivals() {
    bool changed = false;
    for (std::size_t part = (traffic_.arrivals.size() + 1) / 2; part > 0; part /= 2) {
      for (std::size_t begin = 0; begin < traffic_.arrivals.size();) {
        Traffic fewer = traffic_;
        const auto at = [&fewer](std::size_t i) { return fewer.arrivals.begin() + static_cast<std::ptrdiff_t>(i); };
        fewer.arrivals.erase(at(begin), at(std::min(begin + part, fewer.arrivals.size())));
        if (take(std::move(fewer))) {
          changed = true;
        } else {
          begin += part;
        }
      }
    }
    return changed;
  }

  bool simplify_all() {
    bool changed = false;
    for (std::size_t i = 0; i < traffic_.arrivals.size(); ++i) {
      for (const Simplify simplify : kSimplify) {
        // One that halves is tried until it does nothing.
        while (simplify_one(i, simplify)) changed = true;
      }
    }
    return changed;
  }

  bool simplify_one(std::size_t index, Simplify simplify) {
    Traffic plainer = traffic_;
    simplify(plainer.arrivals[index]);
    return plainer.arrivals[index] != traffic_.arrivals[index] && take(std::move(plainer));
  }

  // Pauses before an arrival shrink, for it and all that follow.
  bool come_sooner() {
    bool changed = false;
    for (std::size_t i = 0; i < traffic_.arrivals.size(); ++i) {
      while (come_sooner(i, pause_before(i)) || come_sooner(i, (pause_before(i) + 1) / 2)) changed = true;
    }
    return changed;
  }

  std::int64_t pause_before(std::size_t index) const {
    return traffic_.arrivals[index].at_us - (index > 0 ? traffic_.arrivals[index - 1].at_us : 0);
  }

  bool come_sooner(std::size_t index, std::int64_t by_us) {
    if (by_us == 0) return false;
    Traffic sooner = traffic_;
    for (std::size_t i = index; i < sooner.arrivals.size(); ++i) {
      sooner.arrivals[i].at_us -= by_us;
      if (sooner.arrivals[i].cancel_at_us >= 0) sooner.arrivals[i].cancel_at_us -= by_us;
    }
    return take(std::move(sooner));
  }

  bool run_fewer() {
    bool changed = false;
    while (traffic_.parallel > 1) {
      Traffic fewer = traffic_;
      --fewer.parallel;
      if (!take(std::move(fewer))) break;
      changed = true;
    }
    return changed;
  }

  Traffic traffic_;
  const std::string kind_;
  const Rules& rules_;
  int runs_left_;
};

}  // namespace

std::string kind_of(const std::string& failure) {
  const std::size_t round = failure.starts_with("round ") ? failure.find(": ") : std::string::npos;
  std::string kind = round == std::string::npos ? failure : failure.substr(round + 2);
  // What was said stands in quotes, and where it happened in brackets.
  kind = kind.substr(0, std::min(kind.find('\''), kind.find('[')));
  std::erase_if(kind, [](char c) { return c >= '0' && c <= '9'; });
  return kind;
}

Traffic shrink(Traffic failing, const std::string& failure, const Rules& rules, int runs_max) {
  return Shrinking(std::move(failing), failure, rules, runs_max).run();
}

}  // namespace kvern::schedule::simulation
