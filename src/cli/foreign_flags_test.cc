#include "cli/foreign_flags.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "cli/serve_options.h"

namespace kvern::cli {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

Translated translated(const std::vector<std::string>& arguments) {
  auto result = translate(serve_flags(), arguments);
  EXPECT_TRUE(result) << result.error().field << ": " << result.error().message;
  return result ? std::move(*result) : Translated();
}

Result<ServeSettings> serve(const std::vector<std::string>& arguments) {
  TRY(const Translated words, translate(serve_flags(), arguments));
  TRY(const FlagValues flags, parse_flags(serve_flags(), words.arguments));
  TRY(const Settings settings, gather_settings(serve_flags(), flags, [](const std::string&) { return std::nullopt; }));
  return serve_settings(settings);
}

std::string error_of(const std::vector<std::string>& arguments) {
  const auto result = serve(arguments);
  return result ? "no error" : result.error().field + ": " + result.error().message;
}

std::vector<std::string> spellings(const ForeignFlag& flag) {
  std::vector<std::string> names;
  std::string_view rest = flag.names;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(", "), rest.size());
    names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
  return names;
}

TEST(ForeignFlags, OurOwnFlagsPassUntouchedAndUnremarked) {
  const auto words =
      translated({"-m", "a.gguf", "-c", "64k", "--cache-ram", "16G", "-t", "4", "--no-auth", "--port=1"});
  EXPECT_THAT(words.arguments, ElementsAre("--model=a.gguf", "--context=64k", "--cache-ram=16G", "--threads=4",
                                           "--no-auth", "--port=1"));
  EXPECT_THAT(words.notes, IsEmpty());
}

TEST(ForeignFlags, ALineForLlamaServerStartsKvern) {
  const auto settings = serve({"-m",
                               "q.gguf",
                               "-c",
                               "32768",
                               "-np",
                               "2",
                               "-t",
                               "8",
                               "-tb",
                               "8",
                               "-ngl",
                               "99",
                               "-fa",
                               "on",
                               "-b",
                               "2048",
                               "-ub",
                               "512",
                               "-cram",
                               "4096",
                               "--cache-reuse",
                               "256",
                               "--slot-save-path",
                               "/tmp/s",
                               "--metrics",
                               "--jinja",
                               "--reasoning-format",
                               "auto",
                               "-ctk",
                               "q8_0",
                               "-ctv",
                               "q8_0",
                               "-a",
                               "qwen",
                               "--temp",
                               "0.7",
                               "--top-k",
                               "20",
                               "-n",
                               "512",
                               "-lv",
                               "4"});
  ASSERT_TRUE(settings) << settings.error().message;
  const app::ServeOptions& options = settings->options;
  EXPECT_EQ(options.model, "q.gguf");
  EXPECT_EQ(options.context, 32'768);
  EXPECT_EQ(options.parallel, 2);
  EXPECT_EQ(options.threads, 8);
  EXPECT_EQ(options.cache_ram_bytes, std::uint64_t{4} << 30);
  EXPECT_EQ(options.kv_type, "q8_0");
  EXPECT_EQ(options.name, "qwen");
  EXPECT_FLOAT_EQ(options.defaults.sampling.temperature, 0.7F);
  EXPECT_EQ(options.defaults.sampling.top_k, 20);
  EXPECT_EQ(options.defaults.tokens_max, 512);
  EXPECT_EQ(settings->log_level, log::Level::debug);
}

TEST(ForeignFlags, WordsAboutReasoningBecomeDefaults) {
  const auto settings = serve({"--reasoning-budget", "512", "--reasoning-effort", "low", "--reasoning", "on",
                               "--chat-template-kwargs", R"({"a":1,"b":2})"});
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->options.defaults.template_kwargs,
            R"({"thinking_budget":512,"reasoning_effort":"low","enable_thinking":true,"a":1,"b":2})");
  EXPECT_EQ(serve({"--reasoning-budget", "-1", "--reasoning", "auto"})->options.defaults.template_kwargs, "");
}

