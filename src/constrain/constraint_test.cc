#include "constrain/constraint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "constrain/schema.h"
#include "constrain/test_vocab.h"

namespace kvern::constrain {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kCommand =
    R"(start: %json {"type": "object", "properties": {"command": {"type": "string"}, "timeout": {"type": "integer"}},
       "required": ["command"], "additionalProperties": false,
       "x-guidance": {"whitespace_flexible": false, "item_separator": ", ", "key_separator": ": "}})";

class Grammar : public ::testing::Test {
 protected:
  std::unique_ptr<Matcher> start(const std::string& lark) {
    auto compiled = compiler_->compile(lark);
    EXPECT_TRUE(compiled) << (compiled ? "" : compiled.error().message);
    return compiled ? (*compiled)->start() : nullptr;
  }

  // Accepts text token by token; false at the first token refused.
  bool walk(Matcher& matcher, std::string_view text, SpecialTokens special = SpecialTokens::as_text) {
    for (const TokenId token : vocab_.encode(text, special)) {
      if (!matcher.allows(token)) return false;
      EXPECT_TRUE(matcher.accept(token));
    }
    return true;
  }

  bool takes(const std::string& lark, std::string_view text) { return walk(*start(lark), text); }

  bool in_mask(Matcher& matcher, TokenId token) {
    const auto mask = matcher.mask();
    EXPECT_TRUE(mask) << (mask ? "" : mask.error().message);
    const auto index = static_cast<std::size_t>(token);
    return mask && ((*mask)[index / 32] >> (index % 32) & 1) != 0;
  }

  TestVocab vocab_;
  std::unique_ptr<Compiler> compiler_ = std::move(Compiler::create(vocab_)).value();
};

TEST_F(Grammar, WalksThroughJsonThatFitsTheSchema) {
  EXPECT_TRUE(takes(kCommand, R"({"command": "ls"})"));
  EXPECT_TRUE(takes(kCommand, R"({"command": "ls", "timeout": 42})"));
  EXPECT_TRUE(takes(kCommand, "{\"command\": \"\u65e5\u672c\"}"));
}

TEST_F(Grammar, StopsAtTheFirstTokenThatDoesNotFit) {
  EXPECT_FALSE(takes(kCommand, R"({"path")"));
  EXPECT_FALSE(takes(kCommand, R"({"command": 42})"));
  EXPECT_FALSE(takes(kCommand, R"({"command":"ls"})")) << "the key separator has a space";
  EXPECT_FALSE(takes(kCommand, R"({"timeout": 42})"));
  EXPECT_FALSE(takes(kCommand, R"({"command": "ls"} )"));
}

TEST_F(Grammar, ARefusedTokenLeavesTheMatcherUsable) {
  const auto matcher = start(kCommand);
  ASSERT_TRUE(walk(*matcher, R"({"command)"));
  const Status status = matcher->accept(vocab_.token_of("true"));
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("not allowed"));
  EXPECT_TRUE(walk(*matcher, R"(": "ls"})"));
  EXPECT_TRUE(matcher->finished());
}

TEST_F(Grammar, TokensOutsideTheVocabularyAreRefusedAndHarmless) {
  const auto matcher = start(kCommand);
  EXPECT_FALSE(matcher->allows(-1));
  EXPECT_FALSE(matcher->allows(vocab_.size()));
  EXPECT_FALSE(matcher->allows(1'000'000));
  EXPECT_TRUE(walk(*matcher, R"({"command": "ls"})"));
}

TEST_F(Grammar, FinishesWhenNothingMayFollow) {
  const auto matcher = start(kCommand);
  ASSERT_TRUE(walk(*matcher, R"({"command": "ls")"));
  EXPECT_FALSE(matcher->finished());
  ASSERT_TRUE(walk(*matcher, "}"));
  EXPECT_TRUE(matcher->finished());
  EXPECT_FALSE(matcher->allows('a'));
  EXPECT_THAT(matcher->forced(), IsEmpty());
}

// A model whose turn is complete still likes to say so.
TEST_F(Grammar, AFinishedTurnTakesAnEndTokenAndNothingElse) {
  const auto matcher = start(kCommand);
  ASSERT_TRUE(walk(*matcher, R"({"command": "ls"})"));
  EXPECT_TRUE(matcher->allows(vocab_.im_end()));
  EXPECT_TRUE(in_mask(*matcher, vocab_.im_end()));
  EXPECT_FALSE(in_mask(*matcher, 'a'));
  EXPECT_TRUE(matcher->accept(vocab_.im_end()));
  EXPECT_TRUE(matcher->finished());
}

