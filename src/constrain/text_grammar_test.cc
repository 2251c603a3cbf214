#include "constrain/text_grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>
#include <set>

#include "base/json.h"
#include "base/json_text.h"
#include "base/limits.h"
#include "constrain/test_vocab.h"

namespace kvern::constrain {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Alike in shape to the patch grammar of coding agents.
constexpr const char* kPatch = R"(
start: begin hunk+ end
begin: "*** Begin Patch" LF
end: "*** End Patch" LF?

?hunk: add | remove | change
add: "*** Add File: " path LF ("+" /(.*)/ LF -> line)+
remove: "*** Delete File: " path LF
change: "*** Update File: " path LF move? (context | line)+ last?   // a comment
move: "*** Move to: " path LF
context: ("@@" | "@@ " /(.+)/) LF
line: ("+" | "-" | " ") /(.*)/ LF
last: "*** End of File" LF
path: /(.+)/

%import common.LF
)";
constexpr const char* kPatchRegex =
    R"(\*\*\* Begin Patch\n(\*\*\* Add File: .+\n(\+.*\n)+|\*\*\* Delete File: .+\n|\*\*\* Update File: .+\n(\*\*\* Move to: .+\n)?(@@\n|@@ .+\n|[-+ ].*\n)+(\*\*\* End of File\n)?)+\*\*\* End Patch\n?)";

constexpr const char* kJsonGbnf = R"(
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u0" [0-9a-fA-F]{3}) )* "\"" ws  # escapes
number ::= "-"? ([0-9] | [1-9] [0-9]{0,3}) ("." [0-9]{1,3})? ws
ws     ::= | " " | "\n" [ \t]{0,3}
)";

class TextGrammars : public ::testing::Test {
 protected:
  Result<std::string> expression(TextSyntax syntax, const std::string& text, TextForm form = TextForm::raw) {
    return text_expression(*compiler_, {syntax, text}, form);
  }

  // The grammar alone, or as a dialect would hold it, between quotes.
  std::shared_ptr<const Compiled> compiled(TextSyntax syntax, const std::string& text, TextForm form) {
    const auto made = expression(syntax, text, form);
    EXPECT_TRUE(made) << text << "\n" << (made ? "" : made.error().message);
    if (!made) return nullptr;
    auto grammar = compiler_->compile(form == TextForm::raw ? "start: " + *made
                                                            : "start: \"<\\\"\" body \"\\\">\"\nbody: " + *made);
    EXPECT_TRUE(grammar) << *made << "\n" << (grammar ? "" : grammar.error().message);
    return grammar ? *grammar : nullptr;
  }

  bool accepts(const Compiled& grammar, std::string_view text) const {
    const auto matcher = grammar.start();
    for (const TokenId token : vocab_.encode(text))
      if (!matcher->accept(token)) return false;
    return matcher->finished() || matcher->allows(vocab_.im_end());
  }

  // In both forms alike.
  bool takes(TextSyntax syntax, const std::string& grammar, std::string_view text) {
    std::string json;
    append_json_escaped(json, text);
    const auto raw = compiled(syntax, grammar, TextForm::raw);
    const auto quoted = compiled(syntax, grammar, TextForm::json_string);
    if (!raw || !quoted) return false;
    const bool taken = accepts(*raw, text);
    EXPECT_EQ(accepts(*quoted, fmt::format("<\"{}\">", json)), taken) << grammar << "\n" << json;
    return taken;
  }

  Error error(TextSyntax syntax, const std::string& text, TextForm form = TextForm::raw) {
    const auto made = expression(syntax, text, form);
    EXPECT_FALSE(made) << text;
    return made ? Error{} : made.error();
  }

