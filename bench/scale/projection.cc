#include "scale/projection.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"
#include "constrain/constraint.h"
#include "engine/fake/fake_engine.h"
#include "quantile.h"
#include "scale/charged_engine.h"
#include "scale/timed_store.h"
#include "schedule/scheduler.h"

namespace kvern::bench {
namespace {

constexpr std::size_t kAnswerMax = 2'000;  // an agent's longest
constexpr std::int32_t kIdleSequences = 8;
constexpr std::int64_t kRoundsMax = 200'000'000;

std::string script_of(const Deployment& deployment, std::int32_t cells) {
  return fmt::format(R"({{"context": {}, "cells": {}, "sequences": {}, "rules": [{{"say": "{}"}}]}})",
                     deployment.context, cells, deployment.parallel + kIdleSequences, std::string(kAnswerMax + 1, '.'));
}

// An agent, or one of its sub-agents, with what it waits for.
struct Client {
  Agent agent;
  Client* parent = nullptr;
  int waits_for = 0;  // sub-agents at work
  std::optional<Request> request;
  std::int64_t due_us = 0;  // of the request
  std::shared_ptr<Stream> stream;
  std::vector<TokenId> answer;
};

class Run {
 public:
  Run(const Deployment& deployment, const TrafficShape& shape, cache::Mode mode, std::int32_t cells,
      std::unique_ptr<engine::FakeEngine> fake, std::unique_ptr<constrain::Compiler> compiler)
      : fake_(std::move(fake)),
        compiler_(std::move(compiler)),
        engine_(*fake_, clock_, deployment.machine, deployment.model),
        bytes_factor_(deployment.model.kv_bytes / static_cast<double>(fake_->info().bytes_per_token)),
        store_(clock_, deployment.machine, bytes_factor_),
        cache_(engine_, cache_options(deployment, mode), clock_, mode == cache::Mode::full ? &store_ : nullptr),
        scheduler_(engine_, cache_, *compiler_, clock_, options(deployment, shape)) {
    CHECK(cells == fake_->info().cells, fmt::format("cells={}", cells));
    for (Agent& agent : make_agents(shape)) add(std::move(agent), nullptr);
  }

  Result<Projection> run() {
    for (std::int64_t round = 0; working_ > 0; ++round) {
      if (round > kRoundsMax) return fail(Code::failed, "it does not end");
      TRY_OK(submit_due());
      if (!scheduler_.step() && !cache_.save_one()) TRY_OK(wait());
      TRY_OK(take_answers());
    }
    return summary();
  }

 private:
  cache::Options cache_options(const Deployment& deployment, cache::Mode mode) const {
    cache::Options o;
    o.mode = mode;
    if (mode == cache::Mode::full)
      o.memory_bytes = static_cast<std::uint64_t>(deployment.machine.ram_cache_gb * 1e9 / bytes_factor_);
    return o;
  }
  static schedule::SchedulerOptions options(const Deployment& deployment, const TrafficShape& shape) {
    schedule::SchedulerOptions o;
    o.parallel = deployment.parallel;
    o.seed = shape.seed;
    return o;
  }

  void add(Agent agent, Client* parent) {
    clients_.push_back(std::make_unique<Client>(Client{std::move(agent), parent, 0, {}, 0, nullptr, {}}));
    ++working_;
    think(*clients_.back());
  }

  // Its next request, or its end.
  void think(Client& client) {
    if (!client.agent.finished()) {
      client.request = client.agent.next();
      client.due_us = clock_.now_us() + client.request->think_us;
      return;
    }
    --working_;
    if (client.parent && --client.parent->waits_for == 0) think(*client.parent);
  }

