// What tools cost inside kvern, where no HTTP client can see it: a JSON line for each measurement.
//
//   tools_micro [--quick] [--dialect NAME] [VOCABULARY.gguf]
//
// In every dialect, or that one, with the Qwen 2 vocabulary (152k tokens) unless another file is named: fitting,
// writing and compiling a tool set nobody has seen and a known one, what a token costs in a grammar, and what the
// parser costs. Times are CPU time, of all threads: deep schemas are compiled on one of their own.
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"
#include "chat/dialect/constraint_writer.h"
#include "chat/dialect/dialect.h"
#include "constrain/constraint.h"
#include "constrain/schema.h"
#include "micro.h"
#include "vocab_file.h"

namespace kvern::bench {
namespace {

struct Size {
  int tools = 150;
  int rounds = 5;
  std::size_t argument_bytes = 30'000;
};

[[noreturn]] void give_up(std::string_view what, const Error& error) {
  fmt::print(stderr, "{}: {}\n", what, error.message);
  std::exit(1);
}

// Six parameters each; no other seed has one of them.
Tool make_tool(int seed, int number) {
  Tool tool;
  tool.name = fmt::format("tool_{}_{}", seed, number);
  tool.description = "Does what its name says.";
  tool.parameters = fmt::format(
      R"({{"type":"object","properties":{{"path_{0}":{{"type":"string"}},"limit_{0}":{{"type":"integer","minimum":0,)"
      R"("maximum":{1}}},"all_{0}":{{"type":"boolean"}},"mode_{0}":{{"enum":["content","files","count"]}},)"
      R"("globs_{0}":{{"type":"array","items":{{"type":"string"}},"maxItems":{2}}},"env_{0}":{{"type":"object",)"
      R"("additionalProperties":{{"type":"string"}}}}}},"required":["path_{0}"],"additionalProperties":false}})",
      number, 1000 + seed, 2 + number % 5);
  return tool;
}

ChatRequest request_with(int tools, int seed) {
  ChatRequest request;
  for (int i = 0; i < tools; ++i) request.tools.push_back(make_tool(seed, i));
  Tool write;
  write.name = "write";
  write.parameters =
      R"({"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false})";
  request.tools.push_back(std::move(write));
  request.tool_choice.use = ToolUse::required;
  return request;
}

std::string source_text(std::size_t bytes) {
  static constexpr std::string_view kLine = "  if (name == \"read\" && i < 42) { return files[i]; }  // a\\b\n";
  std::string text;
  while (text.size() < bytes) text += kLine;
  text.resize(bytes);
  return text;
}

ToolCall call_with(std::size_t bytes) {
  std::string arguments = "{\"text\": ";
  append_json_string(arguments, source_text(bytes));
  return {"abcdefgh1", "write", arguments + "}"};
}

class Bench {
 public:
  Bench(const Vocab& vocab, const Size& size) : vocab_(vocab), size_(size) {}

  void run(const chat::Dialect& dialect) {
    measure_tool_sets(dialect);
    measure_tokens(dialect);
    measure_parser(dialect);
  }

 private:
  // A compiler and a fitter keep what they have seen, so each cold measurement has its own.
  struct Fresh {
    explicit Fresh(const Vocab& vocab) {
      auto made = constrain::Compiler::create(vocab);
      if (!made) give_up("compiler", made.error());
      compiler = std::move(*made);
      fitter = constrain::SchemaFitter::create(*compiler);
    }
    std::unique_ptr<constrain::Compiler> compiler;
    std::unique_ptr<constrain::SchemaFitter> fitter;
  };

  // As the server does it, which remembers what it wrote.
  std::shared_ptr<const constrain::Compiled> compile(chat::ConstraintWriter& writer, const ChatRequest& request,
                                                     Fresh& with) {
    Result<ConstraintSpec> spec = fail(Code::failed, "");
    writing_us_ = microseconds([&] { spec = writer.write(request, false); });
    if (!spec) give_up("write", spec.error());
    auto compiled = with.compiler->compile(spec->lark);
    if (!compiled) give_up("compile", compiled.error());
    return std::move(*compiled);
  }