  // What the grammar lets through, drawn at random; empty when a draw did not end.
  std::string draw(const Compiled& grammar, std::uint32_t seed) const {
    const auto matcher = grammar.start();
    std::mt19937 random(seed);
    std::string text;
    for (int step = 0; step < 400; ++step) {
      if (matcher->finished() || (step > 30 && matcher->allows(vocab_.im_end()))) return text;
      const auto mask = matcher->mask();
      EXPECT_TRUE(mask) << text;
      if (!mask) return {};
      std::vector<TokenId> allowed;
      for (TokenId token = 0; token < vocab_.size(); ++token)
        if (((*mask)[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1) != 0) allowed.push_back(token);
      EXPECT_FALSE(allowed.empty()) << text;
      if (allowed.empty()) return {};
      TokenId token = allowed[random() % allowed.size()];
      // Line ends and closing marks get their chance, or lines would never end.
      for (const TokenId other : allowed)
        if ((vocab_.piece(other) == "\n" || vocab_.piece(other) == "\\n" || vocab_.piece(other) == ">") &&
            random() % 4 == 0)
          token = other;
      if (vocab_.ends_generation(token)) return text;
      EXPECT_TRUE(matcher->accept(token)) << text;
      text += vocab_.piece(token);
    }
    return {};
  }

  TestVocab vocab_;
  std::unique_ptr<Compiler> compiler_ = std::move(Compiler::create(vocab_)).value();
};

TEST_F(TextGrammars, APatchGrammarTakesPatchesInBothForms) {
  EXPECT_TRUE(takes(TextSyntax::lark, kPatch,
                    "*** Begin Patch\n*** Add File: a \"b\".txt\n+he\\llo\n+\n+\tx\x01\n*** End Patch\n"));
  EXPECT_TRUE(takes(TextSyntax::lark, kPatch,
                    "*** Begin Patch\n*** Update File: \u65e5.c\n*** Move to: d\n@@ f()\n-a\n+b\n c\n*** Delete File: "
                    "x\n*** End Patch"));
  EXPECT_FALSE(takes(TextSyntax::lark, kPatch, "*** Begin Patch\n*** End Patch\n"));
  EXPECT_FALSE(takes(TextSyntax::lark, kPatch, "*** Begin Patch\n*** Add File: \n+a\n*** End Patch\n"));
  EXPECT_FALSE(takes(TextSyntax::lark, kPatch, "*** Begin Patch\n*** Add File: a\nx\n*** End Patch\n"));
}

TEST_F(TextGrammars, WhatAPatchGrammarLetsThroughIsAPatch) {
  const std::regex patch(kPatchRegex);
  for (const TextForm form : {TextForm::raw, TextForm::json_string}) {
    const auto grammar = compiled(TextSyntax::lark, kPatch, form);
    ASSERT_TRUE(grammar);
    int complete = 0;
    for (std::uint32_t seed = 0; seed < 60; ++seed) {
      std::string text = draw(*grammar, seed);
      if (text.empty()) continue;
      ++complete;
      if (form == TextForm::json_string) {
        text = text.substr(1, text.size() - 2);
        const auto parsed = parse_json(text);
        ASSERT_TRUE(parsed && parsed->is_string()) << text;
        text = parsed->get<std::string>();
      }
      // std::regex ends "." at carriage returns too, and recurses over long texts.
      std::replace(text.begin(), text.end(), '\r', '.');
      if (text.size() < 2'000) {
        EXPECT_TRUE(std::regex_match(text, patch)) << text;
      }
    }
    EXPECT_GT(complete, 5);
  }
}

TEST_F(TextGrammars, GbnfOfJsonTakesAndMakesJson) {
  EXPECT_TRUE(takes(TextSyntax::gbnf, kJsonGbnf, "{\"a\": [1,2, {\"b\":null}], \"c\" :-0.5}"));
  EXPECT_FALSE(takes(TextSyntax::gbnf, kJsonGbnf, "{\"a\": [1,2,]}"));
  const auto grammar = compiled(TextSyntax::gbnf, kJsonGbnf, TextForm::raw);
  ASSERT_TRUE(grammar);
  int complete = 0;
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    const std::string text = draw(*grammar, seed);
    if (text.empty()) continue;
    ++complete;
    EXPECT_TRUE(parse_json(text)) << text;
  }
  EXPECT_GT(complete, 5);
}

struct Case {
  TextSyntax syntax;
  const char* grammar;
  std::vector<std::string> taken;
  std::vector<std::string> refused;
};

