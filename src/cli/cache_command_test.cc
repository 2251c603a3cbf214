#include "cli/cache_command.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "app/options.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "cli/cache_directory.h"
#include "cli/cache_listing.h"
#include "cli/cache_why.h"
#include "cli/exit_code.h"

namespace kvern::cli {
namespace {

namespace fs = std::filesystem;
using cache::Key;
using cache::RecordInfo;
using cache::RecordKind;
using testing::ElementsAre;
using testing::HasSubstr;

cache::DiskIdentity identity(const std::string& name) {
  return {sha256("fingerprint of " + name), "{\"name\":\"" + name + "\"}"};
}

RecordInfo block(const std::string& model, TokenId first) {
  RecordInfo info;
  info.tokens.resize(256);
  std::iota(info.tokens.begin(), info.tokens.end(), first);
  info.parent = cache::root_key(identity(model).fingerprint, "");
  info.id = {RecordKind::block, cache::chain_key(info.parent, info.tokens)};
  info.cost_ms = 12;
  return info;
}

RecordInfo snapshot(const std::string& model, TokenId first) {
  RecordInfo info = block(model, first);
  info.id.kind = RecordKind::snapshot;
  return info;
}

struct Outcome {
  int status = 0;
  std::string out;
  std::string err;
};

class CacheCommand : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "kvern_cache_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(nothing, STDIN_FILENO);  // nobody to ask, wherever the tests run
    ::close(nothing);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path records() const { return app::record_folder(folder_); }

