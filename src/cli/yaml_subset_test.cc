#include "cli/yaml_subset.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/textgen_config.h"

namespace kvern::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

// "path=value", null as "path".
std::vector<std::string> read(std::string_view text) {
  const auto entries = read_yaml(text, "f.yaml");
  if (!entries) return {entries.error().field + ": " + entries.error().message};
  std::vector<std::string> out;
  for (const YamlEntry& entry : *entries)
    out.push_back(entry.is_null ? entry.path : fmt::format("{}={}", entry.path, entry.value));
  return out;
}

TEST(Yaml, MapsAndListsNestByIndentation) {
  EXPECT_THAT(
      read("models:\n- name: a\n  size: 7\n  more:\n    deep: x\n-   name: b\nport: 5001\n"),
      ElementsAre("models[0].name=a", "models[0].size=7", "models[0].more.deep=x", "models[1].name=b", "port=5001"));
  EXPECT_THAT(read("keys:\n  - one\n  - two\n-x: 1\n"), ElementsAre("keys[0]=one", "keys[1]=two", "-x=1"));
  EXPECT_THAT(read("-\n  a: 1\n- - x\n  - y\n"), ElementsAre("[0].a=1", "[1][0]=x", "[1][1]=y"));
}

TEST(Yaml, ScalarsArePlainOrQuotedAndCommentsEndThem) {
  EXPECT_THAT(read("a: plain text # said here\nb: 'it''s # this'\nc: \"tab\\tquote\\\"\"\nd: x#y\n# all\n"),
              ElementsAre("a=plain text", "b=it's # this", "c=tab\tquote\"", "d=x#y"));
  EXPECT_THAT(read("url: http://h:1/x\nwin: C:\\m.gguf\n'k: 1': v\n"),
              ElementsAre("url=http://h:1/x", "win=C:\\m.gguf", "k: 1=v"));
}

TEST(Yaml, NothingIsSaidInManyWays) {
  EXPECT_THAT(read("---\na: null\nb: ~\nc:\nd: {}\ne: []\nf: ''\n"), ElementsAre("a", "b", "c", "d", "e", "f="));
  EXPECT_THAT(read(""), IsEmpty());
  EXPECT_THAT(read("# only a comment\r\n\r\n"), IsEmpty());
}

TEST(Yaml, ListsInBracketsHoldScalars) {
  EXPECT_THAT(read("k: [one, 'two, three', null, 4]\n"), ElementsAre("k[0]=one", "k[1]=two, three", "k[2]", "k[3]=4"));
}

TEST(Yaml, WhatIsNotReadIsRefusedWithItsLine) {
  for (const char* text :
       {"a: 1\nb: &x 2\n", "a: 1\nb: *x\n", "a: 1\nb: !!int 2\n", "a: 1\nb: |\n  text\n", "a: 1\nb: {x: 1}\n",
        "a: 1\n---\nb: 2\n", "a: 1\n\tb: 2\n", "a: 1\nnonsense\n", "a: 1\na: 2\n", "a: 1\nb: \"open\n",
        "a: 1\nb: [1, 2\n", "a: 1\nb: [[1]]\n", "a: 1\n  b: 2\n", "a: 1\nb: \"\\x41\"\n", "a: 1\n- b\n"}) {
    EXPECT_THAT(read(text), ElementsAre(StartsWith("f.yaml:2: "))) << text;
  }
}

TEST(Yaml, DepthAndSizeHaveBounds) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_THAT(read(deep), ElementsAre(HasSubstr("nested deeper")));
  EXPECT_THAT(read(std::string(100'000, '-')), SizeIs(1));
  std::string dashes;
  for (int i = 0; i < 100'000; ++i) dashes += "- ";
  EXPECT_THAT(read(dashes + "x"), ElementsAre(HasSubstr("nested deeper")));
  EXPECT_THAT(read(std::string(1 << 20, ' ')), ElementsAre(HasSubstr("larger than")));
}

std::string config_error(const std::string& text) {
  const auto config = parse_textgen_config(text, "m.yaml");
  return config ? "no error" : config.error().field + ": " + config.error().message;
}

TEST(TextgenConfig, AFileAsItsOwnToolWritesItBecomesSettings) {
  const auto config = parse_textgen_config(
      "model_configs:\n- model_id_or_path: /m/q.gguf\n  tokenizer_repo_or_path: null\n  model_kwargs: null\n"
      "  model_name: qwen\n  enable_cache: true\n  preprocess_batch_size: 512\n  extra_stop_words: null\n"
      "  default_template: null\nhost: 127.0.0.1\nport: 5001\napi_keys:\n- one\n- two\nmin_tokens: 20\n"
      "max_capacity: 50\nuse_reasoning_content: false\n",
      "m.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_THAT(config->settings.at("model").values, ElementsAre("/m/q.gguf"));
  EXPECT_EQ(config->settings.at("model").origin, "m.yaml:2");
  EXPECT_THAT(config->settings.at("name").values, ElementsAre("qwen"));
  EXPECT_THAT(config->settings.at("no-cache").values, ElementsAre("false"));
  EXPECT_THAT(config->settings.at("port").values, ElementsAre("5001"));
  EXPECT_THAT(config->settings.at("api-key").values, ElementsAre("one", "two"));
  EXPECT_THAT(config->notes, ElementsAre(StartsWith("m.yaml:7: preprocess_batch_size: not needed"),
                                         StartsWith("m.yaml:15: min_tokens"), StartsWith("m.yaml:16: max_capacity"),
                                         StartsWith("m.yaml:17: use_reasoning_content")));
}

TEST(TextgenConfig, WhatCannotBeHonouredNamesItsLine) {
  EXPECT_THAT(config_error("model_configs:\n- model_name: a\n- model_name: b\n"),
              StartsWith("m.yaml:3: a second model"));
  EXPECT_THAT(config_error("model_configs:\n- extra_stop_words:\n  - END\n"), StartsWith("m.yaml:3: extra_stop_words"));
  EXPECT_THAT(config_error("max_capasity: 3\n"), HasSubstr("did you mean 'max_capacity'"));
  EXPECT_THAT(config_error("enable_cache: perhaps\n"), HasSubstr("neither true nor false"));
  EXPECT_THAT(config_error("port: [\n"), StartsWith("m.yaml:1: "));
}

}  // namespace
}  // namespace kvern::cli
