// What kvern adds to a step and to a request, apart from the model and from tools: a JSON line for each measurement.
//
//   core_micro [--quick]
//
// The prefix tree with 100k tokens, hashing a block, drawing from 152k logits, reading a request of 100 KB, and
// writing a streamed token. Times are CPU time; each is the median of many rounds.
#include <algorithm>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai_chat.h"
#include "base/json.h"
#include "base/json_text.h"
#include "cache/prefix_tree.h"
#include "engine/fake/fake_vocab.h"
#include "http/sse.h"
#include "micro.h"
#include "schedule/sampler.h"

namespace kvern::bench {
namespace {

constexpr std::int32_t kVocabulary = 151'936;
constexpr std::int32_t kPrompt = 100'000;
constexpr std::int32_t kHead = 20'000;
constexpr int kConversations = 10;

// The median over rounds of what one of `each` takes.
double median_us(int rounds, int each, const std::function<void()>& work) {
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) {
    times.push_back(microseconds([&] {
                      for (int i = 0; i < each; ++i) work();
                    }) /
                    each);
  }
  return quantile(std::move(times), 0.5);
}

// What is computed is looked at, or the compiler leaves it out.
std::uint64_t looked_at = 0;

std::vector<TokenId> random_tokens(std::mt19937_64& random, std::int32_t count) {
  std::vector<TokenId> tokens;
  for (std::int32_t i = 0; i < count; ++i) tokens.push_back(static_cast<TokenId>(random() % kVocabulary));
  return tokens;
}

// Ten conversations of 100k tokens that part after 20k; each lookup is of one of them, gone on.
void measure_tree(int rounds) {
  const cache::Rates rates;
  cache::PrefixTree tree(1ULL << 40, rates);
  cache::Node& root = tree.root(cache::Key{});
  std::mt19937_64 random(1);
  const std::vector<TokenId> head = random_tokens(random, kHead);
  std::vector<std::vector<TokenId>> prompts;
  const auto row = std::make_shared<const engine::Bytes>(16);
  std::vector<double> inserts;
  for (int i = 0; i < kConversations; ++i) {
    std::vector<TokenId> prompt = head;
    const std::vector<TokenId> own = random_tokens(random, kPrompt - kHead);
    prompt.insert(prompt.end(), own.begin(), own.end());
    for (std::int32_t begin = 0; begin < kPrompt; begin += cache::kBlockTokens) {
      const std::int32_t end = std::min(begin + cache::kBlockTokens, kPrompt);
      cache::Node* node = nullptr;
      inserts.push_back(microseconds([&] { node = tree.insert(root, prompt, begin, end, false, i); }));
      if (!node->rows.ram) tree.put(*node, cache::Part::rows, row, i);
    }
    prompt.push_back(1);
    prompts.push_back(std::move(prompt));
  }
  std::size_t next = 0;
  const auto find = [&] { looked_at += tree.find(root, prompts[next++ % prompts.size()]).size(); };
  report("prefix tree", "a prompt of 100k tokens found among 820k", median_us(rounds, 10, find), "us");
  const std::vector<TokenId> unknown = random_tokens(random, kPrompt);
  report("prefix tree", "a prompt of 100k unknown tokens",
         median_us(rounds, 1'000, [&] { looked_at += tree.find(root, unknown).size(); }), "us");
  report("prefix tree", "a block inserted at up to 100k tokens, p50", quantile(inserts, 0.5), "us");
  report("prefix tree", "a block inserted at up to 100k tokens, p99", quantile(inserts, 0.99), "us");
  const std::vector<TokenId> same = prompts[0];
  report(
      "tokens", "two prompts of 100k compared",
      median_us(rounds, 10, [&] { looked_at += static_cast<std::uint64_t>(cache::common_prefix(prompts[0], same)); }),
      "us");
}

void measure_hashing(int rounds) {
  std::mt19937_64 random(2);
  const std::vector<TokenId> block = random_tokens(random, cache::kBlockTokens);
  cache::Key key{};
  report("block key", "256 tokens, chained", median_us(rounds, 1'000, [&] { key = cache::chain_key(key, block); }),
         "us");
  looked_at += key[0];
}

// As models give them: a bell, and a few tokens far above it.
std::vector<float> logits_of(std::mt19937_64& random) {
  std::normal_distribution<float> bell(0, 2);
  std::vector<float> logits;
  for (std::int32_t i = 0; i < kVocabulary; ++i) logits.push_back(bell(random));
  for (int i = 0; i < 20; ++i) logits[random() % kVocabulary] = 12 + bell(random);
  return logits;
}

void measure_sampler(int rounds) {
  std::mt19937_64 random(3);
  const std::vector<float> logits = logits_of(random);
  std::vector<std::uint32_t> half((kVocabulary + 31) / 32);
  std::vector<std::uint32_t> few(half.size());
  for (std::uint32_t& word : half) word = static_cast<std::uint32_t>(random());
  for (int i = 0; i < 100; ++i) few[random() % few.size()] |= 1U << random() % 32;
  SamplingParams greedy;
  greedy.temperature = 0;
  SamplingParams nucleus;
  nucleus.top_k = 0;
  nucleus.min_p = 0;
  SamplingParams penalties;
  penalties.presence_penalty = 0.5F;
  penalties.repeat_penalty = 1.1F;
  struct Case {
    std::string_view name;
    SamplingParams params;
    std::span<const std::uint32_t> mask;
  };
  const Case cases[] = {{"top_k 40", {}, {}},
                        {"top_k 40, half the tokens allowed", {}, half},
                        {"top_k 40, 100 allowed", {}, few},
                        {"top_k 0, top_p 0.95", nucleus, {}},
                        {"greedy", greedy, {}},
                        {"greedy, half the tokens allowed", greedy, half},
                        {"top_k 40, penalties", penalties, {}}};
  for (const Case& c : cases) {
    schedule::Sampler sampler(c.params, 1);
    for (TokenId token = 0; token < 100; ++token) sampler.remember(token, true);
    const auto draw = [&] { looked_at += static_cast<std::uint64_t>(sampler.draw(logits, c.mask)); };
    report("sampler, 152k logits", c.name, median_us(rounds, 20, draw), "us");
  }
}

// A coding agent's conversation: messages of text with quotes and line ends, calls and their results.
std::string request_of(std::size_t bytes) {
  static constexpr std::string_view kLine = "  if (name == \"read\" && i < 42) { return files[i]; }  // a\\b\n";
  std::string text;
  for (int i = 0; i < 12; ++i) text += kLine;
  std::string body = R"({"model": "m", "stream": true, "messages": [{"role": "system", "content": "Be brief."})";
  for (int i = 0; body.size() < bytes; ++i) {
    body += R"(, {"role": "user", "content": )";
    append_json_string(body, text);
    body += fmt::format(
        R"(}}, {{"role": "assistant", "content": null, "tool_calls": [{{"id": "call_{0}", "type": "function", )"
        R"("function": {{"name": "read", "arguments": "{{\"path\": \"src/file_{0}.cc\"}}"}}}}]}}, )"
        R"({{"role": "tool", "tool_call_id": "call_{0}", "content": )",
        i);
    append_json_string(body, text);
    body += "}";
  }
  return body + R"(, {"role": "user", "content": "Go on."}]})";
}

