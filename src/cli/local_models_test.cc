#include "cli/local_models.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>

namespace kvern::cli {
namespace {

namespace fs = std::filesystem;

class LocalModels : public testing::Test {
 protected:
  LocalModels() : home_(fs::path(testing::TempDir()) / ("kvern-stores-" + std::to_string(getpid()))) {
    fs::remove_all(home_);
    fs::create_directories(home_);
    stores_ = model_stores([this](const std::string& name) -> std::optional<std::string> {
      if (name == "HOME") return home_.string();
      return std::nullopt;
    });
  }
  ~LocalModels() override { fs::remove_all(home_); }

  fs::path write(const fs::path& path, const std::string& text = "x") {
    fs::create_directories((home_ / path).parent_path());
    std::ofstream(home_ / path) << text;
    return home_ / path;
  }
  // Below the home folder; "" when not found.
  std::string find(std::string_view name) {
    const auto found = find_local_model(name, stores_);
    return found ? fs::relative(*found, home_).string() : std::string();
  }

  fs::path home_;
  ModelStores stores_;
};

TEST_F(LocalModels, HuggingFacesCacheIsReadBySnapshot) {
  const fs::path repo = ".cache/huggingface/hub/models--org--Qwen-GGUF/snapshots/abc";
  write(repo / "mmproj-F16.gguf");
  write(repo / "Qwen-Q8_0.gguf");
  write(repo / "Qwen-Q4_K_M.gguf");
  write(repo / "README.md");
  const std::string q4 = (repo / "Qwen-Q4_K_M.gguf").string();
  for (const char* name : {"org/Qwen-GGUF", "hf.co/org/Qwen-GGUF", "hf:org/Qwen-GGUF", "org/Qwen-GGUF:q4_k_m",
                           "https://huggingface.co/org/Qwen-GGUF"}) {
    EXPECT_EQ(find(name), q4) << name;
  }
  EXPECT_EQ(find("org/Qwen-GGUF:Q8_0"), (repo / "Qwen-Q8_0.gguf").string());
  EXPECT_EQ(find("org/Qwen-GGUF:Q2_K"), "") << "another quantisation than the one asked for is no answer";
  EXPECT_EQ(find("org/Other"), "");
}

TEST_F(LocalModels, ATagIsAWholePartOfTheName) {
  const fs::path repo = ".lmstudio/models/org/m";
  write(repo / "m-BF16.gguf");
  write(repo / "m-IQ4_XS.gguf");
  write(repo / "m-Q4_K_M.gguf");
  for (const char* tag : {"F16", "Q4_K", "Q4", "4_XS"}) EXPECT_EQ(find(std::string("org/m:") + tag), "") << tag;
  write(repo / "m.f16-00001-of-00002.gguf");
  EXPECT_EQ(find("org/m:F16"), (repo / "m.f16-00001-of-00002.gguf").string());
  EXPECT_EQ(find("org/m:BF16"), (repo / "m-BF16.gguf").string());
}

TEST_F(LocalModels, OfSeveralSnapshotsTheBranchsIsTaken) {
  const fs::path repo = ".cache/huggingface/hub/models--org--m";
  write(repo / "snapshots/aaa/m-Q4_K_M.gguf");
  write(repo / "snapshots/aaa/m-Q8_0.gguf");
  write(repo / "snapshots/bbb/m-Q4_K_M.gguf");
  write(repo / "refs/main", "bbb\n");
  EXPECT_EQ(find("org/m"), (repo / "snapshots/bbb/m-Q4_K_M.gguf").string());
  EXPECT_EQ(find("org/m:Q8_0"), (repo / "snapshots/aaa/m-Q8_0.gguf").string()) << "only the older one has it";
  for (const char* odd : {"", "../../../..", "/", "ccc"}) {
    write(repo / "refs/main", odd);
    EXPECT_EQ(find("org/m"), (repo / "snapshots/aaa/m-Q4_K_M.gguf").string()) << odd;
  }
}

TEST_F(LocalModels, AModelInPartsIsItsFirst) {
  const fs::path repo = ".lmstudio/models/org/big";
  write(repo / "big-Q4_K_M-00002-of-00002.gguf");
  write(repo / "big-Q4_K_M-00001-of-00002.gguf");
  EXPECT_EQ(find("org/big"), (repo / "big-Q4_K_M-00001-of-00002.gguf").string());
}

TEST_F(LocalModels, AnUnfinishedDownloadIsNotAModel) {
  const fs::path repo = home_ / ".cache/huggingface/hub/models--org--m/snapshots/abc";
  fs::create_directories(repo);
  fs::create_symlink(home_ / "nothing", repo / "m.gguf");
  EXPECT_EQ(find("org/m"), "");
}

TEST_F(LocalModels, LlamaCppsOwnCacheIsOneFolder) {
  write(".cache/llama.cpp/org_m_m-q4_0.gguf");
  write(".cache/llama.cpp/org_more_more-q4_0.gguf");
  EXPECT_EQ(find("org/m"), ".cache/llama.cpp/org_m_m-q4_0.gguf");
}

TEST_F(LocalModels, OllamasNamesLeadToBlobs) {
  const std::string layers = R"({"layers":[{"mediaType":"application/vnd.ollama.image.template","digest":"sha256:t"},
                                           {"mediaType":"application/vnd.ollama.image.model","digest":"sha256:aa"}]})";
  write(".ollama/models/manifests/registry.ollama.ai/library/qwen/latest", layers);
  write(".ollama/models/manifests/registry.ollama.ai/library/qwen/7b", layers);
  EXPECT_EQ(find("qwen"), "") << "a manifest without its blob";
  write(".ollama/models/blobs/sha256-aa");
  EXPECT_EQ(find("qwen"), ".ollama/models/blobs/sha256-aa");
  EXPECT_EQ(find("qwen:7b"), ".ollama/models/blobs/sha256-aa");
  EXPECT_EQ(find("qwen:70b"), "");
}

TEST_F(LocalModels, AManifestThatIsWrongLeadsNowhere) {
  write("secret");
  for (const char* text :
       {"", "[]", "{", R"({"layers":5})", R"({"layers":[5,{"mediaType":7}]})",
        R"({"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":7}]})",
        R"({"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"../../../secret"}]})"}) {
    write(".ollama/models/manifests/registry.ollama.ai/library/bad/latest", text);
    EXPECT_EQ(find("bad"), "") << text;
  }
}

TEST_F(LocalModels, NamesCannotLeaveTheStores) {
  write("secret/m.gguf");
  for (const char* name :
       {"../secret", "../../secret:m", "a/../secret", "a/b/c", "", "/", ":", "a:", "org/", "/etc", "a b"})
    EXPECT_EQ(find(name), "") << name;
}

TEST_F(LocalModels, VariablesOfEachProgramMoveItsStore) {
  const std::map<std::string, std::string> set = {
      {"HOME", "/h"}, {"HF_HOME", "/hf"}, {"LLAMA_CACHE", "/l"}, {"OLLAMA_MODELS", "/o"}};
  const ModelStores stores = model_stores([&](const std::string& name) -> std::optional<std::string> {
    const auto it = set.find(name);
    return it == set.end() ? std::nullopt : std::optional(it->second);
  });
  EXPECT_EQ(stores.hugging_face, "/hf/hub");
  EXPECT_EQ(stores.llama_cpp, "/l");
  EXPECT_EQ(stores.ollama, "/o");
  EXPECT_EQ(stores.lm_studio, "/h/.lmstudio/models");
  EXPECT_FALSE(find_local_model("org/m", {}));
}

}  // namespace
}  // namespace kvern::cli