TEST_F(TextGrammars, TakeExactlyTheirTexts) {
  const std::vector<Case> cases = {
      {TextSyntax::any, "", {"", "a\nb", "\"\\\t\u00e9"}, {}},
      {TextSyntax::regex, "a|b.*\\d", {"a", "bx1", "b\t9"}, {"", "ab", "b\n1"}},
      {TextSyntax::regex, "^[\\w.-]+\\s\"[^\\\\]*$", {"a-b.c \"\n", "\u65e5\n\""}, {"a \"\\", "a\""}},
      {TextSyntax::regex, "(?i)ab(?-i)C{2,3}", {"aBCC", "ABCCC"}, {"abcc", "abC"}},
      {TextSyntax::regex, "(?s).", {"\n", "x", "\"", "\\"}, {"", "xx"}},
      {TextSyntax::regex, "", {""}, {"a"}},
      {TextSyntax::gbnf, "root ::= \"abc\" | [a-z] \"be\"", {"abc", "abe"}, {"abx", "be"}},
      {TextSyntax::gbnf, "root ::= \"(\" root \")\" | [a-z]* \"end\"", {"(abend)", "((end))"}, {"(end", "(ab)"}},
      {TextSyntax::gbnf,
       "root ::= x{2} y{1,} z{0,2} .? # comment\nx ::= \"\\x41\" |\n  \"b\"\ny ::= (\"c\"\n | \"d\")+\nz ::= "
       "[^\\n-a\\]]",
       {"AbcZ", "bbdzz!"},
       {"Ac", "AA", "AAc\nx\n"}},
      {TextSyntax::lark, "start: \"a\"~2..3 B?\nB.2: \"x\"..\"z\" & ~\"y\"", {"aa", "aaax", "aaz"}, {"a", "aay"}},
      {TextSyntax::lark,
       "start: \"no\"i [\"!\"] // either\n  | _x\n  # or\n  | A{1,2}\n_x: \"\"\nA: /[\\/\"]/i",
       {"NO!", "no", "", "/", "\"/"},
       {"n", "//\""}},
      {TextSyntax::lark,
       "%ignore WS\n%import common (WS, CNAME)\nstart: CNAME (\",\" CNAME)*",
       {"a", "a ,b", "\n a,\tb_1 "},
       {"a b", ",", "1"}},
      {TextSyntax::lark,
       "start: sum\n?sum: item | sum \"+\" item -> add\n?item: INT | \"(\" sum \")\"\n%import common.INT",
       {"1+(2+30)", "7"},
       {"1+", "(1"}},
      {TextSyntax::lark,
       "start: value\nvalue: ESCAPED_STRING | \"[\" [value (\",\" value)*] \"]\" | SIGNED_NUMBER\n%import common "
       "(ESCAPED_STRING, SIGNED_NUMBER, WS, SH_COMMENT)\n%ignore WS\n%ignore SH_COMMENT",
       {"[\"a\\\"\",\n\t\"b\",-1.5e3 ]", "[] # no\n", "[#x\t\n\"y\"\n,\r\n\"z\"]"},
       {"[\"a\"", "[,]"}},
      {TextSyntax::lark,
       "%import common.NEWLINE -> _NL\nstart: (line _NL)+\nline: /#[^\\n]*/ | \"{\" start \"}\"",
       {"#a \\t\t\n", "{#b\n}\n#c\n"},
       {"#a", "{#b}\n"}},
  };
  for (const Case& row : cases) {
    for (const std::string& text : row.taken) EXPECT_TRUE(takes(row.syntax, row.grammar, text)) << row.grammar << text;
    for (const std::string& text : row.refused)
      EXPECT_FALSE(takes(row.syntax, row.grammar, text)) << row.grammar << "\n" << text;
  }
}

