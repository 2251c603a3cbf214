#include "chat/transport_headers.h"

#include <gtest/gtest.h>

namespace kvern::chat {
namespace {

TEST(TransportHeaders, ALineAtTheStartIsDropped) {
  EXPECT_EQ(without_transport_header("x-anthropic-billing-header: cc_version=2.1.330.839; cc_entrypoint=cli;\nYou are"),
            "You are");
  EXPECT_EQ(without_transport_header("x-anthropic-billing-header: a=1; cch=0a1b2;\n\nYou are"), "You are");
  EXPECT_EQ(without_transport_header("x-anthropic-billing-header: cch=0;"), "");
  EXPECT_EQ(without_transport_header("x-anthropic-billing-header: something new\nYou are"), "You are");
  EXPECT_EQ(without_transport_header("x-anthropic-billing-header:"), "");
  EXPECT_EQ(without_transport_header("x-anthropic-billing-header: a=1; cch=0\n\nYou are"), "You are");
  EXPECT_EQ(without_transport_header("x-anthropic-billing-header: a=1; cch=0"), "");
}

// Blocks are joined without a break, so the next one may follow at once.
TEST(TransportHeaders, TheBlockBehindItStays) {
  EXPECT_EQ(without_transport_header("x-anthropic-billing-header: a=1; cch=00000;You are = a; b"), "You are = a; b");
  EXPECT_EQ(without_transport_header("x-anthropic-billing-header: a=1;\nb=2; stays"), "b=2; stays");
}

TEST(TransportHeaders, NothingElseIsTouched) {
  for (const char* text :
       {"", "You are", " x-anthropic-billing-header: a=1;\n", "You\nx-anthropic-billing-header: a=1;\n",
        "x-anthropic-billing-headers: a=1;", "X-Anthropic-Billing-Header: a=1;"})
    EXPECT_EQ(without_transport_header(text), text);
}

}  // namespace
}  // namespace kvern::chat