TEST(ForeignFlags, LinesForTheMlxServersStartKvern) {
  const auto textgen = serve({"--model-path", "q.gguf", "--model-name", "qwen", "--max-capacity", "50", "--min-tokens",
                              "20", "--max-reprocess-tokens", "250", "--replace-threshold", "0.95", "-p", "5001",
                              "--use-reasoning-content", "--enable-kv-cache"});
  ASSERT_TRUE(textgen) << textgen.error().message;
  EXPECT_EQ(textgen->options.model, "q.gguf");
  EXPECT_EQ(textgen->options.port, 5001);
  const auto lm = serve({"--model", "q.gguf", "--log-level", "WARNING", "--temp", "0.0", "--max-tokens", "512",
                         "--prompt-cache-size", "10", "--prompt-cache-bytes", "8589934592", "--decode-concurrency", "8",
                         "--trust-remote-code", "--draft-model", "small", "--num-draft-tokens", "3"});
  ASSERT_TRUE(lm) << lm.error().message;
  EXPECT_EQ(lm->options.cache_ram_bytes, std::uint64_t{8} << 30);
  EXPECT_EQ(lm->options.draft_model, "small");
  EXPECT_EQ(lm->options.draft_max, 3);
  EXPECT_EQ(lm->options.parallel, 8);
  EXPECT_EQ(lm->options.defaults.sampling.temperature, 0);
  EXPECT_EQ(lm->log_level, log::Level::warn);
}

TEST(ForeignFlags, ADraftModelIsOneHere) {
  const auto spelt = serve({"-md", "small.gguf", "--draft-n", "8", "--draft-min", "2", "-ngld", "99"});
  ASSERT_TRUE(spelt) << spelt.error().message;
  EXPECT_EQ(spelt->options.draft_model, "small.gguf");
  EXPECT_EQ(spelt->options.draft_max, 8);
  // llama-server's --draft is a number, and ours a model.
  EXPECT_EQ(serve({"--draft", "12"})->options.draft_max, 12);
  EXPECT_EQ(serve({"--draft", "12"})->options.draft_model, "");
  EXPECT_EQ(serve({"--draft", "12b.gguf"})->options.draft_model, "12b.gguf");
}

TEST(ForeignFlags, AModelOfHuggingFacesIsLookedForByItsName) {
  EXPECT_EQ(serve({"-hf", "org/model:Q8_0"})->options.model, "org/model:Q8_0");
}

TEST(ForeignFlags, EachIsToldInOneLine) {
  const auto words = translated({"-np", "4", "--cache-reuse=256", "--no-cache-prompt", "-c", "8k", "--seed", "-1"});
  EXPECT_THAT(words.notes,
              ElementsAre("-np 4: taken as --parallel 4", "--cache-reuse: not needed, any common prefix is reused",
                          "--no-cache-prompt: taken as --no-cache", "--seed -1: the default is meant"));
  EXPECT_THAT(words.arguments, ElementsAre("--parallel=4", "--no-cache", "--context=8k"));
}

TEST(ForeignFlags, BareNumbersOfMemoryAreMebibytes) {
  EXPECT_EQ(serve({"--cache-ram", "8192"})->options.cache_ram_bytes, std::uint64_t{8} << 30);
  EXPECT_EQ(serve({"--cache-ram", "0"})->options.cache_ram_bytes, 0U);
  EXPECT_EQ(serve({"--cache-ram", "16G"})->options.cache_ram_bytes, std::uint64_t{16} << 30);
  EXPECT_EQ(serve({"--cache-ram", "8589934592"})->options.cache_ram_bytes, std::uint64_t{8} << 30);
  EXPECT_THAT(translated({"--cache-ram", "8192"}).notes, ElementsAre("--cache-ram 8192: taken as --cache-ram 8192M"));
  EXPECT_THAT(error_of({"-cram", "-1"}), AllOf(StartsWith("-cram: "), HasSubstr("16G")));
}

TEST(ForeignFlags, WhatCannotBeHonouredSaysWhatToDo) {
  EXPECT_THAT(error_of({"--lora", "a.gguf"}), AllOf(StartsWith("--lora: "), HasSubstr("merge")));
  EXPECT_THAT(error_of({"-mu", "https://x/m.gguf"}), AllOf(StartsWith("-mu: "), HasSubstr("-m")));
  EXPECT_THAT(error_of({"--adapter-path", "x"}), HasSubstr("fuse"));
  EXPECT_THAT(error_of({"--embeddings"}), HasSubstr("another server"));
  EXPECT_THAT(error_of({"--reasoning-format", "none"}), HasSubstr("reasoning_content"));
  EXPECT_THAT(error_of({"-ctk", "q8_0", "-ctv", "f16"}), AllOf(StartsWith("-ctv: "), HasSubstr("-ctk q8_0")));
  EXPECT_THAT(error_of({"--temp", "hot"}), AllOf(StartsWith("--default: temperature"), HasSubstr("a number")));
  EXPECT_THAT(error_of({"--chat-template", "{{ x }}"}), HasSubstr("file"));
  EXPECT_THAT(error_of({"--chat-template-kwargs", "{"}), HasSubstr("a JSON object"));
  EXPECT_THAT(error_of({"--reasoning", "maybe"}), HasSubstr("on, off or auto"));
}