TEST_F(TextGrammars, WhatIsNotSupportedIsNamedWithItsLine) {
  const std::vector<std::tuple<TextSyntax, const char*, const char*>> table = {
      {TextSyntax::lark, "start: a\n\n%declare X", "line 3: %declare is not supported"},
      {TextSyntax::lark, "start: %json {}", "%json"},
      {TextSyntax::lark, "start: <|im_end|>", "special tokens"},
      {TextSyntax::lark, "start: @other", "other grammars"},
      {TextSyntax::lark, "start: a\na: b\n", "line 2: \"b\" is not defined"},
      {TextSyntax::lark, "x: \"a\"", "no rule \"start\""},
      {TextSyntax::lark, "", "no rule \"start\""},
      {TextSyntax::lark, "start: \"a", "line 1: a string is not closed"},
      {TextSyntax::lark, "start: (\"a\"", "missing"},
      {TextSyntax::lark, "start: /a", "not closed"},
      {TextSyntax::lark, "start: \"a\" } %json {", "\"}\" is not expected"},
      {TextSyntax::lark, "start: A\nA: B\nB: \"x\" A", "the terminal \"A\" refers to itself"},
      {TextSyntax::lark, "start: A\nA: start", "cannot refer to the rule"},
      {TextSyntax::lark, "start{x}: x", "templates"},
      {TextSyntax::lark, "start[lazy]: \"x\"", "attributes"},
      {TextSyntax::lark, "start: x::1\nx: \"\"", "parameters"},
      {TextSyntax::lark, "%import common.NOPE\nstart: NOPE", "common.NOPE"},
      {TextSyntax::lark, "%import other.X\nstart: X", "only %import common"},
      {TextSyntax::lark, "start: \"a\"\nstart: \"b\"", "line 2: \"start\" is defined twice"},
      {TextSyntax::lark, "start: \"x\"\na: \"y\"\n  & \"z\"", "line"},
      {TextSyntax::lark, "start: x\nx: /(?=a)b/", "line 2: the regular expression cannot be used: look-around"},
      {TextSyntax::lark, "start: start", "no token can begin"},
      {TextSyntax::gbnf, "a ::= \"x\"", "no rule \"root\""},
      {TextSyntax::gbnf, "root ::= <think>", "tokens in a grammar"},
      {TextSyntax::gbnf, "root ::= [a", "line 1: a class is not closed"},
      {TextSyntax::gbnf, "root ::= []", "empty"},
      {TextSyntax::gbnf, "root ::= \"a\"{3,1}", "ends below"},
      {TextSyntax::gbnf, "root = \"a\"", "\"::=\" is missing"},
      {TextSyntax::gbnf, "root ::= x\n", "line 1: \"x\" is not defined"},
      {TextSyntax::gbnf, "root ::= \"\\uD800\"", "no character"},
      {TextSyntax::regex, "(?<!a)b", "look-around"},
      {TextSyntax::regex, "(a)\\1", "backreferences"},
      {TextSyntax::regex, "\\bx", "word boundaries"},
      {TextSyntax::regex, "a^b", "anchor"},
      {TextSyntax::regex, "(", "unclosed group"},
  };
  for (const auto& [syntax, grammar, words] : table) {
    for (const TextForm form : {TextForm::raw, TextForm::json_string}) {
      const Error refused = error(syntax, grammar, form);
      EXPECT_EQ(refused.code, Code::invalid) << grammar;
      EXPECT_THAT(refused.message, HasSubstr(words)) << grammar;
    }
  }
  EXPECT_THAT(error(TextSyntax::lark, "start: \"\xFF\"").message, HasSubstr("UTF-8"));
  EXPECT_THAT(error(TextSyntax::regex, std::string("a\0b", 3)).message, HasSubstr("NUL"));
}

std::string chain(std::string_view rule, std::string_view last, int length) {
  std::string out = "start: r0\n";
  for (int i = 0; i < length; ++i) out += fmt::format(fmt::runtime(rule), i, i + 1) + "\n";
  return out + fmt::format("r{}: {}\n", length, last);
}