  Status submit_due() {
    for (const auto& client : clients_) {
      if (!client->request || client->due_us > clock_.now_us()) continue;
      GenerateRequest r;
      r.id = client->agent.name();
      r.session = client->agent.name().substr(0, client->agent.name().find('-'));
      r.priority = client->agent.is_sub_agent() ? Priority::sub_agent : Priority::interactive;
      r.sampling.temperature = 0;
      r.tokens_max = client->request->answer_tokens;
      r.prompt.tokens = std::move(client->request->prompt);
      client->request.reset();
      client->stream = std::make_shared<Stream>(kAnswerMax + 2);
      client->answer.clear();
      TRY_OK(scheduler_.submit(std::move(r), client->stream));
    }
    return {};
  }

  // Until the cache, the disk or a client has something to do.
  Status wait() {
    std::int64_t next = cache_.poll();
    const auto sooner = [&next](std::int64_t us) {
      if (us >= 0 && (next < 0 || us < next)) next = us;
    };
    sooner(store_.next_us());
    for (const auto& client : clients_) {
      if (client->request) sooner(client->due_us - clock_.now_us());
    }
    if (next < 0) return fail(Code::failed, "requests wait and nothing will happen");
    clock_.advance_us(next);
    return {};
  }

  Status take_answers() {
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      Client& client = *clients_[i];
      if (!client.stream) continue;
      std::vector<Step> steps;
      const auto ending = client.stream->take(steps);
      for (const Step& step : steps) client.answer.push_back(step.token);
      if (!ending) continue;
      if (ending->reason != FinishReason::length)
        return fail(Code::failed, fmt::format("{} ended as {}: {}", client.agent.name(), to_string(ending->reason),
                                              ending->error.message));
      client.stream.reset();
      count(ending->usage);
      client.agent.answered(client.answer);
      std::vector<Agent> subs = client.agent.sub_agents();
      client.waits_for = static_cast<int>(subs.size());
      if (subs.empty()) think(client);
      for (Agent& sub : subs) add(std::move(sub), &client);
    }
    return {};
  }

  void count(const Usage& usage) {
    ttft_s_.push_back(static_cast<double>(usage.ttft_us) / 1e6);
    if (usage.decode_us > 0)
      streams_.push_back(1e6 * (usage.completion_tokens - 1) / static_cast<double>(usage.decode_us));
    sums_.prompt_tokens += usage.prompt_tokens;
    sums_.computed_share += usage.computed_tokens();
    sums_.from_ram_share += usage.reused_memory_tokens;
    sums_.from_disk_share += usage.reused_disk_tokens;
  }

  Projection summary() const {
    Projection p = sums_;
    p.requests = ttft_s_.size();
    p.ttft_p50_s = quantile(ttft_s_, 0.5);
    p.ttft_p95_s = quantile(ttft_s_, 0.95);
    p.stream_tokens_s = quantile(streams_, 0.5);
    for (double* share : {&p.computed_share, &p.from_ram_share, &p.from_disk_share}) *share /= p.prompt_tokens;
    p.hours = static_cast<double>(clock_.now_us()) / 3.6e9;
    p.disk_written_gb = store_.written_gb();
    p.steps = engine_.steps;
    return p;
  }

  FakeClock clock_;
  std::unique_ptr<engine::FakeEngine> fake_;
  std::unique_ptr<constrain::Compiler> compiler_;
  ChargedEngine engine_;
  const double bytes_factor_;
  TimedStore store_;
  cache::PrefixCache cache_;
  schedule::Scheduler scheduler_;
  std::vector<std::unique_ptr<Client>> clients_;
  int working_ = 0;
  std::vector<double> ttft_s_;
  std::vector<double> streams_;
  Projection sums_;
};

}  // namespace

Result<Projection> project(const Deployment& deployment, const TrafficShape& shape, cache::Mode mode) {
  TRY(const std::int32_t cells, cells_of(deployment));
  TRY(auto fake, engine::make_fake_engine_from_text(script_of(deployment, cells)));
  TRY(auto compiler, constrain::Compiler::create(fake->vocab()));
  return Run(deployment, shape, mode, cells, std::move(fake), std::move(compiler)).run();
}

}  // namespace kvern::bench
