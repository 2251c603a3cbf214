// For every dialect: what its grammar lets through, its parser reads as valid calls, and its renderer
// writes back as it was.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "base/json.h"
#include "chat/dialect/test_parse.h"
#include "chat/dialect/test_vocab.h"
#include "chat/dialect/tool_rules.h"
#include "constrain/constraint.h"

namespace kvern::chat {
namespace {

using testing::ByteVocab;
using testing::parse;
using testing::readable;

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  int below(int limit) { return std::uniform_int_distribution<>(0, limit - 1)(engine_); }
  bool one_in(int n) { return below(n) == 0; }
  template <typename Container>
  const auto& of(const Container& container) {
    return container[static_cast<std::size_t>(below(static_cast<int>(container.size())))];
  }

 private:
  std::mt19937 engine_;
};

Json random_schema(Random& random, int depth) {
  switch (random.below(depth > 0 ? 9 : 6)) {
    case 0: return {{"type", "string"}};
    case 1: return {{"type", "integer"}};
    case 2: return {{"type", "boolean"}};
    case 3: return {{"enum", Json::array({"on", "off", "é \"quoted\""})}};
    case 4: return {{"type", "number"}};
    case 5: return {{"type", "string"}, {"minLength", 1}, {"maxLength", 6}};
    case 6: return {{"type", "array"}, {"items", random_schema(random, depth - 1)}, {"maxItems", 3}};
    case 7: return {{"anyOf", Json::array({Json{{"type", "integer"}}, Json{{"type", "null"}}})}};
    default: break;
  }
  Json properties = Json::object();
  Json required = Json::array();
  for (int i = random.below(3); i >= 0; --i) {
    const std::string key = "k" + std::to_string(i);
    properties[key] = random_schema(random, depth - 1);
    if (random.one_in(2)) required.push_back(key);
  }
  return {{"type", "object"}, {"properties", properties}, {"required", required}, {"additionalProperties", false}};
}

std::vector<Tool> random_tools(Random& random) {
  std::vector<Tool> tools;
  for (const char* name : {"read_file", "now", "ns.run-it"}) {
    Json schema = {{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
    Json required = Json::array();
    for (int i = random.below(4); i > 0; --i) {
      const std::string key = "p" + std::to_string(i);
      schema["properties"][key] = random_schema(random, 2);
      if (random.one_in(2)) required.push_back(key);
    }
    schema["required"] = required;
    tools.push_back({.name = name, .description = "", .parameters = dump_json(schema)});
  }
  return tools;
}

// The marks of a record that a model of its family has as tokens of their own.
std::vector<std::string> control_names(const Dialect& dialect) {
  std::vector<std::string> names;
  for (const std::string_view text : {dialect.section_begin, dialect.section_end, dialect.call_begin, dialect.name_end,
                                      dialect.call_end, dialect.id_mark, dialect.text_begin, dialect.text_end,
                                      dialect.turn_end, dialect.reasoning_begin, dialect.reasoning_end}) {
    for (std::size_t open = text.find_first_of("<["); open != std::string_view::npos;
         open = text.find_first_of("<[", open + 1)) {
      const std::size_t close = text.find_first_of(text[open] == '<' ? ">" : "]", open);
      if (close == std::string_view::npos) break;
      const std::string name(text.substr(open, close + 1 - open));
      const bool piped = name.find('|') != std::string::npos || name.find("｜") != std::string::npos;
      const bool capitals = name.size() > 3 && std::all_of(name.begin() + 1, name.end() - 1, [](unsigned char c) {
                              return std::isupper(c) != 0 || c == '_' || c == '/';
                            });
      if (name.find_first_of(" \"=") == std::string::npos && (piped || capitals)) names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// Draws what the grammar allows, and now and then sets out to write one of the record's closing texts,
// or random draws would never end a string.
class Writer {
 public:
  Writer(const Dialect& dialect, const ByteVocab& vocab, Random& random) : vocab_(vocab), random_(random) {
    for (const std::string_view end :
         {dialect.parameter_end, dialect.call_end, dialect.section_end, dialect.quote, dialect.turn_end,
          dialect.reasoning_end, std::string_view("\""), std::string_view("}"), std::string_view("]"),
          std::string_view("'"), std::string_view(")"), std::string_view("<|end|>")})
      if (!end.empty()) ends_.emplace_back(end);
  }

  // Empty when it came to no end.
  std::string write(constrain::Matcher& matcher) {
    std::string text;
    std::vector<TokenId> plan;
    for (int step = 0; step < 4'000; ++step) {
      if (matcher.finished()) return text;
      const auto mask = matcher.mask();
      EXPECT_TRUE(mask.has_value()) << text;
      if (!mask) return {};
      const TokenId token = pick(*mask, step, plan, text);
      if (token == ByteVocab::kEnd) return text;
      EXPECT_TRUE(matcher.accept(token).has_value()) << text;
      text += vocab_.piece(token);
    }
    return {};
  }

 private:
  TokenId pick(std::span<const std::uint32_t> mask, int step, std::vector<TokenId>& plan, std::string_view text) {
    const auto allowed = [&mask](TokenId token) {
      return (mask[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1U) != 0;
    };
    if (allowed(ByteVocab::kEnd) && random_.one_in(2)) return ByteVocab::kEnd;
    if (plan.empty() && random_.one_in(step < 60 ? 6 : 2)) {
      vocab_.tokenize(random_.of(ends_), SpecialTokens::as_tokens, plan);
      std::reverse(plan.begin(), plan.end());
    }
    if (!plan.empty()) {
      const TokenId next = plan.back();
      plan.pop_back();
      if (allowed(next)) return next;
      plan.clear();
    }
    std::vector<TokenId> all;
    std::vector<TokenId> digits;
    for (TokenId token = 1; token < vocab_.size(); ++token)
      if (allowed(token) && !is_exponent(token, text))
        (is_digit(token) && long_number(text) ? digits : all).push_back(token);
    if (all.empty()) all = digits;
    return random_.of(all);
  }

  static bool is_digit(TokenId token) {
    return token < 256 && std::string_view("0123456789.+-").find(static_cast<char>(token)) != std::string_view::npos;
  }
  // No grammar keeps a number within what a double can hold, so the draw does.
  static bool is_exponent(TokenId token, std::string_view text) {
    return (token == 'e' || token == 'E') && !text.empty() &&
           std::isdigit(static_cast<unsigned char>(text.back())) != 0;
  }
  static bool long_number(std::string_view text) {
    const std::size_t last = text.find_last_not_of("0123456789.eE+-");
    return text.size() - (last == std::string_view::npos ? 0 : last + 1) > 4;
  }

  const ByteVocab& vocab_;
  Random& random_;
  std::vector<std::string> ends_;
};

std::vector<ToolCall> calls_of(const std::vector<Event>& events, std::size_t& ended) {
  std::vector<ToolCall> calls;
  for (const Event& event : events) {
    if (const auto* start = std::get_if<CallStartEvent>(&event))
      calls.push_back({.id = start->id, .name = start->name, .arguments = ""});
    if (const auto* args = std::get_if<CallArgsEvent>(&event)) calls.back().arguments += args->text;
    if (const auto* end = std::get_if<CallEndEvent>(&event)) {
      calls.back().written_id = end->written_id;
      ++ended;
    }
  }
  return calls;
}

std::vector<std::string_view> random_pieces(std::string_view text, Random& random) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    const auto length = std::min<std::size_t>(text.size(), static_cast<std::size_t>(1 + random.below(20)));
    pieces.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return pieces;
}

class RoundTrip : public ::testing::TestWithParam<const Dialect*> {
 protected:
  // One request, one turn. False when the turn came to no end.
  bool live(unsigned seed, bool controls) {
    const Dialect& dialect = *GetParam();
    Random random(seed);
    const ByteVocab vocab(controls ? control_names(dialect) : std::vector<std::string>());
    ChatRequest request;
    request.tools = random_tools(random);
    request.tool_choice.use = ToolUse::required;
    if (random.one_in(3)) request.tool_choice.name = random.of(request.tools).name;
    request.parallel_tool_calls = !random.one_in(3);
    const auto compiler = constrain::Compiler::create(vocab).value();
    const auto fitter = constrain::SchemaFitter::create(*compiler);
    const auto spec = write_constraint(dialect, false, false, request, vocab, *compiler, *fitter);
    EXPECT_TRUE(spec.has_value()) << (spec ? "" : spec.error().message);
    if (!spec) return false;
    const auto compiled = compiler->compile(spec->lark);
    EXPECT_TRUE(compiled.has_value()) << (compiled ? "" : compiled.error().message) << spec->lark;
    if (!compiled) return false;
    const auto matcher = (*compiled)->start();
    const std::string text = Writer(dialect, vocab, random).write(*matcher);
    if (text.empty()) return false;
    check(dialect, request, *spec, text, random);
    return true;
  }

  static void check(const Dialect& dialect, const ChatRequest& request, const ConstraintSpec& spec,
                    const std::string& text, Random& random) {
    ParserOptions options;
    options.tools = request.tools;
    const auto events = parse(dialect, options, {text});
    EXPECT_EQ(readable(events), readable(parse(dialect, options, random_pieces(text, random)))) << text;
    std::size_t ended = 0;
    const auto calls = calls_of(events, ended);
    EXPECT_GE(calls.size(), 1U) << text;
    EXPECT_EQ(calls.size(), ended) << text << "\n" << readable(events);
    if (!request.parallel_tool_calls || !request.tool_choice.name.empty()) {
      EXPECT_EQ(calls.size(), 1U) << text;
    }
    for (const ToolCall& call : calls) {
      if (!request.tool_choice.name.empty()) {
        EXPECT_EQ(call.name, request.tool_choice.name) << text;
      }
      const auto tool = std::find_if(request.tools.begin(), request.tools.end(),
                                     [&call](const Tool& one) { return one.name == call.name; });
      ASSERT_NE(tool, request.tools.end()) << call.name;
      const bool relaxed = std::any_of(spec.relaxed.begin(), spec.relaxed.end(), [&call](const std::string& what) {
        return what.find("tool " + call.name + ":") != std::string::npos;
      });
      const auto schema = constrain::SchemaCheck::compile(relaxed ? "true" : tool->parameters).value();
      const Status valid = schema.check(call.arguments);
      EXPECT_TRUE(valid.has_value()) << (valid ? "" : valid.error().message) << "\n"
                                     << tool->parameters << "\n"
                                     << text << "\n"
                                     << call.arguments;
    }
    // Harmony's headers, Python's quotes and a tagged empty string have more than one spelling each; then
    // what is rendered must mean the same.
    const std::string rendered = render_calls(dialect, calls);
    const bool one_spelling = dialect.layout == Layout::plain && dialect.arguments != ArgumentStyle::pythonic &&
                              !dialect.parameter_end.starts_with('\n');
    if (one_spelling) {
      EXPECT_EQ(text.substr(0, rendered.size()), rendered) << readable(events);
    } else {
      std::size_t again = 0;
      const auto reread = calls_of(parse(dialect, options, {rendered}), again);
      ASSERT_EQ(reread.size(), calls.size()) << rendered;
      for (std::size_t i = 0; i < calls.size(); ++i)
        EXPECT_EQ(parse_json(reread[i].arguments).value(), parse_json(calls[i].arguments).value());
    }
  }
};

TEST_P(RoundTrip, WhatTheGrammarAllowsIsReadAndWrittenBack) {
  int complete = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    complete += live(seed, seed % 2 == 1) ? 1 : 0;
    if (HasFailure()) return;
  }
  EXPECT_GE(complete, 15);
}

INSTANTIATE_TEST_SUITE_P(Dialects, RoundTrip, ::testing::ValuesIn(all_dialects().begin(), all_dialects().end()),
                         [](const auto& test) {
                           std::string name(test.param->name);
                           std::replace_if(
                               name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                           return name;
                         });

}  // namespace
}  // namespace kvern::chat
