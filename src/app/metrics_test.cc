#include "app/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "app/cache_json.h"

namespace kvern::app {
namespace {

using testing::HasSubstr;
using testing::Not;

Usage usage(std::int32_t device, std::int32_t memory, std::int32_t disk, std::int32_t computed) {
  Usage usage;
  usage.prompt_tokens = device + memory + disk + computed;
  usage.reused_device_tokens = device;
  usage.reused_memory_tokens = memory;
  usage.reused_disk_tokens = disk;
  usage.completion_tokens = 3;
  usage.why = ReuseStop::new_text;
  usage.queue_us = 2'000;
  usage.ttft_us = 30'000;
  return usage;
}

TEST(Metrics, EveryPromptTokenIsCountedOnceByWhereItCameFrom) {
  Metrics metrics;
  metrics.request(usage(1, 20, 300, 4'000), FinishReason::stop);
  metrics.request(usage(1, 0, 0, 0), FinishReason::tool_calls);
  const std::string text = metrics.text({});
  EXPECT_THAT(text, HasSubstr("kvern_prompt_tokens_total{source=\"device\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("kvern_prompt_tokens_total{source=\"memory\"} 20\n"));
  EXPECT_THAT(text, HasSubstr("kvern_prompt_tokens_total{source=\"disk\"} 300\n"));
  EXPECT_THAT(text, HasSubstr("kvern_prompt_tokens_total{source=\"computed\"} 4000\n"));
  EXPECT_THAT(text, HasSubstr("kvern_requests_total{finish=\"stop\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("kvern_requests_total{finish=\"tool_calls\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("kvern_reuse_stops_total{reason=\"new_text\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("kvern_completion_tokens_total 6\n"));
}

// The engine calls the end of such a turn a stop.
TEST(Metrics, ATurnThatCalledIsCountedOnceAsThat) {
  Metrics metrics;
  for (int i = 0; i < 3; ++i) metrics.request(usage(1, 0, 0, 0), FinishReason::stop);
  metrics.request(usage(1, 0, 0, 0), FinishReason::length);
  metrics.ended_with_calls();
  metrics.ended_with_calls();
  const std::string text = metrics.text({});
  EXPECT_THAT(text, HasSubstr("{finish=\"stop\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("{finish=\"tool_calls\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("{finish=\"length\"} 1\n"));
}

TEST(Metrics, ACounterThatWasReadNeverGoesBack) {
  Metrics metrics;
  metrics.request(usage(1, 0, 0, 0), FinishReason::stop);
  EXPECT_THAT(metrics.text({}), HasSubstr("{finish=\"stop\"} 1\n"));
  metrics.ended_with_calls();
  EXPECT_THAT(metrics.text({}), HasSubstr("{finish=\"stop\"} 1\n"));
  metrics.request(usage(1, 0, 0, 0), FinishReason::stop);
  EXPECT_THAT(metrics.text({}), HasSubstr("{finish=\"stop\"} 1\n")) << "and comes right with the next stop";
  EXPECT_THAT(metrics.text({}), HasSubstr("{finish=\"tool_calls\"} 1\n"));
}

TEST(Metrics, CallsAreCountedByHowTheyWereHeldToTheirSchemas) {
  Metrics metrics;
  metrics.tool_call(CallCheck::exact);
  metrics.tool_call(CallCheck::exact);
  metrics.tool_call(CallCheck::cut);
  metrics.unconstrained_tool_call();
  const std::string text = metrics.text({});
  EXPECT_THAT(text, HasSubstr("kvern_tool_calls_total{check=\"exact\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("kvern_tool_calls_total{check=\"cut\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("kvern_tool_calls_total{check=\"invalid\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("kvern_tool_calls_unconstrained_total 1\n"));
}

// Its prompt was never looked up: it says nothing about the cache.
TEST(Metrics, ARequestThatLeftWhileItWaitedIsOnlyCounted) {
  Usage waited;
  waited.prompt_tokens = 500;
  Metrics metrics;
  metrics.request(waited, FinishReason::cancelled);
  const std::string text = metrics.text({});
  EXPECT_THAT(text, HasSubstr("kvern_requests_total{finish=\"cancelled\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("kvern_prompt_tokens_total{source=\"computed\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("kvern_reuse_stops_total{reason=\"cold\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("kvern_queue_seconds_count 0\n"));
}

TEST(Metrics, ReasonsAndFinishesAreAllThereFromTheStart) {
  const std::string text = Metrics().text({});
  for (int i = 0; i <= static_cast<int>(ReuseStop::disabled); ++i)
    EXPECT_THAT(text, HasSubstr(std::string("{reason=\"") + to_string(static_cast<ReuseStop>(i)) + "\"} 0\n"));
  for (int i = 0; i <= static_cast<int>(FinishReason::failed); ++i)
    EXPECT_THAT(text, HasSubstr(std::string("{finish=\"") + to_string(static_cast<FinishReason>(i)) + "\"} 0\n"));
}

TEST(Metrics, BucketsHoldThoseBelowThem) {
  Histogram histogram;
  for (const double seconds : {0.005, 0.02, 0.02, 500.0}) histogram.observe(seconds);
  std::string text;
  histogram.write(text, "x", "Help.");
  EXPECT_THAT(text, HasSubstr("x_bucket{le=\"0.005\"} 1\nx_bucket{le=\"0.01\"} 1\nx_bucket{le=\"0.025\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("x_bucket{le=\"120\"} 3\nx_bucket{le=\"+Inf\"} 4\nx_sum 500.045\nx_count 4\n"));
}

TEST(Metrics, WithoutADiskThereAreNoNumbersOfOne) {
  EXPECT_THAT(Metrics().text({}), Not(HasSubstr("disk_writes")));
  EXPECT_THAT(Metrics().text({}), Not(HasSubstr("tier=\"disk\"")));
  Metrics::Now now;
  now.disk.emplace();
  now.disk->bytes = 77;
  now.disk->owner = true;
  EXPECT_THAT(Metrics().text(now), HasSubstr("kvern_cache_bytes{tier=\"disk\"} 77\n"));
  EXPECT_THAT(Metrics().text(now), HasSubstr("kvern_disk_writing 1\n"));
  now.disk->suspended_because = "the disk is full";
  EXPECT_THAT(Metrics().text(now), HasSubstr("kvern_disk_writing 0\n"));
}

// The text format: each name is described once, before its samples, which stand together.
TEST(Metrics, EveryNameIsDescribedOnceBeforeItsSamples) {
  Metrics metrics;
  metrics.request(usage(1, 2, 3, 4), FinishReason::stop);
  Metrics::Now now;
  now.disk.emplace();
  std::istringstream lines(metrics.text(now));
  std::string family;
  std::vector<std::string> families;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_THAT(families, Not(testing::Contains(family)));
      families.push_back(family);
    } else if (line.starts_with("# TYPE ")) {
      EXPECT_TRUE(line.starts_with("# TYPE " + family + " ")) << line;
    } else {
      EXPECT_TRUE(line.starts_with(family)) << line;
      EXPECT_NE(line.find(' '), std::string::npos) << line;
    }
  }
  EXPECT_GT(families.size(), 20U);
}

TEST(CacheJson, AReuseReportHasItsNumbersAndBothSides) {
  schedule::ReuseReport report;
  report.id = "chat-1";
  report.usage = usage(5, 0, 0, 6);
  report.usage.why = ReuseStop::template_changed;
  report.position = 5;
  report.held = {{7, "a\""}};
  const Json json = reuse_json(report);
  EXPECT_EQ(json["why"], "template");
  EXPECT_EQ(json["computed_tokens"], 6);
  EXPECT_EQ(json["segment"], nullptr);
  EXPECT_EQ(json["held"], Json::parse(R"([{"id":7,"text":"a\""}])"));
  EXPECT_TRUE(json["before"].is_array());
  report.segment = SegmentKind::tool;
  EXPECT_EQ(reuse_json(report)["segment"], "tool");
}

TEST(CacheJson, AServerWithoutADiskSaysSo) {
  const Json json = report_json({}, nullptr);
  EXPECT_EQ(json["disk"], nullptr);
  EXPECT_EQ(json["memory"]["bytes"], 0);
}

TEST(CacheJson, RecordsAreNamedByTheirWholeKey) {
  cache::HeldRecord record;
  record.kind = cache::RecordKind::tail;
  record.key[0] = 0xab;
  const Json json = held_records_json(std::span(&record, 1), 9);
  EXPECT_EQ(json["total"], 9);
  EXPECT_EQ(json["records"][0]["kind"], "tail");
  EXPECT_EQ(json["records"][0]["id"], "ab" + std::string(62, '0'));
}

}  // namespace
}  // namespace kvern::app