TEST(ForeignFlags, ValuesAreWantedWhereTheServerWantsThem) {
  EXPECT_EQ(error_of({"--cache-reuse"}), "--cache-reuse: needs a value");
  EXPECT_EQ(error_of({"--jinja=yes"}), "--jinja: takes no value");
  EXPECT_THAT(error_of({"--ctx-siez", "5"}), HasSubstr("no flag --ctx-siez"));
  EXPECT_THAT(error_of({"--api-key", "", "stray"}), HasSubstr("'stray' is not expected"));
  EXPECT_THAT(error_of({"--api-key", ""}), HasSubstr("a key cannot be empty"));
  EXPECT_EQ(error_of({"--model-name", "", "-p", "1"}), "no error");
  EXPECT_EQ(error_of({"--model-name", "--jinja"}), "--model-name: needs a value");
  EXPECT_THAT(error_of({"--name", "--jinja"}), HasSubstr("--name"));
  EXPECT_THAT(translated({"--model-name=--jinja"}).arguments, ElementsAre("--name=--jinja"));
}

TEST(ForeignFlags, KeysComeFromAFileAndAreNotTold) {
  const std::string path = testing::TempDir() + "kvern_keys";
  FILE* file = std::fopen(path.c_str(), "w");
  std::fputs("secret-1\r\n\nsecret-2\n", file);
  std::fclose(file);
  const auto words = translated({"--api-key-file", path});
  std::remove(path.c_str());
  EXPECT_THAT(words.arguments, ElementsAre("--api-key=secret-1", "--api-key=secret-2"));
  EXPECT_THAT(words.notes, ElementsAre(Not(HasSubstr("secret"))));
  EXPECT_THAT(translated({"--api-key", "a,b"}).notes, ElementsAre(Not(HasSubstr("a,b"))));
  EXPECT_THAT(error_of({"--api-key-file", "/nowhere"}), HasSubstr("/nowhere cannot be opened"));
}

// The tables themselves.

TEST(ForeignTables, EveryRowCanBeActedOnAndTold) {
  for (const ForeignServer& server : foreign_servers()) {
    for (const ForeignFlag& flag : server.flags) {
      EXPECT_THAT(spellings(flag), Not(IsEmpty()));
      for (const std::string& name : spellings(flag)) EXPECT_THAT(name, StartsWith("-"));
      const bool maps = flag.effect == Effect::maps;
      const bool may_be_silent = maps || flag.effect == Effect::same || flag.convert != nullptr;
      EXPECT_TRUE(may_be_silent || !flag.remark.empty()) << flag.names;
      EXPECT_EQ(maps, !flag.own.empty()) << flag.names;
      EXPECT_EQ(flag.own == "default", !flag.field.empty()) << flag.names;
      if (maps && flag.own != "config-file") {
        EXPECT_THAT(serve_flags().flags, Contains(testing::Field(&Flag::name, flag.own))) << flag.names;
      }
    }
  }
}

TEST(ForeignTables, OneSpellingMeansOneThing) {
  std::map<std::string, const ForeignFlag*> seen;
  for (const ForeignServer& server : foreign_servers()) {
    for (const ForeignFlag& flag : server.flags) {
      for (const std::string& name : spellings(flag)) {
        const auto [it, added] = seen.emplace(name, &flag);
        if (added) continue;
        EXPECT_EQ(it->second->effect, flag.effect) << name;
        EXPECT_EQ(it->second->own, flag.own) << name;
        EXPECT_EQ(it->second->field, flag.field) << name;
        EXPECT_EQ(it->second->value.empty(), flag.value.empty()) << name;
      }
    }
  }
}

TEST(ForeignTables, HelpShowsOneServersTable) {
  const auto help = foreign_help("llama-server");
  ASSERT_TRUE(help);
  EXPECT_THAT(*help,
              AllOf(HasSubstr("-np, --parallel N"), HasSubstr("any common prefix is reused"), HasSubstr("refused: ")));
  EXPECT_TRUE(foreign_help("mlx-textgen"));
  EXPECT_TRUE(foreign_help("mlx-lm"));
  EXPECT_THAT(foreign_help("ollama").error().message, HasSubstr("llama-server, mlx-textgen or mlx-lm"));
}

}  // namespace
}  // namespace kvern::cli
