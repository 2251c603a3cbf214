// The families with codecs of their own: what their grammars accept, and that the parser reads all of it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <regex>

#include "base/json.h"
#include "chat/dialect/test_grammar.h"
#include "chat/dialect/test_parse.h"
#include "constrain/schema.h"

namespace kvern::chat {
namespace {

using testing::ByteVocab;
using testing::Grammar;
using testing::request_with;

constexpr const char* kFamilies[] = {"llama4-pythonic", "lfm2", "olmo3", "gemma4", "functiongemma", "minimax-m3"};

std::vector<std::string> control_names(std::string_view family) {
  if (family == "llama4-pythonic") return {"<|python_start|>", "<|python_end|>"};
  if (family == "lfm2") return {"<|tool_call_start|>", "<|tool_call_end|>", "<think>", "</think>"};
  if (family == "gemma4")
    return {"<|tool_call>", "<tool_call|>", "<|\"|>", "<|channel>", "<channel|>", "<|tool_response>"};
  if (family == "functiongemma")
    return {"<start_function_call>", "<end_function_call>", "<escape>", "<start_function_response>"};
  if (family == "minimax-m3") return {"]<]minimax[>[", "<mm:think>", "</mm:think>"};
  return {"<function_calls>", "</function_calls>"};
}

constexpr const char* kReadParameters = R"({"type":"object","properties":{
    "path":{"type":"string"},"limit":{"type":"integer","minimum":1,"maximum":200},
    "mode":{"enum":["fast","it's",3,null,true,["a",{"b":1}]]},
    "ratio":{"type":["number","boolean"]},
    "where":{"type":"object","properties":{"deep":{"type":"boolean"},"tags":{"type":"array","items":{"type":"string"},
             "minItems":1,"maxItems":2},"z":{"type":"integer"}},"required":["deep"]},
    "tree":{"$ref":"#/$defs/node"}},
    "required":["path"],"additionalProperties":false,
    "$defs":{"node":{"type":"object","properties":{"name":{"type":"string"},
             "next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"integer"}]}},"required":["name"]}}})";

std::vector<Tool> tools() {
  return {{"read", "", kReadParameters},
          {"now", "", R"({"type":"object","properties":{}})"},
          {"free", "", R"({"type":"object","additionalProperties":true})"},
          {"one", "", R"({"type":"object","properties":{"path":{"type":"string"}},"required":["path"]})"}};
}

std::string call(const Dialect& dialect, std::string name, std::string arguments) {
  return render_calls(dialect, std::vector<ToolCall>{{"", std::move(name), std::move(arguments)}});
}

struct Read {
  std::vector<ToolCall> calls;
  std::size_t ends = 0;
  std::string text;
};

Read read_back(const Dialect& dialect, const std::vector<Tool>& offered, std::string_view text) {
  ParserOptions options;
  options.tools = offered;
  Read out;
  for (const Event& event : testing::parse(dialect, options, {text})) {
    if (const auto* start = std::get_if<CallStartEvent>(&event)) out.calls.push_back({"", start->name, ""});
    if (const auto* args = std::get_if<CallArgsEvent>(&event)) out.calls.back().arguments += args->text;
    if (const auto* words = std::get_if<TextEvent>(&event)) out.text += words->text;
    if (std::holds_alternative<CallEndEvent>(event)) ++out.ends;
  }
  return out;
}

class OddFamily : public ::testing::TestWithParam<const char*> {
 protected:
  const Dialect& dialect() const { return *find_dialect(GetParam()); }
};

// Whatever a record writes its grammar allows, with the family's markers as tokens and as text, and its
// parser reads as the same arguments.
TEST_P(OddFamily, WritesWhatItsGrammarAllowsAndItsParserReads) {
  const std::pair<const char*, const char*> calls[] = {
      {"now", "{}"},
      {"read", R"({"path": "a.cc"})"},
      {"read", R"({"path": "", "limit": 200})"},
      {"read", R"({"limit": 7, "path": "é \"q\" 'p' \\d {[(,:=)]} ☃"})"},
      {"read", R"({"mode": "fast", "path": "a"})"},
      {"read", R"({"mode": "it's", "path": "a"})"},
      {"read", R"({"mode": 3, "path": "a"})"},
      {"read", R"({"mode": true, "path": "a"})"},
      {"read", R"({"mode": ["a", {"b": 1}], "path": "a"})"},
      {"read", R"({"path": "a", "ratio": -1.5e3})"},
      {"read", R"({"path": "a", "ratio": false})"},
      {"read", R"({"path": "a", "where": {"deep": true, "tags": ["x"], "z": 1}})"},
      {"read", R"({"path": "a", "where": {"deep": true, "tags": ["x", "<y>"]}})"},
      {"read", R"({"path": "a", "tree": {"name": "n", "next": {"name": "m", "next": {"name": "o", "next": 4}}}})"},
      {"free", R"({"a": "x", "b": [1, [2.5, "y"], {"c": true}], "d": {"e": {"f": 0}}})"},
      {"free", "{}"}};
  const bool reorders = dialect().arguments == ArgumentStyle::object;
  for (const auto& controls : {std::vector<std::string>(), control_names(GetParam())}) {
    const Grammar grammar(dialect(), request_with(tools()), false, false, controls);
    for (const auto& [name, arguments] : calls) {
      std::string given = arguments;
      // Elsewhere parameters come in the schema's order.
      if (!reorders && given.starts_with(R"({"limit")")) continue;
      if (!reorders && given.starts_with(R"({"mode")")) {
        Json moved = Json::object({{"path", "a"}});
        moved["mode"] = parse_json(given)->at("mode");
        given = dump_json(moved);
      }
      const std::string text = call(dialect(), name, given);
      EXPECT_EQ(grammar.allowed(text), text.size() + 1) << text << "\n" << grammar.spec().lark;
      const Read read = read_back(dialect(), tools(), text);
      ASSERT_EQ(read.calls.size(), 1U) << text;
      EXPECT_EQ(read.ends, 1U) << text;
      EXPECT_EQ(read.text, "");
      EXPECT_EQ(nlohmann::json::parse(read.calls[0].arguments), nlohmann::json::parse(given)) << text;
      EXPECT_EQ(call(dialect(), name, read.calls[0].arguments), text);
    }
  }
}

TEST_P(OddFamily, RefusesWhatTheSchemaForbids) {
  const std::pair<const char*, const char*> calls[] = {
      {"read", "{}"},                                          // path is required
      {"read", R"({"path": 5})"},                              // no string; raw text may well be a digit
      {"read", R"({"path": "a", "limit": 0})"},                // minimum
      {"read", R"({"path": "a", "limit": 201})"},              // maximum
      {"read", R"({"path": "a", "mode": "slow"})"},            // enum
      {"read", R"({"path": "a", "where": {"tags": ["x"]}})"},  // deep is required
      {"read", R"({"path": "a", "where": {"deep": true, "tags": []}})"},
      {"read", R"({"path": "a", "where": {"deep": true, "tags": ["1", "2", "3"]}})"},
      {"read", R"({"path": "a", "tree": {"next": 5}})"},
      {"read", R"({"path": "a", "tree": {"name": "n", "next": true}})"},
      {"read", R"({"path": "a", "zzz": 5})"},  // not declared
      {"now", R"({"a": 1})"}};
  const bool raw = dialect().arguments == ArgumentStyle::elements;
  for (const auto& controls : {std::vector<std::string>(), control_names(GetParam())}) {
    ChatRequest request = request_with(tools());
    request.tool_choice.use = ToolUse::required;
    const Grammar grammar(dialect(), request, false, false, controls);
    for (const auto& [name, arguments] : calls) {
      if (raw && std::string_view(arguments) == R"({"path": 5})") continue;
      const std::string text = call(dialect(), name, arguments);
      EXPECT_LT(grammar.allowed(text), text.size()) << text;
    }
    EXPECT_EQ(grammar.spec().relaxed, std::vector<std::string>());
  }
}

TEST_P(OddFamily, TextIsFreeAndACallIsWhole) {
  const Grammar grammar(dialect(), request_with(tools()));
  const std::string now = call(dialect(), "now", "{}");
  const std::string read = call(dialect(), "read", R"({"path": "a"})");
  EXPECT_TRUE(grammar.accepts(""));
  EXPECT_TRUE(grammar.accepts("Just text. [1] <b> {x: 1}"));
  EXPECT_TRUE(grammar.accepts(now));
  EXPECT_FALSE(grammar.accepts(now.substr(0, now.size() - 1)));
  EXPECT_FALSE(grammar.accepts(now + "!"));
  EXPECT_EQ(grammar.accepts("Text." + read), true);
  const std::vector<ToolCall> both = {{"", "now", "{}"}, {"", "read", R"({"path": "a"})"}};
  EXPECT_TRUE(grammar.accepts(render_calls(dialect(), both)));
  ChatRequest single = request_with(tools());
  single.parallel_tool_calls = false;
  EXPECT_FALSE(Grammar(dialect(), single).accepts(render_calls(dialect(), both)));
}

// The least one can ask of keywords of strings: they are enforced, or named.
TEST_P(OddFamily, KeywordsOfStringsAreEnforcedOrNamed) {
  const std::vector<Tool> limited = {
      {"f", "", R"({"type":"object","properties":{"a":{"type":"string","pattern":"^[a-z]+$","maxLength":3}},
              "required":["a"]})"}};
  ChatRequest request = request_with(limited);
  request.tool_choice.use = ToolUse::required;
  for (const auto& controls : {std::vector<std::string>(), control_names(GetParam())}) {
    const Grammar grammar(dialect(), request, false, false, controls);
    std::string good = call(dialect(), "f", R"({"a": "abc"})");
    std::string bad = call(dialect(), "f", R"({"a": "abC"})");
    std::string lengthy = call(dialect(), "f", R"({"a": "abcd"})");
    if (dialect().quote == "'")
      for (std::string* text : {&good, &bad, &lengthy}) std::replace(text->begin(), text->end(), '\'', '"');
    EXPECT_TRUE(grammar.accepts(good)) << good << grammar.spec().lark;
    EXPECT_FALSE(grammar.accepts(bad));
    EXPECT_FALSE(grammar.accepts(lengthy));
    EXPECT_EQ(grammar.spec().relaxed, std::vector<std::string>());
  }
}

TEST_P(OddFamily, WhatIsNotEnforcedIsNamedWithItsPlace) {
  const std::vector<Tool> odd = {
      {"f", "", R"({"type":"object","properties":{"l":{"type":"array","uniqueItems":true}},"required":["l"]})"}};
  const Grammar grammar(dialect(), request_with(odd));
  ASSERT_EQ(grammar.spec().relaxed.size(), 1U);
  EXPECT_TRUE(grammar.spec().relaxed[0].starts_with("tool f: /properties/l: ")) << grammar.spec().relaxed[0];
  EXPECT_TRUE(grammar.accepts(call(dialect(), "f", R"({"l": [1, "a"]})")));
}

// What $ref and allOf say counts as if it stood there.
TEST_P(OddFamily, CombinedSchemasAreOne) {
  const std::vector<Tool> combined = {{"f", "", R"({"allOf":[{"$ref":"#/$defs/base"},{"type":"object","properties":
      {"b":{"$ref":"#/$defs/word","description":"d"}},"required":["b"]}],"$defs":{"base":{"type":"object",
      "properties":{"a":{"type":"integer"}},"required":["a"]},"word":{"enum":["x","y"]}}})"}};
  ChatRequest request = request_with(combined);
  request.tool_choice.use = ToolUse::required;
  const Grammar grammar(dialect(), request);
  EXPECT_TRUE(grammar.accepts(call(dialect(), "f", R"({"a": 1, "b": "y"})")));
  EXPECT_FALSE(grammar.accepts(call(dialect(), "f", R"({"a": 1})")));
  EXPECT_FALSE(grammar.accepts(call(dialect(), "f", R"({"a": 1, "b": "z"})")));
}

TEST_P(OddFamily, ACircularSchemaIsNoTrap) {
  const std::vector<Tool> circular = {{"f", "", R"({"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},
              "$defs":{"x":{"anyOf":[{"$ref":"#/$defs/x"},{"type":"integer"}]}}})"}};
  const Grammar grammar(dialect(), request_with(circular));
  EXPECT_TRUE(grammar.accepts(call(dialect(), "f", R"({"a": 1})")));
}

// Draws what the grammar allows, with a liking for characters that end things.
class Writer {
 public:
  explicit Writer(unsigned seed) : random_(seed) {}

