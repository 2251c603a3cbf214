// What a request of a long conversation costs before the engine sees it, stage by stage: a JSON line each.
//
//   prep_micro [--quick] [MODEL.gguf] [--template FILE.jinja]
//
// With a real tokenizer (Qwen 2's vocabulary unless another file is named; weights are not read) and its
// template (Qwen 3's with the former, the model's own or the one named with the latter). Each conversation was lived
// here: its turns are remembered, as a server remembers them. Each round is a warm request: everything but its last
// result was in the request before. Times are CPU time of the thread, medians.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/anthropic_messages.h"
#include "base/limits.h"
#include "base/text_memory.h"
#include "chat/dialect/constraint_writer.h"
#include "chat/renderer.h"
#include "constrain/constraint.h"
#include "constrain/schema.h"
#include "engine/llama/vocab_only.h"
#include "prep_talk.h"

namespace kvern::bench {
namespace {

struct Options {
  std::string model = KVERN_LLAMA_DIR "/models/ggml-vocab-qwen2.gguf";
  std::string template_file = KVERN_LLAMA_DIR "/models/templates/Qwen-Qwen3-0.6B.jinja";
  std::vector<std::size_t> lengths = {2'000, 10'000, 20'000, 50'000};
  int rounds = 15;
};

double cpu_us() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e6 * static_cast<double>(now.tv_sec) + 1e-3 * static_cast<double>(now.tv_nsec);
}

[[noreturn]] void give_up(std::string_view what, std::string_view why) {
  fmt::print(stderr, "{}: {}\n", what, why);
  std::exit(1);
}

template <typename Value>
Value must(Result<Value> result, std::string_view what) {
  if (!result) give_up(what, result.error().message);
  return std::move(*result);
}

// A vocabulary that knows how long it was asked to tokenise.
class TimedVocab final : public Vocab {
 public:
  explicit TimedVocab(const Vocab& vocab) : vocab_(vocab) {}
  std::int32_t size() const override { return vocab_.size(); }
  void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const override {
    const double begin = cpu_us();
    vocab_.tokenize(text, special, out);
    spent_us += cpu_us() - begin;
  }
  std::string_view piece(TokenId token) const override { return vocab_.piece(token); }
  bool is_control(TokenId token) const override { return vocab_.is_control(token); }
  bool ends_generation(TokenId token) const override { return vocab_.ends_generation(token); }
  TokenId find(std::string_view text) const override { return vocab_.find(text); }
  std::string_view bos_text() const override { return vocab_.bos_text(); }
  std::string_view eos_text() const override { return vocab_.eos_text(); }
  TokenId required_bos() const override { return vocab_.required_bos(); }

  mutable double spent_us = 0;

 private:
  const Vocab& vocab_;
};

// Medians by stage, in the order they were first seen.
class Stages {
 public:
  void add(std::string_view name, double us) {
    const auto known = std::find_if(stages_.begin(), stages_.end(), [&](const auto& s) { return s.first == name; });
    (known != stages_.end() ? known->second : stages_.emplace_back(name, std::vector<double>()).second).push_back(us);
  }
  void time(std::string_view name, const std::function<void()>& work) {
    const double begin = cpu_us();
    work();
    add(name, cpu_us() - begin);
  }
  void print(std::size_t tokens) {
    for (auto& [name, values] : stages_) {
      std::sort(values.begin(), values.end());
      fmt::print("{{\"tokens\": {}, \"what\": \"{}\", \"value\": {:.3f}, \"unit\": \"ms\"}}\n", tokens, name,
                 values[values.size() / 2] / 1e3);
    }
  }

 private:
  std::vector<std::pair<std::string_view, std::vector<double>>> stages_;
};

class Bench {
 public:
  Bench(const Vocab& vocab, chat::RendererOptions options)
      : vocab_(vocab),
        renderer_(must(chat::Renderer::create(vocab_, options), "renderer")),
        twin_(must(chat::Renderer::create(vocab_, std::move(options)), "renderer")),
        compiler_(must(constrain::Compiler::create(vocab_), "compiler")),
        fitter_(constrain::SchemaFitter::create(*compiler_)),
        constraints_(renderer_->dialect(), vocab_, *compiler_, *fitter_),
        tools_(talk_tools()) {
    messages_.push_back(talk_system());
    tokens_ = head_tokens_ = add_turn();
  }

  // Lives on until the conversation, not counting the head, is that long.
  void grow_to(std::size_t tokens) {
    while (tokens_ - head_tokens_ < tokens) tokens_ = add_turn();
  }

  void measure(int rounds) {
    Stages stages;
    for (int round = 0; round < rounds + 2; ++round) {
      Stages unused;  // of the first ones
      request(round < 2 ? unused : stages);
    }
    stages.print(tokens_ - head_tokens_);
  }