TEST_F(Grammar, EveryEndTokenIsAllowedExactlyWhereTheGrammarAccepts) {
  const auto matcher = start("start: /[a-z]+/");
  for (const TokenId end : {vocab_.im_end(), vocab_.end_of_text()}) {
    EXPECT_FALSE(matcher->allows(end));
    EXPECT_FALSE(in_mask(*matcher, end));
  }
  ASSERT_TRUE(walk(*matcher, "hello"));
  EXPECT_FALSE(matcher->finished());
  for (const TokenId end : {vocab_.im_end(), vocab_.end_of_text()}) {
    EXPECT_TRUE(matcher->allows(end));
    EXPECT_TRUE(in_mask(*matcher, end));
    const auto other = start("start: /[a-z]+/");
    ASSERT_TRUE(walk(*other, "hello"));
    EXPECT_TRUE(other->accept(end));
    EXPECT_TRUE(other->finished());
  }
}

// Without forced bytes the mask and the single-token check must be the same set.
TEST_F(Grammar, TheMaskAgreesWithAskingForEachToken) {
  const std::string open = R"(start: %json {"type": "object"})";
  for (const std::string_view prefix : {R"({"na)", R"({"name": )", R"({"name": [1)", R"({"name": "a\n)"}) {
    const auto matcher = start(open);
    ASSERT_TRUE(walk(*matcher, prefix)) << prefix;
    const auto mask = matcher->mask();
    ASSERT_TRUE(mask);
    const std::vector<std::uint32_t> words(mask->begin(), mask->end());
    ASSERT_GE(words.size() * 32, static_cast<std::size_t>(vocab_.size()));
    for (TokenId token = 0; token < vocab_.size(); ++token) {
      const auto index = static_cast<std::size_t>(token);
      EXPECT_EQ((words[index / 32] >> (index % 32) & 1) != 0, matcher->allows(token)) << prefix << " + " << token;
    }
  }
}

TEST_F(Grammar, ForcedTokensSpellWhatMustFollow) {
  const auto matcher = start(kCommand);
  const std::vector<TokenId> forced = matcher->forced();
  ASSERT_FALSE(forced.empty());
  EXPECT_TRUE(std::string_view("{\"command\": \"").starts_with(vocab_.decode(forced)));
  for (const TokenId token : forced) ASSERT_TRUE(matcher->accept(token));
  EXPECT_TRUE(walk(*matcher, std::string("{\"command\": \"").substr(vocab_.decode(forced).size()) + "ls\"}"));
}

TEST_F(Grammar, AskingForForcedTokensDoesNotAdvance) {
  const auto matcher = start(kCommand);
  EXPECT_THAT(matcher->forced(), ElementsAreArray(matcher->forced()));
  EXPECT_TRUE(walk(*matcher, R"({"command": "ls"})"));
}

constexpr const char* kLazy = R"(%llguidance {}
start: block* tail
block: trig body
trig[lazy]: TEXT "<call>"
tail: TEXT
TEXT: /(.|\n)*/
body: %json {"type": "object", "properties": {"name": {"const": "ls"}}, "required": ["name"],
  "additionalProperties": false, "x-guidance": {"whitespace_flexible": false, "key_separator": ": "}} "</call>"
)";

TEST_F(Grammar, FreeTextIsFreeUntilTheTrigger) {
  const auto matcher = start(kLazy);
  ASSERT_TRUE(walk(*matcher, "hello world, {\"any\": thing <call"));
  EXPECT_TRUE(matcher->allows(vocab_.im_end()));
  ASSERT_TRUE(walk(*matcher, ">"));
  EXPECT_FALSE(matcher->allows(vocab_.im_end())) << "a call that was begun must be finished";
  EXPECT_FALSE(matcher->allows('x'));
  ASSERT_TRUE(walk(*matcher, R"({"name": "ls"}</call> hello <call>{"name": "ls"}</call>)"));
  EXPECT_TRUE(matcher->allows(vocab_.im_end()));
}

TEST_F(Grammar, ControlTokensAreNeverPartOfFreeText) {
  const auto matcher = start("start: /(.|\\n)*/");
  EXPECT_FALSE(matcher->allows(vocab_.tool_call()));
  EXPECT_FALSE(matcher->allows(vocab_.token_of("<|im_start|>")));
  EXPECT_TRUE(walk(*matcher, "<tool_call><|im_start|>")) << "their names, as text, are";
  EXPECT_TRUE(matcher->allows(vocab_.token_of("<think>"))) << "a user-defined token is plain bytes";
}

TEST_F(Grammar, SpecialTokensMatchByIdOnlyWhereTheGrammarNamesThem) {
  const std::string marker = "<[" + std::to_string(vocab_.tool_call()) + "]>";
  const auto matcher = start("start: TEXT (" + marker + " \"{}\" TEXT)*\nTEXT: /(.|\\n)*/");
  ASSERT_TRUE(walk(*matcher, "hello"));
  EXPECT_FALSE(matcher->allows(vocab_.token_of("<|im_start|>")));
  EXPECT_TRUE(in_mask(*matcher, vocab_.tool_call()));
  ASSERT_TRUE(matcher->accept(vocab_.tool_call()));
  EXPECT_FALSE(matcher->allows('h'));
  EXPECT_FALSE(matcher->allows(vocab_.im_end()));
  EXPECT_TRUE(walk(*matcher, "{} world"));
  EXPECT_TRUE(matcher->allows(vocab_.im_end()));
}

TEST_F(Grammar, SpecialTokensCanBeNamedInAGrammar) {
  const auto matcher = start("start: <tool_call> \"x\"");
  EXPECT_FALSE(matcher->allows('<'));
  ASSERT_TRUE(matcher->accept(vocab_.tool_call()));
  EXPECT_TRUE(walk(*matcher, "x"));
  EXPECT_TRUE(matcher->finished());
}

// 0xFF is how llguidance marks special tokens; as a byte token it must not become one.
TEST_F(Grammar, TheByteTokenFFIsNeverAllowed) {
  const auto matcher = start("start: /(.|\\n)*/");
  EXPECT_FALSE(matcher->allows(0xFF));
  EXPECT_FALSE(in_mask(*matcher, 0xFF));
}

TEST_F(Grammar, MultiByteCharactersMayComeByteByByte) {
  const auto matcher = start("start: /[\u00e9\u65e5]+/");
  for (const char byte : std::string("\u65e5\u00e9")) {
    const TokenId token = static_cast<unsigned char>(byte);
    ASSERT_TRUE(matcher->allows(token));
    ASSERT_TRUE(matcher->accept(token));
  }
  EXPECT_TRUE(matcher->allows(vocab_.im_end()));
  EXPECT_FALSE(matcher->allows(0x80));
}

TEST_F(Grammar, TheSameTextIsCompiledOnce) {
  EXPECT_EQ(compiler_->compiled_count(), 0U);
  const auto first = compiler_->compile(kCommand);
  const auto second = compiler_->compile(kCommand);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->get(), second->get());
  EXPECT_EQ(compiler_->compiled_count(), 1U);
}

TEST_F(Grammar, OnlyTheGrammarsUsedLatelyAreKept) {
  ASSERT_TRUE(compiler_->compile(kCommand));
  for (std::size_t i = 0; i < limits::kCompiledGrammars; ++i)
    ASSERT_TRUE(compiler_->compile("start: \"" + std::to_string(i) + "\""));
  const std::size_t before = compiler_->compiled_count();
  ASSERT_TRUE(compiler_->compile("start: \"63\""));
  EXPECT_EQ(compiler_->compiled_count(), before);
  ASSERT_TRUE(compiler_->compile(kCommand));
  EXPECT_EQ(compiler_->compiled_count(), before + 1);
}

TEST_F(Grammar, ABadGrammarIsRefusedInLlguidancesWords) {
  const auto compiled = compiler_->compile("start: missing_rule");
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().code, Code::invalid);
  EXPECT_THAT(compiled.error().message, HasSubstr("missing_rule"));
  EXPECT_THAT(compiled.error().message, Not(HasSubstr(" | start")));
}

TEST_F(Grammar, AFailureIsNotRemembered) {
  EXPECT_FALSE(compiler_->compile("start: missing_rule"));
  EXPECT_FALSE(compiler_->compile("start: missing_rule"));
  EXPECT_EQ(compiler_->compiled_count(), 2U);
}

TEST_F(Grammar, AGrammarNothingCanMatchIsRefused) {
  const auto compiled = compiler_->compile(R"(start: %json {"$ref": "#"})");
  ASSERT_FALSE(compiled);
  EXPECT_THAT(compiled.error().message, HasSubstr("no token can begin"));
}

TEST_F(Grammar, GrammarTextIsBounded) {
  const auto compiled = compiler_->compile(std::string(limits::kGrammarBytes + 1, ' '));
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().code, Code::too_large);
  EXPECT_FALSE(compiler_->compile(std::string("start: \"a\"\n\0garbage", 19)));
}

// Prep threads compile while engine threads clone; each distinct grammar is compiled once.
TEST_F(Grammar, ThreadsShareCompilationsAndWalkTheirOwnMatchers) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 12;
  std::latch together(kThreads);
  std::atomic<int> finished = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      together.arrive_and_wait();
      for (int round = 0; round < kRounds; ++round) {
        const auto compiled = compiler_->compile(kCommand + std::string("// ") + std::to_string(round % 3));
        if (!compiled) continue;
        const auto matcher = (*compiled)->start();
        bool good = matcher->mask().has_value();
        for (const TokenId token : vocab_.encode(R"({"command": "hello world", "timeout": 10})"))
          good = good && matcher->allows(token) && matcher->accept(token);
        if (good && matcher->finished()) ++finished;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(finished, kThreads * kRounds);
  EXPECT_EQ(compiler_->compiled_count(), 3U);
}

// The engine may outlive neither: the grammar goes while a generation still runs.
TEST_F(Grammar, AMatcherOutlivesItsCompiledGrammarAndItsCompiler) {
  auto compiled = std::move(compiler_->compile(kCommand)).value();
  const auto matcher = compiled->start();
  compiled.reset();
  compiler_.reset();
  EXPECT_TRUE(walk(*matcher, R"({"command": "ls"})"));
  EXPECT_TRUE(matcher->finished());
}

// Some tokenizers put a space before all text.
class SpacingVocab final : public Vocab {
 public:
  std::int32_t size() const override { return plain_.size(); }
  void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const override {
    plain_.tokenize(" " + std::string(text), special, out);
  }
  std::string_view piece(TokenId token) const override { return plain_.piece(token); }
  bool is_control(TokenId token) const override { return plain_.is_control(token); }
  bool ends_generation(TokenId) const override { return false; }
  TokenId find(std::string_view text) const override { return plain_.find(text); }
  std::string_view bos_text() const override { return {}; }
  std::string_view eos_text() const override { return {}; }
  TokenId required_bos() const override { return -1; }

 private:
  TestVocab plain_;
};

TEST(GrammarOnOddVocabulary, ATokenizerThatAddsTextForcesNothing) {
  const SpacingVocab vocab;
  const auto compiler = std::move(Compiler::create(vocab)).value();
  const auto matcher = std::move(compiler->compile(kCommand)).value()->start();
  EXPECT_THAT(matcher->forced(), IsEmpty());
  const auto mask = matcher->mask();
  ASSERT_TRUE(mask);
  EXPECT_EQ((*mask)['{' / 32] >> ('{' % 32) & 1, 1U);
}

TEST(GrammarOnOddVocabulary, NoEndTokenIsNeeded) {
  const SpacingVocab vocab;
  const auto compiler = std::move(Compiler::create(vocab)).value();
  const auto matcher = std::move(compiler->compile("start: \"a\"")).value()->start();
  ASSERT_TRUE(matcher->accept('a'));
  EXPECT_TRUE(matcher->finished());
}

TEST_F(Grammar, ALarkLiteralMatchesExactlyItsText) {
  std::string all;
  for (char c = 1; c > 0; ++c) all += c;
  for (const std::string& text : {std::string("plain"), std::string("quote \" slash \\ / tab \t newline \n"),
                                  std::string("\x7F\x01\x1F"), std::string("\u65e5\u00e9\u2028\U0001F600"),
                                  std::string("nul \0 inside", 12), std::string("\\u0041 \\x41"), all}) {
    const auto matcher = start("start: " + lark_literal(text));
    ASSERT_TRUE(matcher);
    EXPECT_TRUE(walk(*matcher, text)) << lark_literal(text);
    EXPECT_TRUE(matcher->finished()) << lark_literal(text);
  }
}

TEST_F(Grammar, BytesThatAreNoTextBecomeTheReplacementCharacter) {
  const auto matcher = start("start: " + lark_literal("a\xFF z"));
  ASSERT_TRUE(matcher);
  EXPECT_TRUE(walk(*matcher, "a\uFFFD z"));
}

}  // namespace
}  // namespace kvern::constrain
