#include "cli/activity_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvern::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::string_view kTotals =
    R"("totals":{"running":1,"waiting":1,"cells_used":41000,"cells":65536,"ram_bytes":1073741824,"ram_budget_bytes":8589934592})";

std::string request(const std::string& id, const std::string& state, const std::string& more = "") {
  return R"({"id":")" + id + R"(","session":"9f2c11aa","state":")" + state +
         R"(","prompt_tokens":48210,"reused_tokens":24105,"computed_tokens":12060,"age_s":3.25)" + more + "}";
}

std::string with_requests(const std::string& requests) {
  return R"({"model":"coder",)" + std::string(kTotals) + R"(,"requests":[)" + requests + "]}";
}

TEST(ActivityView, TheStateIsALineForTheServerAndOneForEachRequest) {
  ActivityView view;
  const std::string decoding =
      request("b", "decode", R"(,"completion_tokens":212,"tokens_max":4096,"why":"new_text","tokens_per_s":58.14)");
  ASSERT_TRUE(
      view.take("snapshot", with_requests(request("a", "prefill") + "," + decoding + "," + request("c", "queued")), 0));
  const auto lines = view.lines(2'000'000, {.columns = 200});
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[0], "kvern coder · 1 running, 1 waiting · cells 41.0k/65.5k · RAM 1.0 GiB of 8.0 GiB");
  EXPECT_THAT(lines[1],
              AllOf(HasSubstr("a "), HasSubstr("▓▓▓▓▓▓▒▒▒░░░ 36.2k of 48.2k, 24.1k reused"), HasSubstr("5.2 s")));
  EXPECT_THAT(lines[2], HasSubstr("out 212 of 4096, prompt 48.2k, 50 % reused (new_text) · 58.1 tok/s"));
  EXPECT_THAT(lines[3], AllOf(HasSubstr("queued"), HasSubstr("prompt 48.2k"))) << "who waits comes last";
}

TEST(ActivityView, ChangesAndEndsArePutIntoTheState) {
  ActivityView view;
  ASSERT_TRUE(view.take("snapshot", with_requests(request("a", "prefill") + "," + request("b", "queued")), 0));
  ASSERT_TRUE(view.take("change", with_requests(request("a", "decode")), 0));
  ASSERT_TRUE(view.take("end", R"({"id":"b","finish":"cancelled"})", 0));
  const auto lines = view.lines(0, {});
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[1], HasSubstr("decode"));
  ASSERT_TRUE(view.take("snapshot", with_requests(""), 0));
  EXPECT_TRUE(view.idle()) << "a snapshot is all there is";
}

TEST(ActivityView, OffATerminalEachStepOfARequestIsALine) {
  ActivityView view;
  ASSERT_TRUE(view.take("snapshot", with_requests(request("a", "queued")), 0));
  EXPECT_THAT(view.take_news(), ElementsAre(HasSubstr("queued")));
  ASSERT_TRUE(view.take("change", with_requests(request("a", "queued")), 0));
  EXPECT_THAT(view.take_news(), IsEmpty()) << "its numbers alone are no news";
  ASSERT_TRUE(view.take("change", with_requests(request("a", "decode")), 0));
  ASSERT_TRUE(view.take("end", R"({"id":"a","finish":"stop","why":"end","age_s":4.2,"tokens_per_s":58.1,
    "usage":{"prompt_tokens":100,"reused_device_tokens":90,"reused_disk_tokens":9,"ttft_ms":310,"completion_tokens":212}})",
                        0));
  EXPECT_THAT(
      view.take_news(),
      ElementsAre(HasSubstr("decode"), "a stop prompt=100 reused=99 % (end) ttft=0.3 s out=212 @58.1 tok/s 4.2 s"));
}

TEST(ActivityView, WhatDoesNotFitTheScreenIsCounted) {
  ActivityView view;
  std::string many;
  for (int i = 0; i < 30; ++i) many += (i ? "," : "") + request("id" + std::to_string(i), "queued");
  ASSERT_TRUE(view.take("snapshot", with_requests(many), 0));
  const auto lines = view.lines(0, {.columns = 40, .rows = 10, .colour = true});
  EXPECT_EQ(lines.size(), 10U);
  EXPECT_EQ(lines.back(), "  and 22 more");
  EXPECT_EQ(view.lines(0, {.columns = 40, .rows = 0}).size(), 2U);
}

// What a client named itself must not steer the terminal of who watches.
TEST(ActivityView, ControlCharactersOfNamesAreDropped) {
  ActivityView view;
  ASSERT_TRUE(view.take("snapshot", R"({"model":"x\u001b[2Jy","requests":[]})", 0));
  EXPECT_THAT(view.lines(0, {})[0], AllOf(HasSubstr("x[2Jy"), Not(HasSubstr("\x1b"))));
}

TEST(ActivityView, WhatIsUnknownIsPassedOverAndWhatIsBrokenIsSaid) {
  ActivityView view;
  EXPECT_TRUE(view.take("novelty", R"({"a":1})", 0));
  EXPECT_TRUE(view.take("snapshot", R"({"requests":[1,{"id":5}],"totals":{"running":"x"},"model":7})", 0));
  EXPECT_FALSE(view.take("snapshot", "[]", 0));
  EXPECT_FALSE(view.take("snapshot", "{", 0));
  EXPECT_FALSE(view.server_stopped());
  EXPECT_TRUE(view.take("stop", "{}", 0));
  EXPECT_TRUE(view.server_stopped());
}

TEST(Cut, KeepsWholeCharactersAndEndsColours) {
  EXPECT_EQ(cut("äöü", 2), "äö");
  EXPECT_EQ(cut("äöü", 3), "äöü");
  EXPECT_EQ(cut("\x1b[1mabc\x1b[0mdef", 2), "\x1b[1mab\x1b[0m");
  EXPECT_EQ(cut("\x1b[1mabc\x1b[0mdef", 4), "\x1b[1mabc\x1b[0md");
  EXPECT_EQ(cut("a\x1b[", 9), "a\x1b[\x1b[0m");
  EXPECT_EQ(cut("", 5), "");
}

}  // namespace
}  // namespace kvern::cli
