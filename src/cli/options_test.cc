#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>

#include "cli/config_file.h"
#include "cli/exit_code.h"
#include "cli/flags.h"
#include "cli/serve_options.h"
#include "cli/settings.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Environment variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto it = values.find(name);
    if (it == values.end()) return std::nullopt;
    return it->second;
  };
}

Result<ServeSettings> serve(const std::vector<std::string>& arguments,
                            std::map<std::string, std::string> environment = {}) {
  TRY(const FlagValues flags, parse_flags(serve_flags(), arguments));
  TRY(const Settings settings, gather_settings(serve_flags(), flags, variables(std::move(environment))));
  return serve_settings(settings);
}

std::string error_of(const std::vector<std::string>& arguments, std::map<std::string, std::string> environment = {}) {
  const auto result = serve(arguments, std::move(environment));
  return result ? "no error" : result.error().field + ": " + result.error().message;
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text) : path_(testing::TempDir() + "kvern_options_test.toml") {
    FILE* file = std::fopen(path_.c_str(), "w");
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Words, SizesArePowersOf1024) {
  EXPECT_EQ(parse_size("65536"), 65'536U);
  EXPECT_EQ(parse_size("64k"), 65'536U);
  EXPECT_EQ(parse_size("512M"), 512U << 20);
  EXPECT_EQ(parse_size("16G"), std::uint64_t{16} << 30);
  EXPECT_EQ(parse_size("16GiB"), std::uint64_t{16} << 30);
  EXPECT_EQ(parse_size("2TB"), std::uint64_t{2} << 40);
  EXPECT_EQ(parse_size("0"), 0U);
}

TEST(Words, WhatIsNoSizeIsRefused) {
  for (const char* word :
       {"", "G", "-1", "1.5G", "16X", "16Gi", "16 G", "9999999999999999999999", "9000000T", "0x10"}) {
    EXPECT_EQ(parse_size(word), std::nullopt) << word;
  }
}

TEST(Words, SlipsOfTheFingersAreRecognisedAndOtherWordsAreNot) {
  static constexpr std::array<std::string_view, 3> kNames = {"port", "parallel", "host"};
  EXPECT_EQ(nearest("prot", kNames), "port");
  EXPECT_EQ(nearest("paralel", kNames), "parallel");
  EXPECT_EQ(nearest("verbose", kNames), "");
  EXPECT_EQ(nearest("x", kNames), "");
}

TEST(ServeFlags, DefaultsServeLoopbackOnPort8080) {
  const auto settings = serve({});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->options.host, "127.0.0.1");
  EXPECT_EQ(settings->options.port, 8080);
  EXPECT_EQ(settings->options.model, "");
  EXPECT_EQ(settings->options.context, 0);
  EXPECT_EQ(settings->options.cache_ram_bytes, std::nullopt);
}

TEST(ServeFlags, EveryFlagArrivesWhereItBelongs) {
  const auto settings = serve({"-m",
                               "a.gguf",
                               "--name",
                               "coder",
                               "--host",
                               "::1",
                               "-p",
                               "0",
                               "-c",
                               "64k",
                               "--parallel=8",
                               "--latency-target",
                               "2.25",
                               "--draft-max",
                               "8",
                               "-t",
                               "6",
                               "--cache-dir",
                               "/c",
                               "--cache-ram",
                               "16G",
                               "--cache-disk",
                               "1T",
                               "--no-cache",
                               "--kv-type",
                               "q8_0",
                               "--chat-template",
                               "t.jinja",
                               "--dialect",
                               "qwen",
                               "--api-key",
                               "one",
                               "--api-key",
                               "two",
                               "--log-level",
                               "warn",
                               "--log-format",
                               "json"});
  ASSERT_TRUE(settings) << settings.error().message;
  const app::ServeOptions& options = settings->options;
  EXPECT_EQ(options.model, "a.gguf");
  EXPECT_EQ(options.name, "coder");
  EXPECT_EQ(options.host, "::1");
  EXPECT_EQ(options.port, 0);
  EXPECT_EQ(options.context, 65'536);
  EXPECT_EQ(options.parallel, 8);
  EXPECT_EQ(options.latency_target, 2.25);
  EXPECT_EQ(options.draft_max, 8);
  EXPECT_EQ(options.threads, 6);
  EXPECT_EQ(options.cache_dir, "/c");
  EXPECT_EQ(options.cache_ram_bytes, std::uint64_t{16} << 30);
  EXPECT_EQ(options.cache_disk_bytes, std::uint64_t{1} << 40);
  EXPECT_TRUE(options.no_cache);
  EXPECT_EQ(options.kv_type, "q8_0");
  EXPECT_EQ(options.chat_template_file, "t.jinja");
  EXPECT_EQ(options.dialect, "qwen");
  EXPECT_THAT(options.api_keys, ElementsAre("one", "two"));
  EXPECT_EQ(settings->log_level, log::Level::warn);
  EXPECT_EQ(settings->log_format, log::Format::json);
}

TEST(ServeFlags, UnknownFlagsNameTheNearestOne) {
  EXPECT_THAT(error_of({"--prot", "9090"}), HasSubstr("did you mean --port?"));
  EXPECT_THAT(error_of({"--cache_ram=1G"}), HasSubstr("did you mean --cache-ram?"));
  EXPECT_THAT(error_of({"--frobnicate"}), HasSubstr("kvern serve --help"));
  EXPECT_THAT(error_of({"model.gguf"}), HasSubstr("'model.gguf' is not expected"));
  EXPECT_THAT(error_of({"--port"}), HasSubstr("--port"));
}

TEST(ServeFlags, WrongValuesNameTheirFlag) {
  EXPECT_THAT(error_of({"--port", "http"}), HasSubstr("--port: 'http' is not a whole number from 0 to 65535"));
  EXPECT_THAT(error_of({"--port", "70000"}), HasSubstr("--port"));
  EXPECT_THAT(error_of({"--cache-ram", "lots"}), HasSubstr("--cache-ram: 'lots' is not a size"));
  EXPECT_THAT(error_of({"-c", "4G"}), HasSubstr("--context"));
  EXPECT_THAT(error_of({"--kv-type", "q80"}), HasSubstr("did you mean q8_0?"));
  EXPECT_THAT(error_of({"--log-format", "xml"}), HasSubstr("--log-format"));
  EXPECT_THAT(error_of({"--parallel", "0"}), HasSubstr("--parallel"));
  EXPECT_THAT(error_of({"--draft-max", "65"}), HasSubstr("--draft-max"));
  EXPECT_THAT(error_of({"--draft", "65"}), HasSubstr("--draft"));
  EXPECT_THAT(error_of({"--draft", ""}), HasSubstr("needs a model"));
  for (const char* ratio : {"0.9", "nan", "inf", "1001", "1.5x", "fast"})
    EXPECT_THAT(error_of({"--latency-target", ratio}), HasSubstr("--latency-target")) << ratio;
  EXPECT_THAT(error_of({}, {{"KVERN_PORT", "x"}}), HasSubstr("KVERN_PORT: 'x'"));
  EXPECT_THAT(error_of({}, {{"KVERN_NO_CACHE", "maybe"}}), HasSubstr("KVERN_NO_CACHE"));
}

// An open port without a key is somebody else's free computer.
TEST(ServeFlags, AnAddressOthersCanReachNeedsAKey) {
  EXPECT_THAT(error_of({"--host", "0.0.0.0"}), HasSubstr("--api-key"));
  EXPECT_THAT(error_of({}, {{"KVERN_HOST", "192.168.1.4"}}), HasSubstr("KVERN_HOST"));
  EXPECT_THAT(error_of({"--host", "0.0.0.0", "--api-key", ""}), HasSubstr("empty"));
  EXPECT_TRUE(serve({"--host", "0.0.0.0", "--api-key", "k"}));
  EXPECT_TRUE(serve({"--host", "0.0.0.0"}, {{"KVERN_API_KEY", "k"}}));
  EXPECT_TRUE(serve({"--host", "0.0.0.0", "--no-auth"}));
  EXPECT_TRUE(serve({"--host", "0.0.0.0", "--unix-socket", "/tmp/s"}));
  EXPECT_TRUE(serve({"--host", "localhost"}));
}

TEST(ServeFlags, AFlagWinsOverAVariableAndAVariableOverTheFile) {
  const TemporaryFile file("port = 1\nparallel = 1\nthreads = 1\n");
  const auto settings = serve({"--config", file.path(), "--port", "3"}, {{"KVERN_PORT", "2"}, {"KVERN_PARALLEL", "2"}});
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->options.port, 3);
  EXPECT_EQ(settings->options.parallel, 2);
  EXPECT_EQ(settings->options.threads, 1);
}

TEST(ServeFlags, AVariableMayNameTheFileAndAnEmptyOneCountsAsUnset) {
  const TemporaryFile file("port = 1234\n");
  const auto settings = serve({}, {{"KVERN_CONFIG", file.path()}, {"KVERN_PORT", ""}});
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->options.port, 1234);
  EXPECT_THAT(error_of({"--config", "/nowhere.toml"}), HasSubstr("--config: the config file /nowhere.toml"));
}

