// For tests: a conversation that changes as clients change theirs from request to request, and the claim
// that a renderer which has seen all of it renders each request as one that has seen nothing.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "chat/renderer.h"
#include "chat/turns/test_turns.h"

namespace kvern::chat::testing {

class ChangingTalk {
 public:
  explicit ChangingTalk(std::uint32_t seed) : random_(seed) {
    request_.tools = some_tools();
    say(Role::system, some_text(random_, 20));
    say(Role::user, some_text(random_, 5));
  }

  const ChatRequest& request() const { return request_; }

  // Mostly grows; now and then something old is edited, cut off or offered anew.
  void change() {
    auto& messages = request_.messages;
    const std::size_t any = below(random_, messages.size());
    switch (below(random_, 10)) {
      case 0: messages[any].content += some_text(random_, 1); break;
      case 1: messages[any].content = some_text(random_, 4); break;
      case 2: messages.resize(2 + below(random_, messages.size() - 1)); break;
      case 3: request_.tools.back().description = some_text(random_, 2); break;
      case 4: std::swap(request_.tools.front(), request_.tools.back()); break;
      default: grow();
    }
  }

 private:
  void say(Role role, std::string content) { request_.messages.push_back(text_message(role, std::move(content))); }

  void grow() {
    Message answer = text_message(Role::assistant, some_text(random_, below(random_, 8)));
    if (one_in(random_, 4)) answer.reasoning = some_text(random_, 3);
    for (std::size_t i = below(random_, 3); i > 0; --i)
      answer.tool_calls.push_back({"call_" + std::to_string(++calls_), "read", some_arguments(random_)});
    const std::vector<ToolCall> calls = answer.tool_calls;
    request_.messages.push_back(std::move(answer));
    for (const ToolCall& call : calls) {
      say(Role::tool, some_text(random_, 12));
      request_.messages.back().tool_call_id = call.id;
    }
    if (calls.empty() || one_in(random_, 3)) say(Role::user, some_text(random_, 5));
  }

  Random random_;
  ChatRequest request_;
  int calls_ = 0;
};

inline std::vector<std::int64_t> numbers_of(const RenderedChat& chat) {
  std::vector<std::int64_t> all = {chat.in_reasoning, static_cast<std::int64_t>(chat.mark.hash.low)};
  all.insert(all.end(), chat.prompt.boundaries.begin(), chat.prompt.boundaries.end());
  for (const Segment& segment : chat.prompt.segments)
    for (const std::uint64_t digest :
         {static_cast<std::uint64_t>(segment.end), segment.content, segment.reasoning, segment.calls, segment.tools})
      all.push_back(static_cast<std::int64_t>(digest));
  return all;
}

inline void expect_no_memory_in_prompts(const Vocab& vocab, const std::string& source, const std::string& dialect,
                                        std::uint32_t seed, int changes) {
  const auto made = [&] { return Renderer::create(vocab, {source, dialect, false}); };
  const auto experienced = made();
  ASSERT_TRUE(experienced) << experienced.error().message;
  ChangingTalk talk(seed);
  for (int i = 0; i < changes; ++i, talk.change()) {
    const auto fresh = made();
    const auto before = (*fresh)->render(talk.request());
    const auto after = (*experienced)->render(talk.request());
    ASSERT_EQ(before.has_value(), after.has_value());
    if (!before) continue;  // the template refuses it
    ASSERT_EQ(after->prompt.tokens, before->prompt.tokens) << "seed " << seed << ", change " << i;
    ASSERT_EQ(numbers_of(*after), numbers_of(*before)) << "seed " << seed << ", change " << i;
  }
}

}  // namespace kvern::chat::testing
