#include "schedule/reuse_log.h"

#include <gtest/gtest.h>

#include <array>

namespace kvern::schedule {
namespace {

// One token a byte.
class ByteVocab final : public Vocab {
 public:
  ByteVocab() {
    for (std::size_t byte = 0; byte < bytes_.size(); ++byte) bytes_[byte] = static_cast<char>(byte);
  }
  std::int32_t size() const override { return 256; }
  void tokenize(std::string_view text, SpecialTokens, std::vector<TokenId>& out) const override {
    for (const char c : text) out.push_back(static_cast<unsigned char>(c));
  }
  std::string_view piece(TokenId token) const override {
    return token < 0 || token >= size() ? std::string_view()
                                        : std::string_view(&bytes_[static_cast<std::size_t>(token)], 1);
  }
  bool is_control(TokenId) const override { return false; }
  bool ends_generation(TokenId) const override { return false; }
  TokenId find(std::string_view) const override { return -1; }
  std::string_view bos_text() const override { return ""; }
  std::string_view eos_text() const override { return ""; }
  TokenId required_bos() const override { return -1; }

 private:
  std::array<char, 256> bytes_{};
};

const ByteVocab kVocab;

std::vector<TokenId> tokens_of(std::string_view text) {
  std::vector<TokenId> tokens;
  kVocab.tokenize(text, SpecialTokens::as_text, tokens);
  return tokens;
}

// A prompt put together part by part, each with its digests.
struct Talk {
  std::string text;
  std::vector<Segment> segments;

  Talk& add(SegmentKind kind, std::string_view part, Segment digests = {}) {
    text += part;
    digests.kind = kind;
    digests.end = static_cast<std::int32_t>(text.size());
    segments.push_back(digests);
    return *this;
  }
  Talk& head(std::string_view part, std::uint64_t content, std::uint64_t tools) {
    Segment digests;
    digests.content = content;
    digests.tools = tools;
    return add(SegmentKind::head, part, digests);
  }
  Talk& user(std::string_view part, std::uint64_t content) {
    Segment digests;
    digests.content = content;
    return add(SegmentKind::user, part, digests);
  }
  Talk& assistant(std::string_view part, std::uint64_t content, std::uint64_t reasoning = 0, std::uint64_t calls = 0) {
    Segment digests;
    digests.content = content;
    digests.reasoning = reasoning;
    digests.calls = calls;
    return add(SegmentKind::assistant, part, digests);
  }
  Talk& header(std::string_view part) { return add(SegmentKind::header, part); }
};

Talk opening() { return Talk().head("[sys tools]", 1, 2).user("[hello]", 3); }

class ReuseLogTest : public testing::Test {
 protected:
  ReuseStop note(const std::string& id, const Talk& talk, std::int32_t reused, ReuseStop why,
                 std::string_view salt = "") {
    const auto tokens = tokens_of(talk.text);
    Usage usage;
    usage.prompt_tokens = static_cast<std::int32_t>(tokens.size());
    usage.reused_device_tokens = reused;
    usage.why = why;
    return log_.note(id, {tokens, talk.segments, salt}, usage);
  }
  void lived(const std::string& id, const Talk& talk, std::string_view generated = "") {
    note(id, talk, 0, ReuseStop::cold);
    log_.finish(id, Usage(), tokens_of(talk.text + std::string(generated)));
  }
  ReuseStop why_edited(const Talk& talk, std::string_view salt = "") {
    return log_.explain({tokens_of(talk.text), talk.segments, salt}, 1, ReuseStop::edited);
  }