  std::unique_ptr<DiskStore> store(const std::string& model, const std::string& owner_note = "") {
    cache::DiskOptions options;
    options.directory = records();
    options.budget_bytes = std::uint64_t{1} << 40;
    options.owner_note = owner_note;
    auto opened = DiskStore::open(file_system(), steady_clock(), options, identity(model));
    EXPECT_TRUE(opened) << opened.error().message;
    return std::move(*opened);
  }
  void keep(const std::string& model, const std::vector<RecordInfo>& infos) {
    const auto disk = store(model);
    for (const RecordInfo& info : infos)
      ASSERT_TRUE(disk->write_now(info, std::make_shared<engine::Bytes>(9'000, std::byte{7})));
    ASSERT_TRUE(disk->flush());
  }
  fs::path file_of(const RecordInfo& info) const {
    const std::string name = to_hex(info.id.key) + "." + to_string(info.id.kind);
    for (const auto& entry : fs::recursive_directory_iterator(records())) {
      if (entry.path().filename() == name) return entry.path();
    }
    return {};
  }
  void flip_last_byte(const RecordInfo& info) {
    std::fstream file(file_of(info), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('\x55');
  }

  Outcome run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--cache-dir", folder_.string()});
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Outcome outcome;
    outcome.status = cache_command(arguments);
    outcome.out = testing::internal::GetCapturedStdout();
    outcome.err = testing::internal::GetCapturedStderr();
    return outcome;
  }
  Json run_json(std::vector<std::string> arguments) {
    arguments.emplace_back("--json");
    const Outcome outcome = run(std::move(arguments));
    EXPECT_EQ(outcome.status, kOk) << outcome.err;
    const auto json = parse_json(outcome.out);
    EXPECT_TRUE(json) << outcome.out;
    return json ? *json : Json();
  }
  static std::string id(const RecordInfo& info) { return to_hex(info.id.key); }

  fs::path folder_;
};

TEST_F(CacheCommand, AnEmptyFolderIsNoErrorAndStaysAsItIs) {
  EXPECT_EQ(run({"ls"}).out, "nothing is kept in " + records().string() + " yet\n");
  EXPECT_TRUE(run_json({"ls"})["models"].empty());
  EXPECT_EQ(run({"verify"}).status, kOk);
  EXPECT_EQ(run({"prune", "--to", "1G"}).out, "0 B freed\n");
  EXPECT_EQ(run({"clear", "--yes"}).status, kOk);
  EXPECT_FALSE(fs::exists(records()));
}

TEST_F(CacheCommand, ModelsAreListedByNameWithTheirRecords) {
  keep("qwen", {block("qwen", 1), snapshot("qwen", 1)});
  keep("gemma", {block("gemma", 1)});
  const Outcome models = run({"ls"});
  EXPECT_THAT(models.out, HasSubstr("qwen"));
  EXPECT_THAT(models.out, HasSubstr("gemma"));
  const Json json = run_json({"ls", "--records", "--fingerprint", "qwen"});
  ASSERT_EQ(json["models"].size(), 1U);
  EXPECT_EQ(json["models"][0]["fingerprint"], to_hex(identity("qwen").fingerprint));
  EXPECT_EQ(json["models"][0]["records"], 2);
  EXPECT_EQ(json["models"][0]["list"][0]["id"], id(block("qwen", 1)));
  EXPECT_EQ(json["models"][0]["list"][0]["end"], 256);
  const Outcome records = run({"ls", "--records"});
  EXPECT_THAT(records.out, HasSubstr("0-256"));
  EXPECT_THAT(records.out, HasSubstr("at 256"));
  const Outcome unknown = run({"ls", "--fingerprint", "llama"});
  EXPECT_EQ(unknown.status, kCannotStart);
  EXPECT_THAT(unknown.err, HasSubstr("'llama' is no model with records"));
}

TEST_F(CacheCommand, ARecordIsNamedByItsFirstDigitsAndItsKindWhereThatIsNeeded) {
  const RecordInfo rows = block("qwen", 1);
  keep("qwen", {rows, snapshot("qwen", 1), block("qwen", 5)});
  const Outcome several = run({"show", id(rows).substr(0, 8)});
  EXPECT_EQ(several.status, kUsage);
  EXPECT_THAT(several.err, HasSubstr("fits 2 records: block:"));
  const Outcome one = run({"show", "snapshot:" + id(rows).substr(0, 8)});
  EXPECT_EQ(one.status, kOk);
  EXPECT_THAT(one.out, HasSubstr("snapshot:" + id(rows)));
  EXPECT_THAT(one.out, HasSubstr("checksum   good"));
  const Json json = run_json({"show", id(block("qwen", 5))});
  EXPECT_EQ(json["tokens"].size(), 256U);
  EXPECT_EQ(json["text"], nullptr) << "no server has the vocabulary";
  EXPECT_EQ(run({"show", std::string(64, '0')}).status, kCannotStart);
  EXPECT_THAT(run({"show", "xyz"}).err, HasSubstr("'xyz' is no record's id"));
}

TEST_F(CacheCommand, VerifyFindsADamagedRecordAndPutsItAside) {
  keep("qwen", {block("qwen", 1), block("qwen", 5)});
  EXPECT_EQ(run({"verify"}).status, kOk);
  flip_last_byte(block("qwen", 5));
  EXPECT_EQ(run({"show", id(block("qwen", 5))}).status, kFailed);
  const Outcome found = run({"verify"});
  EXPECT_EQ(found.status, kFailed);
  EXPECT_THAT(found.out, HasSubstr("1 records are good"));
  EXPECT_THAT(found.out, HasSubstr("1 damaged; those were put aside"));
  const Json after = run_json({"verify"});
  EXPECT_EQ(after["good"], 1);
  EXPECT_EQ(after["bad"], 0);
}

TEST_F(CacheCommand, ClearAsksFirstAndKeepsWhatIsPinned) {
  keep("qwen", {block("qwen", 1), block("qwen", 5)});
  keep("gemma", {block("gemma", 1)});
  EXPECT_THAT(run({"pin", id(block("qwen", 1)).substr(0, 10)}).out, HasSubstr("is pinned"));
  const Outcome unsure = run({"clear"});
  EXPECT_EQ(unsure.status, kUsage);
  EXPECT_THAT(unsure.err, HasSubstr("--yes"));
  EXPECT_EQ(run_json({"ls"})["models"].size(), 2U);
  EXPECT_GT(run_json({"clear", "--yes"})["freed_bytes"], 0);
  const Json left = run_json({"ls", "--records"});
  ASSERT_EQ(left["models"].size(), 1U);
  ASSERT_EQ(left["models"][0]["list"].size(), 1U);
  EXPECT_EQ(left["models"][0]["list"][0]["pinned"], true);
  EXPECT_THAT(run({"unpin", id(block("qwen", 1))}).out, HasSubstr("no longer pinned"));
  EXPECT_EQ(run({"clear", "-y"}).status, kOk);
  EXPECT_TRUE(run_json({"ls"})["models"].empty());
}

TEST_F(CacheCommand, PruneLeavesNoMoreThanItWasTold) {
  keep("qwen", {block("qwen", 1), block("qwen", 5), block("qwen", 9)});
  EXPECT_EQ(run({"prune"}).status, kUsage);
  EXPECT_THAT(run({"prune", "--to", "much"}).err, HasSubstr("'much' is not a size"));
  EXPECT_GT(run_json({"prune", "--to", "32K"})["freed_bytes"], 0);
  const Json left = run_json({"ls"});
  ASSERT_EQ(left["models"].size(), 1U);
  EXPECT_LE(left["models"][0]["bytes"], 32 * 1024);
  EXPECT_GE(left["models"][0]["records"], 1);
}

TEST_F(CacheCommand, AnArchiveCarriesRecordsToAnotherFolder) {
  keep("qwen", {block("qwen", 1), block("qwen", 5)});
  const std::string file = (folder_ / "a.kvern").string();
  EXPECT_EQ(run_json({"export", file})["records"], 2);
  const Outcome again = run({"export", file});
  EXPECT_EQ(again.status, kUsage);
  EXPECT_THAT(again.err, HasSubstr("exists already"));
  EXPECT_THAT(run({"import", file}).out, HasSubstr("0 records added"));
  run({"clear", "--yes"});
  EXPECT_THAT(run({"import", file}).err, HasSubstr("start kvern serve with the model")) << "no model is known here";
  keep("gemma", {block("gemma", 1)});
  EXPECT_THAT(run({"import", file}).err, HasSubstr("another model"));
  keep("qwen", {block("qwen", 9)});
  EXPECT_EQ(run_json({"import", file})["records"], 2);
  EXPECT_EQ(run({"show", id(block("qwen", 5))}).status, kOk);
}

TEST_F(CacheCommand, ExportOfSeveralModelsWantsOneChosen) {
  keep("qwen", {block("qwen", 1)});
  keep("gemma", {block("gemma", 1)});
  const std::string file = (folder_ / "a.kvern").string();
  const Outcome unsure = run({"export", file});
  EXPECT_EQ(unsure.status, kUsage);
  EXPECT_THAT(unsure.err, HasSubstr("choose one"));
  EXPECT_EQ(run({"export", file, "--fingerprint", to_hex(identity("gemma").fingerprint).substr(0, 6)}).status, kOk);
}

// A server at work holds the lock: looking goes on, changing is its business.
TEST_F(CacheCommand, AnOwnedFolderIsReadAndNotChanged) {
  keep("qwen", {block("qwen", 1)});
  const auto owner = store("qwen", "http://127.0.0.1:1");
  ASSERT_TRUE(owner->owner());
  EXPECT_EQ(run_json({"ls"})["models"].size(), 1U);
  EXPECT_EQ(run({"verify"}).status, kOk);
  EXPECT_EQ(run({"show", id(block("qwen", 1))}).status, kOk);
  for (const auto& change : std::vector<std::vector<std::string>>{
           {"prune", "--to", "0"}, {"clear", "--yes"}, {"pin", id(block("qwen", 1))}, {"import", "/nowhere"}}) {
    const Outcome asked = run(change);
    EXPECT_EQ(asked.status, kCannotStart) << change[0];
    EXPECT_THAT(asked.err, HasSubstr("no server answers at http://127.0.0.1:1")) << change[0];
  }
  EXPECT_EQ(run_json({"ls"})["models"][0]["records"], 1);
}

TEST_F(CacheCommand, AnOwnerThatListensNowhereIsNamedAsTheObstacle) {
  keep("qwen", {block("qwen", 1)});
  const auto owner = store("qwen");
  const Outcome asked = run({"clear", "--yes"});
  EXPECT_EQ(asked.status, kCannotStart);
  EXPECT_THAT(asked.err, HasSubstr("another process owns"));
}

TEST_F(CacheCommand, MistakesAreNamedWithWhatToWriteInstead) {
  EXPECT_EQ(run({"lst"}).status, kUsage);
  EXPECT_THAT(run({"lst"}).err, HasSubstr("did you mean ls?"));
  EXPECT_THAT(run({"show"}).err, HasSubstr("wants its ID"));
  EXPECT_THAT(run({"ls", "more"}).err, HasSubstr("'more' is not expected"));
  EXPECT_THAT(run({"ls", "--to", "5"}).err, HasSubstr("there is no flag --to"));
  EXPECT_THAT(run({"why", "../admin"}).err, HasSubstr("is no request"));
  const Outcome help = run({"prune", "--help"});
  EXPECT_EQ(help.status, kOk);
  EXPECT_THAT(help.out, HasSubstr("kvern cache prune --to 10G"));
}

TEST(CacheLine, WordsAreTakenFromBetweenTheFlags) {
  const std::array flags = {Flag{"to", 't', "SIZE", "", ""}, Flag{"json", 0, "", "", ""}};
  const auto split = [&](const std::vector<std::string>& arguments) { return split_line(flags, arguments); };
  const SplitLine mixed = split({"--to", "10G", "file", "--json", "-t", "5", "other"});
  EXPECT_THAT(mixed.words, ElementsAre("file", "other"));
  EXPECT_THAT(mixed.flags, ElementsAre("--to", "10G", "--json", "-t", "5"));
  const SplitLine after = split({"--to=10G", "-", "--", "--json"});
  EXPECT_THAT(after.words, ElementsAre("-", "--json"));
  EXPECT_THAT(after.flags, ElementsAre("--to=10G"));
}

TEST(CacheListing, AgesAreShort) {
  EXPECT_EQ(human_age(-5), "0 s");
  EXPECT_EQ(human_age(119), "119 s");
  EXPECT_EQ(human_age(120), "2 min");
  EXPECT_EQ(human_age(3 * 3600 + 5), "3 h");
  EXPECT_EQ(human_age(9 * 86'400), "9 d");
}

TEST(CacheListing, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({{"NAME"}, {"SIZE", Table::Align::right}});
  table.add({"a long name", "5"});
  table.add({"b", "10 GB"});
  EXPECT_EQ(table.text(-1), "NAME          SIZE\na long name      5\nb            10 GB\n");
}

TEST(CacheListing, ADescriptionIsAnybodysText) {
  StoredModel model;
  for (const char* text : {"", "{", "[1]", R"({"name":5})", R"({"name":""})"}) {
    model.description = text;
    EXPECT_EQ(model_name(model), std::string(12, '0')) << text;
  }
}

TEST(CacheWhy, EveryReasonHasAMeaningAndAnAdvice) {
  for (int i = 0; i <= static_cast<int>(ReuseStop::disabled); ++i) {
    EXPECT_TRUE(meaning(static_cast<ReuseStop>(i)).ends_with('.')) << i;
    EXPECT_FALSE(advice(static_cast<ReuseStop>(i)).empty()) << i;
  }
}

TEST(CacheWhy, TheTextsOfBothSidesStandBelowEachOther) {
  const auto report = parse_json(R"({"id":"chatcmpl-1","created":1000,"ended":true,"why":"header","position":7,
    "segment":"head","prompt_tokens":100,"reused_device_tokens":4,"reused_memory_tokens":2,"reused_disk_tokens":1,
    "computed_tokens":93,"before":[{"id":1,"text":"It is\n"}],"held":[{"id":2,"text":"Mon"},{"id":3,"text":"day"}],
    "now":[{"id":4,"text":"Tuesday\u001b[2J"}]})");
  ASSERT_TRUE(report);
  EXPECT_EQ(why_text(*report, 1012, -1),
            "request  chatcmpl-1, 12 s ago\n"
            "prompt   100 tokens: 7 reused (4 device, 2 memory, 1 disk), 93 computed\n"
            "stopped  at token 7, in the system text or the tools: header\n"
            "         The system text is different, so nothing after it can be shared.\n"
            "before   \"It is\\n\"\n"
            "held     \"Monday\"\n"
            "now      \"Tuesday[2J\"\n"
            "do       keep what changes (time, git status, open files) out of the system text, or at its end\n");
}

TEST(CacheWhy, WhatAServerLeavesOutIsLeftOut) {
  const auto report = parse_json(R"({"why":"something newer","before":[1,{"text":5}],"held":"x","segment":null})");
  ASSERT_TRUE(report);
  EXPECT_THAT(why_text(*report, 0, -1), HasSubstr("stopped  at token 0: something newer\n"));
}

}  // namespace
}  // namespace kvern::cli