// Each gives an expression or an error, and soon.
TEST_F(TextGrammars, HostileGrammarsNeitherHangNorCrash) {
  const std::clock_t begin = std::clock();  // of the processor: the machine may be busy
  const std::vector<std::pair<TextSyntax, std::string>> hostile = {
      {TextSyntax::regex, "(a{1000}){1000}"},
      {TextSyntax::regex, "((a*)*)*b"},
      {TextSyntax::regex, "(x+x+)+y"},
      {TextSyntax::regex, "a{0,4000000000}"},
      {TextSyntax::regex, "(?s).*(a|b).{12}c"},
      {TextSyntax::regex, std::string(2'000, '(')},
      {TextSyntax::regex, std::string(limits::kTextRuleBytes + 1, 'a')},
      {TextSyntax::lark, "start: ((\"a\"~10000)~10000)~10000"},
      {TextSyntax::lark, "start: start start | \"a\""},
      {TextSyntax::lark, "start: x*\nx: \"\" | x x"},
      {TextSyntax::lark, "start: " + std::string(5'000, '(')},
      {TextSyntax::lark, "start: " + std::string(5'000, '[')},
      {TextSyntax::lark, "start: A\nA: " + std::string(5'000, '~') + "\"a\""},
      {TextSyntax::lark, chain("r{0}: r{1} r{1}", "\"y\"?", 1'900)},
      {TextSyntax::lark, chain("r{0}: r{1} | \"x{0}\"", "\"y\"", 1'900)},
      {TextSyntax::lark, chain("r{0}: r{1}?", "r0 \"y\"", 1'900)},
      {TextSyntax::lark, chain("r{0}: \"x\"", "\"y\"", 10'000)},
      {TextSyntax::gbnf, "root ::= " + std::string(5'000, '(')},
      {TextSyntax::gbnf, "root ::= \"a\"" + std::string(5'000, '*')},
      {TextSyntax::gbnf, "root ::= root"},
      {TextSyntax::gbnf, "root ::= ((\"a\"{9999}){9999}){9999}"},
  };
  for (const auto& [syntax, text] : hostile) {
    for (const TextForm form : {TextForm::raw, TextForm::json_string}) {
      const auto made = expression(syntax, text, form);
      if (made) continue;
      EXPECT_THAT(made.error().code, ::testing::AnyOf(Code::invalid, Code::too_large)) << text.substr(0, 100);
    }
  }
  EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 60);
}

// The text could only go on for ever: that is the model's affair, one token at a time.
TEST_F(TextGrammars, WhatNeverEndsDoesNotHangTheGrammarAroundIt) {
  const auto made = expression(TextSyntax::regex, "a(ba)*");
  ASSERT_TRUE(made);
  const auto grammar = compiler_->compile("start: body \"b\"\nbody: " + *made);
  ASSERT_TRUE(grammar) << grammar.error().message;
  const auto matcher = (*grammar)->start();
  for (const TokenId token : vocab_.encode("ababa")) EXPECT_TRUE(matcher->accept(token));
  EXPECT_TRUE(matcher->mask());
  EXPECT_TRUE(matcher->forced().empty());
}

TEST_F(TextGrammars, TheSameRuleIsReadOnce) {
  const auto first = expression(TextSyntax::lark, kPatch);
  const auto again = expression(TextSyntax::lark, kPatch);
  const auto other = expression(TextSyntax::lark, kPatch, TextForm::json_string);
  ASSERT_TRUE(first && again && other);
  EXPECT_EQ(*first, *again);
  EXPECT_NE(*first, *other);
  EXPECT_EQ(compiler_->compiled_count(), 0U) << "trying a rule must not push tool sets out of the compiler's memory";
}

TEST_F(TextGrammars, TwoRulesMayStandInOneGrammar) {
  const auto one = expression(TextSyntax::lark, "start: A\nA: \"x\"");
  const auto two = expression(TextSyntax::lark, "start: A+\nA: \"y\"");
  ASSERT_TRUE(one && two);
  const auto grammar = compiler_->compile(fmt::format("start: {} \"-\" {} | {}", *one, *two, *two));
  ASSERT_TRUE(grammar) << grammar.error().message;
  EXPECT_TRUE(accepts(**grammar, "x-yy"));
  EXPECT_TRUE(accepts(**grammar, "y"));
  EXPECT_FALSE(accepts(**grammar, "y-x"));
}

TEST_F(TextGrammars, OneOfTheChoicesExactly) {
  const std::vector<std::string> choices = {"ab", "abc", "a\"\\/\n.*", "\u65e5", ""};
  const auto made = choice_expression(choices);
  ASSERT_TRUE(made);
  const auto grammar = compiler_->compile("start: " + *made);
  ASSERT_TRUE(grammar) << grammar.error().message;
  for (const std::string& choice : choices) EXPECT_TRUE(accepts(**grammar, choice)) << choice;
  for (const char* other : {"a", "abcd", "x", "ab ", "a\"\\/\n.."}) EXPECT_FALSE(accepts(**grammar, other)) << other;
}

TEST_F(TextGrammars, NothingToChooseFromIsAnError) {
  EXPECT_EQ(choice_expression({}).error().code, Code::invalid);
  EXPECT_EQ(*choice_expression(std::vector<std::string>{""}), "\"\"");
  EXPECT_EQ(choice_expression(std::vector<std::string>{"\xFF"}).error().code, Code::invalid);
  EXPECT_EQ(choice_expression(std::vector<std::string>(1'000, std::string(1'000, 'x'))).error().code, Code::too_large);
}

}  // namespace
}  // namespace kvern::constrain
