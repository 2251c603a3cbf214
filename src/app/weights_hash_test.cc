#include "app/weights_hash.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>

#include "base/hash.h"

namespace kvern::app {
namespace {

namespace fs = std::filesystem;

// An own folder with model files that were written long ago, as downloaded ones are.
class WeightsHash : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "weights_hash_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  enum class Age { old, fresh };
  fs::path write(const std::string& name, const std::string& bytes, Age age = Age::old) {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    if (age == Age::old) fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(1));
    return path;
  }

  // The hash, and whether the weights were read for it: progress then comes in steps of what was read.
  std::string hash(const fs::path& model) {
    steps_.clear();
    const auto result = weights_hash(model, cache(), [this](float part) { steps_.push_back(part); });
    EXPECT_TRUE(result) << result.error().message;
    return result.value_or("");
  }

  fs::path cache() const { return folder_ / "new" / "cache"; }
  fs::path memory() const { return cache() / "weights.json"; }
  std::string remembered() const {
    std::ifstream file(memory());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static std::string hash_of(const std::string& bytes) { return to_hex(sha256(bytes)); }

  fs::path folder_;
  std::vector<float> steps_;
};

TEST_F(WeightsHash, IsTheSha256OfTheWholeFile) {
  std::string bytes(9 << 20, 'w');
  bytes.back() = 'x';
  EXPECT_EQ(hash(write("model.gguf", bytes)), hash_of(bytes));
  EXPECT_GE(steps_.size(), 3U) << "a large file is read in pieces";
  EXPECT_TRUE(std::is_sorted(steps_.begin(), steps_.end()));
  EXPECT_EQ(steps_.back(), 1.0F);
}

// Planting another hash is the only way to see that the file was not read.
TEST_F(WeightsHash, IsRememberedAsLongAsTheFileStaysTheSame) {
  const fs::path model = write("model.gguf", "weights");
  const std::string right = hash(model);
  std::string text = remembered();
  const std::string planted(64, 'a');
  ASSERT_NE(text.find(right), std::string::npos);
  std::ofstream(memory()) << text.replace(text.find(right), right.size(), planted);
  EXPECT_EQ(hash(model), planted);

  const auto modified = fs::last_write_time(model);
  write("model.gguf", "Weights");
  fs::last_write_time(model, modified + std::chrono::seconds(1));
  EXPECT_EQ(hash(model), hash_of("Weights")) << "another time";
  write("model.gguf", "weights!");
  fs::last_write_time(model, modified + std::chrono::seconds(1));
  EXPECT_EQ(hash(model), hash_of("weights!")) << "another size";
  const fs::path other = write("other.gguf", "WEIGHTS!");
  fs::last_write_time(other, modified + std::chrono::seconds(1));
  fs::rename(other, model);
  EXPECT_EQ(hash(model), hash_of("WEIGHTS!")) << "another file at the same place";
}

TEST_F(WeightsHash, AFileWrittenJustNowIsNotRemembered) {
  const fs::path model = write("model.gguf", "one", Age::fresh);
  EXPECT_EQ(hash(model), hash_of("one"));
  EXPECT_EQ(remembered().find(hash_of("one")), std::string::npos);
}

TEST_F(WeightsHash, ADamagedMemoryIsComputedAnew) {
  const fs::path model = write("model.gguf", "weights");
  hash(model);
  const std::string good = remembered();
  const std::string bad[] = {"",
                             "{",
                             "[]",
                             "{\"files\": 7}",
                             "{\"files\": [1, null, {}, {\"path\": \"x\"}]}",
                             "\xff\xfe",
                             "nul\0l",
                             good.substr(0, good.size() / 2)};
  for (const std::string& text : bad) {
    std::ofstream(memory()) << text;
    EXPECT_EQ(hash(model), hash_of("weights")) << text;
    EXPECT_EQ(remembered(), good) << text;
  }
}

TEST_F(WeightsHash, AShardedModelIsAllItsShards) {
  write("m-00001-of-00003.gguf", "a");
  write("m-00002-of-00003.gguf", "b");
  const fs::path third = write("m-00003-of-00003.gguf", "c");
  const std::string all = hash(folder_ / "m-00001-of-00003.gguf");
  EXPECT_EQ(all, hash_of(hash_of("a") + hash_of("b") + hash_of("c")));
  write("m-00003-of-00003.gguf", "cc");
  EXPECT_NE(hash(folder_ / "m-00001-of-00003.gguf"), all);
  fs::remove(third);
  const auto missing = weights_hash(folder_ / "m-00001-of-00003.gguf", cache(), {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_NE(missing.error().message.find("m-00003-of-00003.gguf"), std::string::npos);
  EXPECT_EQ(hash(write("m-00000-of-00000.gguf", "odd")), hash_of("odd"));
}

TEST_F(WeightsHash, WithoutAPlaceToRememberItIsStillRight) {
  const fs::path model = write("model.gguf", "weights");
  std::ofstream(folder_ / "new") << "a file where the folder should be";
  EXPECT_EQ(hash(model), hash_of("weights"));
}

TEST_F(WeightsHash, TheMemoryStaysSmall) {
  for (int i = 0; i < 300; ++i) hash(write("model" + std::to_string(i), "w"));
  const std::string text = remembered();
  EXPECT_EQ(text.find("model0\""), std::string::npos) << "the oldest went";
  EXPECT_NE(text.find("model299\""), std::string::npos);
  EXPECT_LT(text.size(), 100'000U);
}

}  // namespace
}  // namespace kvern::app