bool measure_request(int rounds) {
  const std::string body = request_of(100'000);
  const auto parsed = api::parse_chat_request(body);
  if (!parsed) {
    fmt::print(stderr, "the request: {}\n", parsed.error().message);
    return false;
  }
  report("request of 100 KB", "its JSON", median_us(rounds, 5, [&] { looked_at += parse_json(body).has_value(); }),
         "us");
  report("request of 100 KB", "its JSON, read as a chat request",
         median_us(rounds, 5, [&] { looked_at += api::parse_chat_request(body).has_value(); }), "us");
  return true;
}

void measure_stream(int rounds) {
  const engine::FakeVocab vocab;
  api::ChatEncoder encoder({"chatcmpl-0123456789abcdef", "model", 1'700'000'000}, 1, true, vocab);
  const std::vector<Event> events{TextEvent{" return"}};
  std::vector<api::Frame> frames;
  std::string out;
  const auto encode = [&] {
    frames.clear();
    out.clear();
    encoder.events(0, events, {}, frames);
    for (const api::Frame& frame : frames) http::append_sse(out, frame.event, frame.data);
    looked_at += out.size();
  };
  report("stream", "a token as chat completion chunk in an SSE frame", median_us(rounds, 1'000, encode), "us");
  const std::string data(200, 'x');
  report("stream", "200 bytes in an SSE frame",
         median_us(rounds, 1'000,
                   [&] {
                     out.clear();
                     http::append_sse(out, "", data);
                     looked_at += out.size();
                   }),
         "us");
}

int run(bool quick) {
  const int rounds = quick ? 3 : 50;
  measure_tree(rounds);
  measure_hashing(rounds);
  measure_sampler(rounds);
  if (!measure_request(rounds)) return 1;
  measure_stream(rounds);
  return looked_at == 0;  // it never is
}

}  // namespace
}  // namespace kvern::bench

int main(int count, char** arguments) {
  return kvern::bench::run(count > 1 && std::string_view(arguments[1]) == "--quick");
}