  void measure_tool_sets(const chat::Dialect& dialect) {
    Fresh fresh(vocab_);
    const chat::Chosen chosen = chat::Chosen{&dialect, nullptr, true, false};
    chat::ConstraintWriter writer(chosen, vocab_, *fresh.compiler, *fresh.fitter);
    std::vector<double> cold;
    std::vector<double> writing;
    std::vector<double> warm;
    for (int round = 0; round < size_.rounds; ++round) {
      const ChatRequest request = request_with(size_.tools, round);
      cold.push_back(microseconds([&] { compile(writer, request, fresh); }));
      writing.push_back(writing_us_);
      warm.push_back(microseconds([&] { compile(writer, request, fresh); }));
    }
    report(dialect.name, fmt::format("{} new tools, fitted and compiled", size_.tools), quantile(cold, 0.5) / 1e3,
           "ms");
    report(dialect.name, "of that, before its request is queued", quantile(writing, 0.5) / 1e3, "ms");
    report(dialect.name, fmt::format("{} known tools", size_.tools), quantile(warm, 0.5) / 1e3, "ms");
  }

  // A turn with two calls, a token at a time; one call is short, so that tags and keys weigh something.
  void measure_tokens(const chat::Dialect& dialect) {
    Fresh fresh(vocab_);
    const chat::Chosen chosen = chat::Chosen{&dialect, nullptr, true, false};
    chat::ConstraintWriter writer(chosen, vocab_, *fresh.compiler, *fresh.fitter);
    const auto matcher = compile(writer, request_with(size_.tools, 0), fresh)->start();
    const std::vector<ToolCall> calls =
        dialect.parallel ? std::vector{call_with(20), call_with(2'000)} : std::vector{call_with(2'000)};
    std::vector<TokenId> tokens;
    vocab_.tokenize(chat::render_calls(dialect, calls), SpecialTokens::as_tokens, tokens);
    std::vector<double> masks;
    std::vector<double> steps;
    for (const TokenId token : tokens) {
      bool allowed = false;
      steps.push_back(microseconds([&] { allowed = matcher->allows(token); }));
      if (!allowed) break;
      masks.push_back(microseconds([&] { static_cast<void>(matcher->mask()); }));
      steps.back() += microseconds([&] { static_cast<void>(matcher->accept(token)); });
    }
    report(dialect.name, "share of a rendered turn the grammar takes",
           static_cast<double>(masks.size()) / static_cast<double>(tokens.size()), "");
    report(dialect.name, "a token asked about and accepted, p50", quantile(steps, 0.5), "us");
    report(dialect.name, "mask, p50", quantile(masks, 0.5), "us");
    report(dialect.name, "mask, p99", quantile(masks, 0.99), "us");
  }

  void measure_parser(const chat::Dialect& dialect) {
    static constexpr std::size_t kPieceBytes = 4;  // about a token
    const std::vector<ToolCall> calls{call_with(size_.argument_bytes)};
    const std::string text = chat::render_calls(dialect, calls);
    std::vector<double> rates;
    for (int round = 0; round < size_.rounds; ++round) {
      chat::ParserOptions options{request_with(size_.tools, 0).tools, false, false, [] { return std::string("id"); }};
      const auto parser = chat::make_parser(dialect, std::move(options));
      std::vector<Event> events;
      const double us = microseconds([&] {
        for (std::size_t at = 0; at < text.size(); at += kPieceBytes) {
          events.clear();
          parser->feed(std::string_view(text).substr(at, kPieceBytes), events);
        }
        parser->finish(events, chat::TurnEnd::own);
      });
      rates.push_back(static_cast<double>(text.size()) / us);
    }
    report(dialect.name, fmt::format("parser, an argument of {} characters", size_.argument_bytes),
           quantile(rates, 0.5), "MB/s");
  }

  const Vocab& vocab_;
  Size size_;
  double writing_us_ = 0;  // of the last set compiled
};

int run(int count, char** arguments) {
  Size size;
  std::string only;
  std::string file = KVERN_LLAMA_DIR "/models/ggml-vocab-qwen2.gguf";
  for (int i = 1; i < count; ++i) {
    if (std::string_view(arguments[i]) == "--quick") {
      size = {.tools = 10, .rounds = 2, .argument_bytes = 3'000};
    } else if (std::string_view(arguments[i]) == "--dialect" && i + 1 < count) {
      only = arguments[++i];
    } else {
      file = arguments[i];
    }
  }
  const auto vocab = read_vocab_file(file);
  if (!vocab) give_up(file, vocab.error());
  Bench bench(**vocab, size);
  if (!only.empty() && chat::find_dialect(only) == nullptr) give_up(only, fail(Code::invalid, "no dialect").value());
  for (const chat::Dialect* dialect : chat::all_dialects())
    if (only.empty() || only == dialect->name) bench.run(*dialect);
  return 0;
}

}  // namespace
}  // namespace kvern::bench

int main(int count, char** arguments) { return kvern::bench::run(count, arguments); }