TEST(ServeFlags, HelpNamesEveryFlag) {
  const std::string help = help_text(serve_flags());
  for (const Flag& flag : serve_flags().flags) EXPECT_THAT(help, HasSubstr("--" + std::string(flag.name)));
}

std::string config_error(const std::string& text) {
  const auto entries = parse_config(text, "kvern.toml", serve_flags().flags);
  return entries ? "no error" : entries.error().field + ": " + entries.error().message;
}

TEST(ConfigFile, KeysAreTheFlagsNamesWithDashesOrUnderscores) {
  const auto entries = parse_config("cache-ram = \"1G\"\nno_cache = true\nport = 9000\napi-key = [\"a\", \"b\"]\n",
                                    "kvern.toml", serve_flags().flags);
  ASSERT_TRUE(entries) << entries.error().message;
  EXPECT_THAT(entries->at("cache-ram").values, ElementsAre("1G"));
  EXPECT_THAT(entries->at("no-cache").values, ElementsAre("true"));
  EXPECT_THAT(entries->at("port").values, ElementsAre("9000"));
  EXPECT_THAT(entries->at("api-key").values, ElementsAre("a", "b"));
}

TEST(ConfigFile, MistakesNameFileAndLine) {
  EXPECT_THAT(config_error("port = 1\nprot = 2\n"),
              HasSubstr("kvern.toml:2: 'prot' is not a key kvern knows; did you mean 'port'?"));
  EXPECT_THAT(config_error("port = \n"), HasSubstr("kvern.toml:1: not TOML"));
  EXPECT_THAT(config_error("[server]\nport = 1\n"), HasSubstr("'server' is not a key"));
  EXPECT_THAT(config_error("port = [1, 2]\n"), HasSubstr("takes one"));
  EXPECT_THAT(config_error("api-key = [[1]]\n"), HasSubstr("kvern.toml:1"));
  EXPECT_THAT(config_error("no-cache = true\nno_cache = true\n"), HasSubstr("twice"));
  EXPECT_THAT(config_error("config = \"other.toml\"\n"), HasSubstr("not a key")) << "a file cannot name another";
}

TEST(ExitCode, TellsUsageFromWhatTheMachineLacks) {
  EXPECT_EQ(exit_code({Code::invalid, "", "--context"}), kUsage);
  EXPECT_EQ(exit_code({Code::not_found, "", "--model"}), kCannotStart);
  EXPECT_EQ(exit_code({Code::failed, "taken", "--port"}), kCannotStart);
  EXPECT_EQ(exit_code({Code::failed, "", ""}), kFailed);
  EXPECT_EQ(exit_code({Code::cancelled, "", ""}), kInterrupted);
}

}  // namespace
}  // namespace kvern::cli
