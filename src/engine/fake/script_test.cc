#include "engine/fake/script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "engine/fake/fake_engine.h"

namespace kvern::engine {
namespace {

using testing::HasSubstr;

class ScriptFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  std::filesystem::path folder_;
};

TEST(Script, KeysThatAreAbsentHaveDefaults) {
  const auto engine = make_fake_engine_from_text(R"j({"rules": []})j");
  ASSERT_TRUE(engine) << engine.error().message;
  const Info& info = (*engine)->info();
  EXPECT_EQ(info.name, "fake");
  EXPECT_EQ(info.context, 65536);
  EXPECT_EQ(info.cells, 65536) << "as many as the context";
  EXPECT_EQ(info.sequences, 16);
  EXPECT_EQ(info.state, StateKind::attention);
  EXPECT_EQ(info.bytes_per_token, 16U);
  EXPECT_EQ(info.chat_template, "");
  EXPECT_EQ((*engine)->dialect(), "");
}

TEST(Script, OverridesWinOverTheScript) {
  const auto engine =
      make_fake_engine_from_text(R"j({"context": 100, "cells": 300, "sequences": 3, "dialect": "d", "rules": []})j",
                                 {.context = 50, .sequences = 2, .cells = 200});
  ASSERT_TRUE(engine);
  EXPECT_EQ((*engine)->info().context, 50);
  EXPECT_EQ((*engine)->info().cells, 200);
  EXPECT_EQ((*engine)->info().sequences, 2);
  EXPECT_EQ((*engine)->dialect(), "d");
  const auto wrong = make_fake_engine_from_text(R"j({"rules": []})j", {.sequences = 256});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().field, "sequences");
}

TEST(Script, AWrongScriptNamesTheField) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"j({})j", "rules"},
      {R"j({"rules": 1})j", "rules"},
      {R"j({"rules": [1]})j", "rules[0]"},
      {R"j({"rules": [{}]})j", "rules[0].say"},
      {R"j({"rules": [{"say": 1}]})j", "rules[0].say"},
      {R"j({"rules": [{"say": "a"}, {"say": "b", "when": "("}]})j", "rules[1].when"},
      {R"j({"rules": [{"say": "b", "when": null}]})j", "rules[0].when"},
      {R"j({"rules": [{"say": "{{2}}", "when": "(a)"}]})j", "rules[0].say"},
      {R"j({"rules": [{"say": "{{0}}"}]})j", "rules[0].say"},
      {R"j({"rules": [{"say": "b", "anywhere": "["}]})j", "rules[0].anywhere"},
      {R"j({"rules": [{"say": "{{1}}", "anywhere": "(a)"}]})j", "rules[0].say"},
      {R"j({"rules": [{"say": "a", "times": 0}]})j", "rules[0].times"},
      {R"j({"rules": [{"say": "a", "tmies": 1}]})j", "rules[0].tmies"},
      {R"j({"rules": [], "contxt": 1})j", "contxt"},
      {R"j({"rules": [], "context": 0})j", "context"},
      {R"j({"rules": [], "context": 1.5})j", "context"},
      {R"j({"rules": [], "context": 18446744073709551615})j", "context"},
      {R"j({"rules": [], "cells": "many"})j", "cells"},
      {R"j({"rules": [], "sequences": 256})j", "sequences"},
      {R"j({"rules": [], "batch": -1})j", "batch"},
      {R"j({"rules": [], "state": "liquid"})j", "state"},
      {R"j({"rules": [], "state": "sliding_window"})j", "window"},
      {R"j({"rules": [], "window": 4})j", "window"},
      {R"j({"rules": [], "dialect": 1})j", "dialect"},
      {R"j({"rules": [], "tokens_per_second": -1})j", "tokens_per_second"},
      {R"j({"rules": [], "prefill_tokens_per_second": "fast"})j", "prefill_tokens_per_second"},
  };
  for (const auto& [text, field] : cases) {
    const auto script = parse_script(text, "");
    ASSERT_FALSE(script) << text;
    EXPECT_EQ(script.error().code, Code::invalid) << text;
    EXPECT_EQ(script.error().field, field) << text;
    EXPECT_THAT(script.error().message, HasSubstr(field)) << text;
  }
  EXPECT_THAT(parse_script("{\n x}", "").error().message, HasSubstr("line 2"));
}

TEST(Script, GroupsAreInsertedOnceAndOtherBracesAreText) {
  const auto script = parse_script(R"j({"rules": [{"when": "say (.+)", "say": "{{1}}! {{x}} {{ {{0}} {}}"}]})j", "");
  ASSERT_TRUE(script) << script.error().message;
  EXPECT_EQ(answer(script->rules[0], {"say {{1}}", ""}), "{{1}}! {{x}} {{ say {{1}} {}}")
      << "inserted text is not expanded again";
  EXPECT_EQ(answer(script->rules[0], {"hello", ""}), std::nullopt);
}

TEST_F(ScriptFile, TheTemplateIsRelativeToTheScript) {
  write("chat.jinja", "{{ messages }}");
  const auto engine = make_fake_engine(write("script.json", R"j({"template": "chat.jinja", "rules": []})j"));
  ASSERT_TRUE(engine) << engine.error().message;
  EXPECT_EQ((*engine)->info().chat_template, "{{ messages }}");
}

TEST_F(ScriptFile, MissingFilesAreNotFound) {
  const auto no_script = make_fake_engine((folder_ / "none.json").string());
  ASSERT_FALSE(no_script);
  EXPECT_EQ(no_script.error().code, Code::not_found);
  EXPECT_THAT(no_script.error().message, HasSubstr("none.json"));
  const auto no_template = make_fake_engine(write("script.json", R"j({"template": "none.jinja", "rules": []})j"));
  ASSERT_FALSE(no_template);
  EXPECT_EQ(no_template.error().code, Code::not_found);
  EXPECT_EQ(no_template.error().field, "template");
}

// The cache may keep what it holds when only the script's words change, and must not when its KV does.
TEST(Script, TheFingerprintFollowsTheKvAndNotTheRules) {
  const auto parts = [](const char* text) { return (*make_fake_engine_from_text(text))->info().fingerprint_parts; };
  EXPECT_EQ(parts(R"j({"rules": []})j"), parts(R"j({"rules": [{"say": "a"}], "context": 10})j"));
  EXPECT_NE(parts(R"j({"rules": []})j"), parts(R"j({"rules": [], "state": "hybrid"})j"));
  EXPECT_NE(parts(R"j({"rules": [], "state": "sliding_window", "window": 3})j"),
            parts(R"j({"rules": [], "state": "sliding_window", "window": 4})j"));
}

// The callers' variable is of the interface's type.
TEST(Script, TheFactorysResultIsAnEngine) {
  const Result<std::unique_ptr<Engine>> engine = make_fake_engine_from_text(R"j({"rules": []})j");
  EXPECT_TRUE(engine);
}

}  // namespace
}  // namespace kvern::engine