 private:
  // What the prompt has with one more turn; what the assistant says in it is remembered as generated.
  std::size_t add_turn() {
    for (Message& message : talk_turn(turns_++)) {
      if (message.role == Role::assistant) live(message);
      messages_.push_back(std::move(message));
    }
    return render().rendered.prompt.tokens.size();
  }

  struct Rendered {
    chat::Recalled recalled;
    chat::RenderedChat rendered;
  };
  Rendered render() {
    ChatRequest request;
    request.messages = messages_;
    request.tools = tools_;
    Rendered out{index_.recall(request.messages, request.tools), {}};
    out.rendered = must(renderer_->render(request, &out.recalled), "render");
    return out;
  }

  void live(const Message& message) {
    Rendered before = render();
    const chat::Dialect& dialect = *renderer_->dialect().dialect;
    chat::GeneratedTurn turn;
    turn.prompt = before.rendered.mark;
    turn.message = message;
    turn.text = message.content;
    if (!message.tool_calls.empty())
      turn.text += std::string(dialect.text_separator) + chat::render_calls(dialect, message.tool_calls);
    vocab_.tokenize(turn.text, SpecialTokens::as_tokens, turn.tokens);
    index_.remember(before.recalled.key, std::move(turn));
  }

  void request(Stages& stages) {
    std::vector<Message> messages = messages_;
    for (Message& message : talk_turn(100'000 + 8 * fresh_++ + 1)) messages.push_back(std::move(message));
    const std::string body = messages_body(tools_, messages);
    const double begin = cpu_us();
    ChatRequest request;
    stages.time("read", [&] { request = must(api::parse_messages_request(body, {}, &memory_), "body"); });
    chat::Recalled recalled;
    stages.time("recall", [&] { recalled = index_.recall(request.messages, request.tools); });
    chat::RenderedChat rendered;
    vocab_.spent_us = 0;
    stages.time("render", [&] { rendered = must(renderer_->render(request, &recalled), "render"); });
    const double tokenising = vocab_.spent_us;
    ConstraintSpec spec;
    stages.time("constraint", [&] { spec = must(constraints_.write(request, false), "constraint"); });
    stages.time("compiled grammar", [&] { must(compiler_->compile(spec.lark), "grammar"); });
    stages.add("all", cpu_us() - begin);
    stages.add("read without a memory", time_of([&] { must(api::parse_messages_request(body), "body"); }));
    stages.add("of render: template", time_of([&] { must(twin_->render_text(request), "template"); }));
    stages.add("of render: tokenising", tokenising);
    if (rendered.turns_replayed + 1 < static_cast<std::size_t>(turns_) && !warned_) {
      warned_ = true;
      fmt::print(stderr, "{} of {} turns replayed\n", rendered.turns_replayed, turns_ - 1);
    }
  }

  static double time_of(const std::function<void()>& work) {
    const double begin = cpu_us();
    work();
    return cpu_us() - begin;
  }

  TimedVocab vocab_;
  std::unique_ptr<chat::Renderer> renderer_;
  std::unique_ptr<chat::Renderer> twin_;  // has seen the same: for the template's time alone
  std::unique_ptr<constrain::Compiler> compiler_;
  std::unique_ptr<constrain::SchemaFitter> fitter_;
  chat::ConstraintWriter constraints_;
  TextMemory memory_{limits::kRequestMemoryBytes};
  chat::TurnIndex index_{{}};
  const std::vector<Tool> tools_;
  std::vector<Message> messages_;
  int turns_ = 0;
  int fresh_ = 0;
  bool warned_ = false;
  std::size_t head_tokens_ = 0;
  std::size_t tokens_ = 0;
};

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) give_up(path, "cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

Options read_options(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--quick") {
      options.lengths = {1'000, 2'000};
      options.rounds = 3;
    } else if (argument == "--template" && i + 1 < count) {  // behind the model's name
      options.template_file = arguments[++i];
    } else {
      options.model = argument;
      options.template_file.clear();
    }
  }
  return options;
}

int run(int count, char** arguments) {
  const Options options = read_options(count, arguments);
  const engine::VocabFile file = must(engine::read_vocab(options.model), "vocabulary");
  chat::RendererOptions renderer;
  renderer.template_source = options.template_file.empty() ? file.chat_template : read_file(options.template_file);
  Bench bench(*file.vocab, std::move(renderer));
  for (const std::size_t length : options.lengths) {
    bench.grow_to(length);
    bench.measure(options.rounds);
  }
  return 0;
}

}  // namespace
}  // namespace kvern::bench

int main(int count, char** arguments) { return kvern::bench::run(count, arguments); }