  std::string write(const Grammar& grammar) {
    const auto matcher = grammar.start();
    std::string text;
    while (!matcher->finished() && text.size() < 2'000) {
      const TokenId token = draw(matcher->mask().value());
      if (token == ByteVocab::kEnd) return text;
      EXPECT_TRUE(matcher->accept(token).has_value());
      text += grammar.vocab().piece(token);
    }
    return matcher->finished() ? text : std::string();
  }

 private:
  static constexpr std::string_view kLiked = "'\")]}>,|<[{(ae1:\\nu\n";

  TokenId draw(std::span<const std::uint32_t> mask) {
    const auto allowed = [&mask](TokenId token) {
      return (mask[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1U) != 0;
    };
    if (allowed(ByteVocab::kEnd) && number(2) == 0) return ByteVocab::kEnd;
    for (TokenId token = ByteVocab::kEnd + 1; token < static_cast<TokenId>(mask.size() * 32); ++token)
      if (allowed(token) && number(4) == 0) return token;
    for (int tries = 0; tries < 12; ++tries) {
      const TokenId liked = static_cast<unsigned char>(kLiked[static_cast<std::size_t>(number(kLiked.size()))]);
      if (allowed(liked)) return liked;
    }
    std::vector<TokenId> all;
    for (TokenId token = 1; token < static_cast<TokenId>(mask.size() * 32); ++token)
      if (allowed(token)) all.push_back(token);
    return all.at(static_cast<std::size_t>(number(all.size())));
  }

  std::size_t number(std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_); }

