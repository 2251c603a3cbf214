#include "app/warm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace kvern::app {
namespace {

using testing::HasSubstr;

class WarmFiles : public testing::Test {
 protected:
  void TearDown() override { std::remove(path_.c_str()); }
  std::string complaint(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    const Status status = check_warm_files({path_});
    return status ? "none" : status.error().field + ": " + status.error().message;
  }

  const std::string path_ = testing::TempDir() + "kvern_warm_test.json";
};

TEST_F(WarmFiles, AChatRequestAndACompletionRequestAreBothFine) {
  EXPECT_EQ(complaint(R"({"messages":[{"role":"system","content":"You help."},{"role":"user","content":"x"}]})"),
            "none");
  EXPECT_EQ(complaint(R"({"prompt":"Once upon a time"})"), "none");
}

TEST_F(WarmFiles, WhatIsWrongIsSaidWithTheFilesName) {
  const std::string start = "--warm: " + path_ + ": ";
  EXPECT_THAT(complaint("{"), HasSubstr(start));
  EXPECT_EQ(complaint("[]"), start + "is no request: expected a JSON object with \"messages\" or \"prompt\"");
  EXPECT_THAT(complaint(R"({"messages":[{"role":"user","content":5}]})"), HasSubstr(start + "messages[0].content"));
  EXPECT_THAT(complaint(R"({"prompt":{}})"), HasSubstr(start + "prompt"));
}

TEST_F(WarmFiles, AFileThatCannotBeReadIsNamed) {
  const Status missing = check_warm_files({path_ + ".missing"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, path_ + ".missing: cannot be read: No such file or directory");
  const Status folder = check_warm_files({testing::TempDir()});
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().message, HasSubstr("is a folder"));
}

}  // namespace
}  // namespace kvern::app
