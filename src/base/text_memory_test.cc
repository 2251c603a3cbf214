#include "base/text_memory.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace kvern {
namespace {

struct Length {
  std::size_t of = 0;
};
struct Initial {
  char of = 0;
};

TEST(TextMemory, WhatWasMadeIsFoundByItsTextAndItsType) {
  TextMemory memory(10'000);
  EXPECT_FALSE(memory.find<Length>("one"));
  memory.keep("one", Length{3}, sizeof(Length));
  memory.keep("one", Initial{'o'}, sizeof(Initial));
  ASSERT_TRUE(memory.find<Length>("one"));
  EXPECT_EQ(memory.find<Length>("one")->of, 3u);
  EXPECT_EQ(memory.find<Initial>("one")->of, 'o');
  EXPECT_FALSE(memory.find<Length>("One"));
}

TEST(TextMemory, TheLongestUnusedGoFirstAndTheBoundHolds) {
  TextMemory memory(5'000);
  for (int i = 0; i < 100; ++i) {
    memory.keep(std::to_string(i), Length{1}, 500);
    EXPECT_LE(memory.bytes(), 5'000u);
    EXPECT_TRUE(memory.find<Length>("0")) << "it was asked for all the time, after " << i;
  }
  EXPECT_TRUE(memory.find<Length>("99"));
  EXPECT_FALSE(memory.find<Length>("50"));
  memory.keep("huge", Length{1}, 5'001);
  EXPECT_FALSE(memory.find<Length>("huge"));
}

TEST(TextMemory, WhatIsForgottenLivesOnWithItsHolder) {
  TextMemory memory(1'000);
  const auto held = memory.keep("held", std::string("its value"), 100);
  for (int i = 0; i < 50; ++i) memory.keep(std::to_string(i), Length{1}, 100);
  EXPECT_FALSE(memory.find<std::string>("held"));
  EXPECT_EQ(*held, "its value");
}

TEST(TextMemory, ThreadsNeverGetAnothersValue) {
  TextMemory memory(20'000);
  std::atomic<int> wrong = 0;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&memory, &wrong, thread] {
      for (int i = 0; i < 5'000; ++i) {
        const std::string text(static_cast<std::size_t>(1 + (i * (thread + 1)) % 97), 'x');
        const auto known = memory.find<Length>(text);
        const auto value = known ? known : memory.keep(text, Length{text.size()}, 200);
        if (value->of != text.size()) ++wrong;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(memory.bytes(), 20'000u);
}

}  // namespace
}  // namespace kvern
