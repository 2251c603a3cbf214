// What a renderer remembers of earlier requests (tokens of texts, tools as its template wrote them) makes it
// faster and changes nothing.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "chat/renderer.h"
#include "chat/test_changing_talk.h"
#include "chat/turns/test_merge_vocab.h"

namespace kvern::chat {
namespace {

using testing::MergeVocab;

TEST(RendererMemory, AnExperiencedRendererRendersAsAFreshOne) {
  const MergeVocab vocab({"<tool_call>", "</tool_call>"});
  for (const char* dialect : {"hermes", "qwen3-coder"}) {
    for (const testing::TemplateKind& kind : testing::kTemplateKinds) {
      SCOPED_TRACE(kind.name);
      const std::string source = testing::template_of(*find_dialect(dialect), kind);
      for (std::uint32_t seed = 0; seed < 3; ++seed)
        testing::expect_no_memory_in_prompts(vocab, source, dialect, seed, 25);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(RendererMemory, ThreadsThatRenderAtOnceGetWhatEachAskedFor) {
  const MergeVocab vocab;
  const std::string source = testing::template_of(*find_dialect("hermes"), testing::kTemplateKinds[0]);
  const auto renderer = Renderer::create(vocab, {source, "hermes", false});
  ASSERT_TRUE(renderer);
  std::vector<ChatRequest> requests;
  std::vector<std::vector<TokenId>> expected;
  testing::ChangingTalk talk(5);
  for (int i = 0; i < 30; ++i, talk.change()) {
    const auto fresh = Renderer::create(vocab, {source, "hermes", false});
    const auto rendered = (*fresh)->render(talk.request());
    if (!rendered) continue;
    requests.push_back(talk.request());
    expected.push_back(rendered->prompt.tokens);
  }
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < requests.size() * 3; ++i) {
        const std::size_t which = (i + t * 7) % requests.size();
        const auto rendered = (*renderer)->render(requests[which]);
        wrong[t] += rendered && rendered->prompt.tokens == expected[which] ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

}  // namespace
}  // namespace kvern::chat