  std::mt19937 random_;
};

TEST_P(OddFamily, TheParserReadsACallInWhateverTheGrammarAllows) {
  ChatRequest request = request_with(tools());
  request.tool_choice.use = ToolUse::required;
  const auto check = constrain::SchemaCheck::compile(kReadParameters).value();
  int written = 0;
  for (const auto& controls : {std::vector<std::string>(), control_names(GetParam())}) {
    const Grammar grammar(dialect(), request, false, false, controls);
    for (unsigned seed = 0; seed < 60; ++seed) {
      const std::string text = Writer(seed).write(grammar);
      if (text.empty()) continue;  // a string that would not end
      ++written;
      const Read read = read_back(dialect(), request.tools, text);
      EXPECT_EQ(read.text, "") << text;
      EXPECT_GE(read.calls.size(), 1U) << text;
      EXPECT_EQ(read.ends, read.calls.size()) << text;
      for (const ToolCall& one : read.calls) {
        EXPECT_TRUE(parse_json(one.arguments).has_value()) << text << "\n" << one.arguments;
        if (one.name != "read") continue;
        const auto verdict = check.check(one.arguments);
        EXPECT_TRUE(verdict.has_value()) << text << "\n" << one.arguments;
      }
    }
  }
  EXPECT_GE(written, 20);
}

TEST_P(OddFamily, NestingIsBounded) {
  const Dialect& family = dialect();
  std::string text = call(family, "free", R"({"a": {"a": {"a": {"a": 1}}}})");
  const std::string level = family.arguments == ArgumentStyle::elements ? std::string(family.parameter_begin) + "<a>"
                            : family.arguments == ArgumentStyle::object ? "{a:"
                                                                        : "{\"a\": ";
  const std::size_t at = text.find('1');
  ASSERT_NE(at, std::string::npos);
  for (int i = 0; i < 2'000; ++i) text.insert(at, level);
  const Read read = read_back(family, tools(), text);
  EXPECT_EQ(read.calls.size(), 1U);
  EXPECT_EQ(read.ends, 0U);
}

std::string name_of(const ::testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Families, OddFamily, ::testing::ValuesIn(kFamilies), name_of);

TEST(OddFamilies, ReasoningIsFree) {
  for (const char* family : {"lfm2", "olmo3", "gemma4", "minimax-m3"}) {
    const Dialect& dialect = *find_dialect(family);
    const std::string now = call(dialect, "now", "{}");
    for (const auto& controls : {std::vector<std::string>(), control_names(family)}) {
      ChatRequest request = request_with(tools());
      const std::string thought =
          std::string(dialect.reasoning_begin) + "a {b [c" + std::string(dialect.reasoning_close);
      EXPECT_TRUE(Grammar(dialect, request, true, false, controls).accepts(thought + "Text." + now)) << family;
      EXPECT_TRUE(Grammar(dialect, request, true, false, controls).accepts(now)) << family;
      request.tool_choice.use = ToolUse::required;
      EXPECT_TRUE(Grammar(dialect, request, true, false, controls).accepts(thought + now)) << family;
    }
  }
}

TEST(OddFamilies, ATurnMayBeginWithTheMarkOfNoReasoning) {
  const Dialect& dialect = *find_dialect("minimax-m3");
  const std::string now = call(dialect, "now", "{}");
  for (const auto& controls : {std::vector<std::string>(), control_names("minimax-m3")}) {
    ChatRequest request = request_with(tools());
    EXPECT_TRUE(Grammar(dialect, request, true, false, controls).accepts("</mm:think>Hello." + now));
    request.tool_choice.use = ToolUse::required;
    EXPECT_TRUE(Grammar(dialect, request, true, false, controls).accepts("</mm:think>" + now));
  }
}

TEST(OddFamilies, LlamaMayMarkItsCallsAsPython) {
  const Dialect& dialect = *find_dialect("llama4-pythonic");
  for (const auto& controls : {std::vector<std::string>(), control_names("llama4-pythonic")}) {
    const Grammar grammar(dialect, request_with(tools()), false, false, controls);
    EXPECT_TRUE(grammar.accepts("<|python_start|>[now()]<|python_end|>"));
    EXPECT_TRUE(grammar.accepts("[now(), one(path=\"it's\")]"));
    EXPECT_TRUE(grammar.accepts("[nowhere] is text"));
    EXPECT_FALSE(grammar.accepts("[now(]"));
  }
}

TEST(OddFamilies, GemmaHandsOverToTheResult) {
  const Dialect& dialect = *find_dialect("gemma4");
  const Grammar grammar(dialect, request_with(tools()), true, false, control_names("gemma4"));
  const std::string now = call(dialect, "now", "{}");
  EXPECT_TRUE(grammar.accepts(now + "<|tool_response>"));
  EXPECT_FALSE(grammar.accepts(now + "<|tool_response>x"));
}

TEST(OddFamilies, NumbersStayAsTheyWereWritten) {
  const char* arguments = R"({"a": 1e5, "b": 12345678901234567890123, "c": -0.10})";
  for (const char* family : kFamilies) {
    const std::string text = call(*find_dialect(family), "free", arguments);
    for (const char* number : {"1e5", "12345678901234567890123", "-0.10"})
      EXPECT_NE(text.find(number), std::string::npos) << text;
    EXPECT_EQ(read_back(*find_dialect(family), tools(), text).calls.at(0).arguments, arguments);
  }
}

// A custom tool's input is the one parameter of its function.
TEST(OddFamilies, ACustomToolsInputFollowsItsRule) {
  Tool tool{"patch", "", kCustomParameters};
  tool.custom = true;
  tool.input = {TextSyntax::regex, "[a-z]+ \"x\""};
  for (const char* family : kFamilies) {
    const Dialect& dialect = *find_dialect(family);
    for (const auto& controls : {std::vector<std::string>(), control_names(family)}) {
      const Grammar grammar(dialect, request_with({tool}), false, false, controls);
      std::string text = call(dialect, "patch", R"({"input": "ab \"x\""})");
      std::string wrong = call(dialect, "patch", R"({"input": "ab \"y\""})");
      // Such a string is one of JSON, which is one of Python too.
      if (dialect.quote == "'") {
        text = std::regex_replace(text, std::regex("'(.*)\"x\"'"), "\"$1\\\"x\\\"\"");
        wrong = std::regex_replace(wrong, std::regex("'(.*)\"y\"'"), "\"$1\\\"y\\\"\"");
      }
      EXPECT_TRUE(grammar.accepts(text)) << text << "\n" << grammar.spec().lark;
      EXPECT_FALSE(grammar.accepts(wrong)) << wrong;
    }
  }
}

}  // namespace
}  // namespace kvern::chat
