#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

#include "base/log.h"
#include "quantile.h"
#include "scale/projection.h"
#include "scale/timed_store.h"

namespace kvern::bench {
namespace {

Deployment some_deployment() { return known_deployments()[1]; }

TrafficShape little_traffic() {
  TrafficShape shape;
  shape.agents = 3;
  shape.turns = 6;
  shape.head_tokens = 3'000;
  shape.own_tokens = 300;
  shape.new_p50 = 200;
  shape.new_p90 = 900;
  shape.answer_p50 = 30;
  return shape;
}

Projection projected(const Deployment& deployment, const TrafficShape& shape, cache::Mode mode = cache::Mode::full) {
  log::configure(log::Level::off, log::Format::text);
  const auto projection = project(deployment, shape, mode);
  log::configure(log::Level::info, log::Format::text);
  EXPECT_TRUE(projection) << projection.error().message;
  return projection.value_or(Projection());
}

TEST(Machine, ADecodeStepIsBoundByMemoryAndAFullBatchByArithmetic) {
  Deployment s = some_deployment();
  const StepLoad decode{.tokens = 1, .rows = 1, .attended = 1000, .cells_read = 1000};
  const StepLoad batch{.tokens = 512, .rows = 0, .attended = 512.0 * 1000, .cells_read = 1000};
  Deployment wide = s;
  wide.machine.bandwidth_gbs *= 2;
  Deployment strong = s;
  strong.machine.tflops *= 2;
  const double decode_us = step_us(s.machine, s.model, decode);
  const double batch_us = step_us(s.machine, s.model, batch);
  EXPECT_LT(step_us(wide.machine, s.model, decode), 0.6 * decode_us);
  EXPECT_EQ(step_us(wide.machine, s.model, batch), batch_us);
  EXPECT_LT(step_us(strong.machine, s.model, batch), 0.6 * batch_us);
  EXPECT_EQ(step_us(strong.machine, s.model, decode), decode_us);
}

// One token reads its experts, a full batch nearly all of them.
TEST(Machine, ExpertsAreReadAsTokensTouchThem) {
  Deployment s = known_deployments()[0];
  s.machine.step_us = s.machine.row_us = 0;
  s.machine.tflops = 1e9;
  const double one = step_us(s.machine, s.model, {.tokens = 1});
  const double many = step_us(s.machine, s.model, {.tokens = 512});
  EXPECT_NEAR(many / one, s.model.weights_gb / s.model.active_gb, 0.01);
  EXPECT_LT(step_us(s.machine, s.model, {.tokens = 4}), 4 * one);
}

TEST(Machine, FittedRatesGiveTheSpeedsThatWereMeasured) {
  Deployment s = some_deployment();
  fit_rates(s.machine, s.model, 40, 1'000);
  EXPECT_NEAR(step_us(s.machine, s.model, {.tokens = 1, .rows = 1}), 1e6 / 40, 1);
  EXPECT_NEAR(step_us(s.machine, s.model, {.tokens = 512, .attended = 512.0 * 256}), 512e6 / 1'000, 1);
}

TEST(Machine, AModelThatDoesNotFitIsRefusedWithItsNumbers) {
  Deployment s = known_deployments()[3];
  s.machine = some_deployment().machine;
  const auto cells = cells_of(s);
  ASSERT_FALSE(cells);
  EXPECT_NE(cells.error().message.find("24 GB hold 75.0 GB"), std::string::npos) << cells.error().message;
}

TEST(Agents, HaveTheSizesTheyWereAskedFor) {
  std::mt19937_64 random(1);
  std::vector<double> values;
  for (int i = 0; i < 20'000; ++i) values.push_back(draw_lognormal(random, 712, 5'220));
  EXPECT_NEAR(quantile(values, 0.5), 712, 40);
  EXPECT_NEAR(quantile(values, 0.9), 5'220, 400);
}

TEST(Agents, GoOnWhereTheyWereAndShareTheirHeads) {
  const TrafficShape shape = little_traffic();
  std::vector<Agent> agents = make_agents(shape);
  Request first = agents[0].next();
  const Request other = agents[1].next();
  const Request third = agents[2].next();
  EXPECT_GT(cache::common_prefix(first.prompt, other.prompt), shape.head_tokens);
  EXPECT_LT(cache::common_prefix(first.prompt, third.prompt), 100) << "another program";
  agents[0].answered({'h', 'i'});
  first.prompt.insert(first.prompt.end(), {'h', 'i'});
  EXPECT_TRUE(cache::begins_with(agents[0].next().prompt, first.prompt));
}

TEST(TimedStore, AnswersWhenTheDiskWouldHave) {
  FakeClock clock;
  Machine machine = some_deployment().machine;
  machine.disk_read_gbs = 1;
  machine.disk_write_gbs = 0.5;
  machine.disk_us = 0;
  TimedStore store(clock, machine, 10);
  cache::RecordInfo info;
  const auto payload = std::make_shared<const engine::Bytes>(100'000);  // stands for 1 MB
  ASSERT_TRUE(store.write(info, payload));
  EXPECT_EQ(store.next_us(), 2'000);
  clock.advance_us(1'000);
  store.read(info.id);  // the write is on its way: first that, then this
  EXPECT_TRUE(store.take_events().empty());
  clock.advance_us(1'000);
  EXPECT_EQ(store.take_events().size(), 1U);
  EXPECT_EQ(store.next_us(), 1'000);
  clock.advance_us(1'000);
  const auto events = store.take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].took_us, 1'000);
  EXPECT_EQ(*events[0].payload, payload);
  EXPECT_EQ(store.next_us(), -1);
}

TEST(Projection, ReuseComputesLessAndAnswersSooner) {
  const Projection with = projected(some_deployment(), little_traffic());
  const Projection own = projected(some_deployment(), little_traffic(), cache::Mode::whole_sequences);
  const Projection without = projected(some_deployment(), little_traffic(), cache::Mode::off);
  EXPECT_EQ(with.requests, without.requests);
  EXPECT_EQ(without.computed_share, 1);
  EXPECT_LT(with.computed_share, 0.5);
  EXPECT_LT(with.computed_share, own.computed_share);
  EXPECT_LT(with.ttft_p50_s, without.ttft_p50_s);
  EXPECT_GT(with.stream_tokens_s, 1);
}

TEST(Projection, IsTheSameEveryTime) {
  const Projection a = projected(some_deployment(), little_traffic());
  const Projection b = projected(some_deployment(), little_traffic());
  EXPECT_EQ(a.ttft_p95_s, b.ttft_p95_s);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.hours, b.hours);
}

// With few cells and little RAM a conversation that was away comes back from disk.
TEST(Projection, ADiskIsReadWhenNothingElseHoldsTheConversation) {
  Deployment deployment = some_deployment();
  deployment.context = 16'384;
  deployment.machine.device_gb = (deployment.model.weights_gb + 16'400 * deployment.model.kv_bytes / 1e9) / 0.9;
  deployment.machine.ram_cache_gb = 0.2;
  TrafficShape shape = little_traffic();
  shape.context = deployment.context;
  const Projection p = projected(deployment, shape);
  EXPECT_GT(p.from_disk_share, 0.05);
  EXPECT_GT(p.disk_written_gb, 0.5);
}

}  // namespace
}  // namespace kvern::bench
