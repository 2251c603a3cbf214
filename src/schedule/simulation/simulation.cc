#include "schedule/simulation/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "schedule/scheduler_test_world.h"
#include "schedule/simulation/watched_test_engine.h"

namespace kvern::schedule::simulation {
namespace {

constexpr engine::FakeCost kCost{10'000, 1'000, 0};  // as on a CPU: most prompts are long ones
constexpr const char* kCall = R"(start: "{\"count\": \"" /[a-z]{1,6}/ "\", \"unit\": \"apples\"}")";
constexpr std::int64_t kStepsMax = 100'000;

GenerateRequest request_of(const Arrival& arrival, const Vocab& vocab) {
  GenerateRequest r;
  r.id = "sim";
  vocab.tokenize(prompt_of(arrival), SpecialTokens::as_tokens, r.prompt.tokens);
  r.sampling.temperature = 0;
  r.session = arrival.session;
  r.priority = arrival.priority;
  if (arrival.call) r.constraint.lark = kCall;
  return r;
}

std::string script_of(const Traffic& traffic) {
  std::string script = kScript;
  if (traffic.window > 0) script.insert(1, fmt::format(R"("state": "sliding_window", "window": {}, )", traffic.window));
  return script;
}

struct Client {
  const Arrival* arrival = nullptr;
  std::shared_ptr<Stream> stream;
  std::string text;
  std::optional<Ending> ending;
  std::int64_t submitted_us = 0;
  bool cancelled = false;

  std::int64_t started_us() const { return submitted_us + ending->usage.queue_us; }
};

class Simulation {
 public:
  Simulation(const Traffic& traffic, const Rules& rules)
      : traffic_(traffic),
        rules_(rules),
        fake_(std::move(*engine::make_fake_engine_from_text(
            script_of(traffic),
            {.context = 1500, .sequences = 16, .cells = traffic.cells, .rows_in_parallel = !traffic.one_by_one}))),
        watched_(*fake_, kCost, rules.target_watched),
        compiler_(std::move(*constrain::Compiler::create(fake_->vocab()))),
        cache_(watched_, {.memory_bytes = traffic.memory_bytes}, clock_),
        scheduler_(watched_, cache_, *compiler_, clock_, options(traffic, rules, &ends_)) {
    fake_->charge(clock_, kCost);
  }

