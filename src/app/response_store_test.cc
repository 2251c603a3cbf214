#include "app/response_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace kvern::app {
namespace {

api::ItemText text(std::string words) { return std::make_shared<const std::string>(std::move(words)); }

StoredResponse response(const std::string& id, std::size_t bytes = 10, const std::string& salt = "") {
  return {id, salt, std::string(bytes, 'b'), {text("question"), text("answer")}, 1};
}

TEST(ResponseStore, FindsWhatWasPutUntilItIsErased) {
  ResponseStore store;
  store.put(response("resp_1"));
  ASSERT_TRUE(store.find("resp_1", ""));
  EXPECT_EQ(store.find("resp_1", "")->body, "bbbbbbbbbb");
  EXPECT_FALSE(store.find("resp_2", ""));
  EXPECT_TRUE(store.erase("resp_1", ""));
  EXPECT_FALSE(store.erase("resp_1", ""));
  EXPECT_FALSE(store.find("resp_1", ""));
  EXPECT_EQ(store.bytes(), 0U);
}

TEST(ResponseStore, GivesNothingToAnotherKey) {
  ResponseStore store;
  store.put(response("resp_1", 10, "mine"));
  EXPECT_FALSE(store.find("resp_1", "yours"));
  EXPECT_FALSE(store.erase("resp_1", "yours"));
  EXPECT_TRUE(store.find("resp_1", "mine"));
  EXPECT_FALSE(StoredFor(store, "yours").conversation("resp_1"));
  EXPECT_EQ(StoredFor(store, "mine").conversation("resp_1")->size(), 2U);
}

TEST(ResponseStore, ForgetsTheLongestUnused) {
  ResponseStore store({.responses = 3, .bytes = 1'000'000});
  for (int i = 0; i < 3; ++i) store.put(response(fmt::format("resp_{}", i)));
  EXPECT_TRUE(store.find("resp_0", ""));  // used: resp_1 is the oldest now
  store.put(response("resp_3"));
  EXPECT_FALSE(store.find("resp_1", ""));
  EXPECT_TRUE(store.find("resp_0", ""));
  EXPECT_EQ(store.size(), 3U);
}

TEST(ResponseStore, KeepsItsBytesWithinTheBound) {
  ResponseStore store({.responses = 1'000, .bytes = 10'000});
  for (int i = 0; i < 100; ++i) {
    store.put(response(fmt::format("resp_{}", i), 3'000));
    EXPECT_LE(store.bytes(), 10'000U);
  }
  EXPECT_TRUE(store.find("resp_99", ""));
  store.put(response("resp_huge", 20'000));
  EXPECT_FALSE(store.find("resp_huge", ""));
  EXPECT_TRUE(store.find("resp_99", "")) << "what is too large costs nobody else their place";
}

TEST(ResponseStore, FindsAnItemOfAnAnswerByItsId) {
  const std::string tag(24, 'T');
  ResponseStore store;
  store.put(response("resp_" + tag));
  const StoredFor view(store, "");
  EXPECT_EQ(*view.item("msg_" + tag + "_0"), "answer");
  EXPECT_EQ(view.item("msg_" + tag + "_1"), nullptr);
  EXPECT_EQ(view.item("msg_" + tag + "_x"), nullptr);
  EXPECT_EQ(view.item("msg_" + tag + "_99999999999999999999999"), nullptr);
  EXPECT_EQ(view.item("msg_1"), nullptr);
}

}  // namespace
}  // namespace kvern::app