  ReuseLog log_{kVocab, {"<think>", "</think>", "<tool_call>"}};
};

TEST_F(ReuseLogTest, AnotherToolListIsToldFromAnotherSystemText) {
  lived("a", opening());
  EXPECT_EQ(why_edited(Talk().head("[sys toolz]", 1, 9).user("[hello]", 3)), ReuseStop::tools_changed);
  EXPECT_EQ(why_edited(Talk().head("[sus tools]", 9, 2).user("[hello]", 3)), ReuseStop::header);
}

// Some templates write today's date into the head.
TEST_F(ReuseLogTest, AHeadThatSaysTheSameInOtherTokensIsTheTemplatesDoing) {
  lived("a", opening());
  EXPECT_EQ(why_edited(Talk().head("[sys on Tuesday]", 1, 2).user("[hello]", 3)), ReuseStop::template_changed);
}

TEST_F(ReuseLogTest, ASystemTextThatWasNotThereBeforeIsAHeader) {
  lived("a", Talk().user("[hello]", 3));
  EXPECT_EQ(why_edited(Talk().head("[sys]", 1, 0).user("[hello]", 3)), ReuseStop::header);
}

TEST_F(ReuseLogTest, AMessageThatSaysSomethingElseWasEdited) {
  lived("a", opening());
  EXPECT_EQ(why_edited(Talk().head("[sys tools]", 1, 2).user("[hullo]", 9)), ReuseStop::edited);
  EXPECT_EQ(why_edited(Talk().head("[sys tools]", 1, 2).user("[ hello]", 3)), ReuseStop::template_changed);
}

TEST_F(ReuseLogTest, AFormerTurnIsComparedPartByPart) {
  lived("a", opening().assistant("{think}{text}{call}", 4, 5, 6).user("[on]", 7));
  EXPECT_EQ(why_edited(opening().assistant("{text}{call}", 4, 0, 6).user("[on]", 7)), ReuseStop::reasoning);
  EXPECT_EQ(why_edited(opening().assistant("{think}{text}{cold}", 4, 5, 9).user("[on]", 7)), ReuseStop::tool_args);
  EXPECT_EQ(why_edited(opening().assistant("{think}{text}", 4, 5, 0).user("[on]", 7)), ReuseStop::edited);
  EXPECT_EQ(why_edited(opening().assistant("{think}{test}{call}", 9, 5, 6).user("[on]", 7)), ReuseStop::edited);
  EXPECT_EQ(why_edited(opening().assistant("{think} {text}{call}", 4, 5, 6).user("[on]", 7)),
            ReuseStop::template_changed);
}

// The turn that was just generated has no digests yet: its text has to do.
TEST_F(ReuseLogTest, ReasoningThatTheClientDroppedIsSeenInTheGeneratedText) {
  lived("a", opening().header("<A>"), "<think>hm, well</think>\n\nYes.");
  EXPECT_EQ(why_edited(opening().assistant("<A>Yes.", 4).user("[on]", 5)), ReuseStop::reasoning);
  EXPECT_EQ(why_edited(opening().assistant("<A><b>Yes.", 4).user("[on]", 5)), ReuseStop::reasoning)
      << "the difference lies inside the marker";
  EXPECT_EQ(why_edited(opening().assistant("<A><think>hm</think>\n\nYes.", 4, 9).user("[on]", 5)),
            ReuseStop::reasoning);
  EXPECT_EQ(why_edited(opening().assistant("<A><think>hm, well</think>\n\nNo.", 4, 9).user("[on]", 5)),
            ReuseStop::edited);
}

// A template may open the reasoning block itself, in the header.
TEST_F(ReuseLogTest, ReasoningThatTheHeaderOpenedCounts) {
  lived("a", opening().header("<A><think>\n"), "hm</think>Yes.");
  EXPECT_EQ(why_edited(opening().assistant("<A>Yes.", 4).user("[on]", 5)), ReuseStop::reasoning);
  EXPECT_EQ(why_edited(opening().assistant("<A><think>\nso</think>Yes.", 4, 9).user("[on]", 5)), ReuseStop::reasoning);
}

TEST_F(ReuseLogTest, ArgumentsThatWereSpelledAnewAreSeenInTheGeneratedText) {
  lived("a", opening().header("<A>"), R"(Hm.<tool_call>{"a": 1}</tool_call>)");
  EXPECT_EQ(why_edited(opening().assistant(R"(<A>Hm.<tool_call>{"a":1}</tool_call>)", 4, 0, 6)), ReuseStop::tool_args);
  EXPECT_EQ(why_edited(opening().assistant("<A>Hm, no.", 4)), ReuseStop::edited);
}

TEST_F(ReuseLogTest, AnotherHeaderForTheSameMessagesIsTheTemplatesDoing) {
  lived("a", opening().header("<A>"), "Yes.");
  EXPECT_EQ(why_edited(opening().header("<A>no_think")), ReuseStop::template_changed);
}

TEST_F(ReuseLogTest, OnlyAnEditIsExplained) {
  lived("a", opening());
  const Talk other = Talk().head("[sys toolz]", 1, 9);
  const auto tokens = tokens_of(other.text);
  for (const ReuseStop why : {ReuseStop::end, ReuseStop::new_text, ReuseStop::evicted, ReuseStop::snapshot})
    EXPECT_EQ(log_.explain({tokens, other.segments, ""}, 1, why), why);
}

// The cache may know prompts from the disk that this log never saw.
TEST_F(ReuseLogTest, APromptThatWentFurtherThanAnyRememberedOneStaysUnexplained) {
  lived("a", opening());
  const Talk other = Talk().head("[sys toolz]", 1, 9);
  EXPECT_EQ(log_.explain({tokens_of(other.text), other.segments, ""}, 11, ReuseStop::edited), ReuseStop::edited);
  EXPECT_EQ(note("b", other, 11, ReuseStop::edited), ReuseStop::edited);
  EXPECT_TRUE(log_.find("b")->held.empty());
}

TEST_F(ReuseLogTest, PromptsOfOthersAreNeitherComparedNorShown) {
  note("theirs", opening(), 0, ReuseStop::cold, "their key");
  EXPECT_EQ(why_edited(Talk().head("[sys toolz]", 1, 9), "my key"), ReuseStop::edited);
  EXPECT_FALSE(log_.find("theirs", "my key"));
  EXPECT_FALSE(log_.find("LAST", "my key"));
  EXPECT_TRUE(log_.find("LAST", "their key"));
}

TEST_F(ReuseLogTest, OfSeveralPromptsTheOneThatSharesMostExplains) {
  lived("far", Talk().head("[sus tools]", 9, 2));
  lived("near", opening());
  lived("other", Talk().head("?", 8, 8));
  EXPECT_EQ(why_edited(Talk().head("[sys tools]", 1, 2).user("[hullo]", 9)), ReuseStop::edited);
}

TEST_F(ReuseLogTest, TextCompletionsHaveNoPartsAndStayEdited) {
  Talk raw;
  raw.text = "once upon a time";
  lived("a", raw);
  raw.text = "once upon a tune";
  EXPECT_EQ(why_edited(raw), ReuseStop::edited);
}

std::string joined(const std::vector<ShownToken>& tokens) {
  std::string text;
  for (const ShownToken& token : tokens) text += token.text;
  return text;
}

TEST_F(ReuseLogTest, AReportShowsBothSidesOfTheDifference) {
  lived("a", opening());
  EXPECT_EQ(note("b", Talk().head("[sys tools]", 1, 2).user("[help me, please]", 9), 12, ReuseStop::edited),
            ReuseStop::edited);
  const auto report = log_.find("b");
  ASSERT_TRUE(report);
  EXPECT_EQ(report->position, 15);
  EXPECT_EQ(report->segment, SegmentKind::user);
  EXPECT_EQ(joined(report->before), "tools][hel");
  EXPECT_EQ(joined(report->held), "lo]");
  EXPECT_EQ(joined(report->now), "p me, plea");
  EXPECT_EQ(report->now.front().token, 'p');
  EXPECT_FALSE(report->ended);
}

TEST_F(ReuseLogTest, AReportsTextIsUtf8WhereverTheTokensAreCut) {
  Talk talk;
  talk.text = "\x82\xAC \xE2\x82\xAC \xE2\x82";  // the end of a euro sign, a whole one, its beginning
  note("a", talk, 0, ReuseStop::cold);
  const auto report = log_.find("a");
  ASSERT_TRUE(report);
  EXPECT_EQ(joined(report->now), "\uFFFD\uFFFD \u20AC \uFFFD\uFFFD");
  EXPECT_EQ(report->now.size(), 9U);
  EXPECT_EQ(report->now[5].text, "\u20AC") << "at the last of its tokens";
}

TEST_F(ReuseLogTest, RequestsAreFoundByIdByTheIdOfTheirAnswerOrAsTheLast) {
  EXPECT_FALSE(log_.find("LAST"));
  note("chat-1-0", opening(), 0, ReuseStop::cold);
  note("chat-1-1", opening(), 5, ReuseStop::end);
  EXPECT_EQ(log_.find("chat-1")->id, "chat-1-0");
  EXPECT_EQ(log_.find("LAST")->id, "chat-1-1");
  EXPECT_FALSE(log_.find("chat"));
  Usage usage;
  usage.completion_tokens = 7;
  log_.finish("chat-1-1", usage, tokens_of("x"));
  EXPECT_EQ(log_.find("LAST")->usage.completion_tokens, 7);
  EXPECT_TRUE(log_.find("LAST")->ended);
}

TEST_F(ReuseLogTest, TheOldestAreForgottenFirst) {
  for (std::size_t i = 0; i <= kReuseLogRequests; ++i) note(std::to_string(i), opening(), 0, ReuseStop::cold);
  EXPECT_FALSE(log_.find("0"));
  EXPECT_TRUE(log_.find("1"));
}

TEST_F(ReuseLogTest, LongPromptsPushOutEarlierThanManyShortOnes) {
  const std::vector<TokenId> half(kReuseLogTokens / 2);
  log_.note("a", {half, {}, ""}, Usage());
  log_.note("b", {half, {}, ""}, Usage());
  EXPECT_TRUE(log_.find("a"));
  log_.note("c", {std::span(half).first(1), {}, ""}, Usage());
  EXPECT_FALSE(log_.find("a"));
  EXPECT_TRUE(log_.find("b"));
}

}  // namespace
}  // namespace kvern::schedule