  Outcome run() {
    std::size_t next = 0;
    const auto& arrivals = traffic_.arrivals;
    while (!outcome_.failure && (next < arrivals.size() || ended_ < clients_.size())) {
      while (next < arrivals.size() && arrivals[next].at_us <= clock_.now_us()) submit(arrivals[next++]);
      for (Client& client : clients_) cancel(client);
      if (!scheduler_.step()) clock_.advance_us(10'000);
      ++round_;
      for (Client& client : clients_) read(client);
      check_budgets();
      check_also();
      if (round_ > kStepsMax) fail("it does not end");
    }
    outcome_.steps = watched_.steps;
    outcome_.beside_steps = watched_.beside_steps;
    outcome_.ended = ended_;
    if (!outcome_.failure) check_end();
    return outcome_;
  }

 private:
  static SchedulerOptions options(const Traffic& traffic, const Rules& rules, std::size_t* ends) {
    SchedulerOptions o;
    o.parallel = traffic.parallel;
    o.latency_target = rules.target;
    o.seed = traffic.seed;
    o.waiting_max = traffic.arrivals.size();
    o.on_end = [ends](const RequestReport&, const Usage&, FinishReason) { ++*ends; };
    return o;
  }

  void fail(std::string why) {
    if (!outcome_.failure) outcome_.failure = fmt::format("round {}: {}", round_, std::move(why));
  }

  void submit(const Arrival& arrival) {
    Client client;
    client.arrival = &arrival;
    client.stream = std::make_shared<Stream>(arrival.capacity);
    client.submitted_us = clock_.now_us();
    if (const Status status = scheduler_.submit(request_of(arrival, fake_->vocab()), client.stream); !status)
      return fail("refused: " + status.error().message);
    clients_.push_back(std::move(client));
  }

  void cancel(Client& client) {
    const std::int64_t at = client.arrival->cancel_at_us;
    if (client.cancelled || at < 0 || at > clock_.now_us()) return;
    client.cancelled = true;
    watched_.forget_streams();
    client.stream->cancel();
  }

  void read(Client& client) {
    if (round_ % client.arrival->reads_every != 0) return;
    std::vector<Step> steps;
    auto ending = client.stream->take(steps);
    if (client.ending) {
      if (!steps.empty()) fail("something came after the end");
      return;
    }
    for (const Step& step : steps) client.text += step.text;
    if (!ending) return;
    ++ended_;
    client.ending = std::move(ending);
    check_ending(client);
  }

  void check_ending(const Client& client) {
    const std::string& wanted = alone(*client.arrival);
    if (client.cancelled && client.ending->reason == FinishReason::cancelled) {
      if (!wanted.starts_with(client.text)) fail(fmt::format("'{}' is no beginning of '{}'", client.text, wanted));
      return;
    }
    if (client.ending->reason != FinishReason::stop)
      return fail(fmt::format("ended as {}: {}", to_string(client.ending->reason), client.ending->error.message));
    if (client.text != wanted) fail(fmt::format("said '{}', alone '{}'", client.text, wanted));
  }

  // What it says on an engine of its own.
  const std::string& alone(const Arrival& arrival) {
    const auto [at, fresh] = alone_.try_emplace((arrival.call ? "call " : "text ") + prompt_of(arrival));
    if (fresh) at->second = lone_world_.ask(request_of(arrival, fake_->vocab())).text;
    return at->second;
  }

  void check_budgets() {
    if (!watched_.complaint.empty()) fail(watched_.complaint);
    if (cache_.used_cells() > traffic_.cells) fail(fmt::format("{} cells are used", cache_.used_cells()));
    if (cache_.used_cells() < fake_->cells_in_use())
      fail(fmt::format("{} cells are counted, {} are in use", cache_.used_cells(), fake_->cells_in_use()));
    if (cache_.tree().bytes() > cache_.tree().budget_bytes()) fail("memory beyond its budget");
  }

  void check_also() {
    if (!rules_.also) return;
    Running running;
    for (const Client& client : clients_) {
      if (!client.ending) running.push_back(client.arrival);
    }
    if (auto wrong = rules_.also(running)) fail(std::move(*wrong));
  }

  void check_end() {
    check_passed();
    if (ends_ != clients_.size()) fail(fmt::format("{} ends of {} requests", ends_, clients_.size()));
    const SchedulerStats stats = scheduler_.stats();
    if (stats.running + stats.waiting > 0) fail("somebody is still there");
    cache_.make_room(traffic_.cells);
    if (cache_.free_cells() != traffic_.cells || fake_->cells_in_use() > 0) fail("cells are held by nobody");
  }

  // Of younger ones that started before somebody who waited for nothing but a place.
  void check_passed() {
    for (const Client& one : clients_) {
      if (!one.arrival->own_head || one.cancelled) continue;  // a shared head may be waited for
      const auto passed = std::count_if(clients_.begin(), clients_.end(), [&](const Client& other) {
        return !other.cancelled && other.submitted_us > one.submitted_us && other.started_us() < one.started_us();
      });
      if (passed > kPassedMax) fail(fmt::format("passed over {} times, from {} us on", passed, one.submitted_us));
    }
  }

  const Traffic& traffic_;
  const Rules& rules_;
  std::size_t ends_ = 0;  // as the scheduler counts them
  FakeClock clock_;
  std::unique_ptr<engine::FakeEngine> fake_;
  WatchedEngine watched_;
  std::unique_ptr<constrain::Compiler> compiler_;
  cache::PrefixCache cache_;
  Scheduler scheduler_;
  World lone_world_;
  std::map<std::string, std::string> alone_;
  std::vector<Client> clients_;
  std::size_t ended_ = 0;
  std::int64_t round_ = 0;
  Outcome outcome_;
};

}  // namespace

Outcome simulate(const Traffic& traffic, const Rules& rules) { return Simulation(traffic, rules).run(); }

}  // namespace kvern::schedule::simulation
