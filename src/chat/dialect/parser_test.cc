#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "base/json.h"
#include "base/utf8.h"
#include "chat/dialect/json_scan.h"
#include "chat/dialect/test_parse.h"

namespace kvern::chat {
namespace {

using testing::bytewise;
using testing::parse;
using testing::readable;

const Dialect& hermes() { return *find_dialect("hermes"); }
const Dialect& coder() { return *find_dialect("qwen3-coder"); }

constexpr const char* kSchema = R"({"type":"object","properties":{"s":{"type":"string"},"t":{"type":"string"},
  "n":{"type":"number"},"b":{"type":"boolean"},"a":{"type":"array"},"o":{"type":"object"}}})";

std::vector<Tool> tools() { return {{"f", "", kSchema}, {"ns.tool:two/x-y", "", kSchema}}; }

ParserOptions with_tools() {
  ParserOptions options;
  options.tools = tools();
  return options;
}

ParserOptions with_tools_and_reasoning() {
  ParserOptions options = with_tools();
  options.reasons = true;
  return options;
}

std::vector<ToolCall> calls_of(const std::vector<Event>& events) {
  std::vector<ToolCall> calls;
  for (const Event& event : testing::joined(events)) {
    if (const auto* start = std::get_if<CallStartEvent>(&event)) calls.push_back({start->id, start->name, ""});
    if (const auto* args = std::get_if<CallArgsEvent>(&event)) calls.back().arguments += args->text;
  }
  return calls;
}

// Arguments as a model writes them: every kind of value, in the dialect's own spacing.
class RandomArguments {
 public:
  explicit RandomArguments(unsigned seed) : random_(seed) {}

  std::string object(const Dialect& dialect) {
    Json arguments = Json::object();
    for (const char* key : {"s", "t"})
      if (one_in(2)) arguments[key] = text();
    if (one_in(2)) arguments["n"] = one_in(2) ? Json(number(100'000)) : Json(number(1000) / 8.0);
    if (one_in(3)) arguments["b"] = one_in(2);
    if (one_in(3)) arguments["a"] = value(3, Json::array());
    if (one_in(3)) arguments["o"] = value(3, Json::object());
    return respaced(dump_json(arguments), dialect.item_separator, dialect.key_separator);
  }

 private:
  int number(int below) { return std::uniform_int_distribution<>(0, below - 1)(random_); }
  bool one_in(int n) { return number(n) == 0; }

  std::string text() {
    static const std::vector<std::string> kPieces = {"a",
                                                     " ",
                                                     "\n",
                                                     "\t",
                                                     "\"",
                                                     "\\",
                                                     "{",
                                                     "}",
                                                     "[",
                                                     ",",
                                                     ":",
                                                     "é",
                                                     "日本",
                                                     "😀",
                                                     "\x01",
                                                     "</tool_call>",
                                                     "<tool_call>",
                                                     "<function=f>",
                                                     "<parameter=s>",
                                                     "</parameter>",
                                                     "</function>",
                                                     "</think>",
                                                     "\\n"};
    std::string out;
    for (int i = number(8); i > 0; --i)
      out += kPieces[static_cast<std::size_t>(number(static_cast<int>(kPieces.size())))];
    return out;
  }

  Json value(int depth, Json container) {
    for (int i = number(4); i > 0; --i) {
      Json item = depth > 0 && one_in(2) ? value(depth - 1, one_in(2) ? Json::array() : Json::object())
                  : one_in(3) ? Json(text())
                  : one_in(2)            ? Json(number(1000))
                                         : Json(nullptr);
      if (container.is_array()) {
        container.push_back(std::move(item));
      } else {
        container[text()] = std::move(item);
      }
    }
    return container;
  }

  std::mt19937 random_;
};

// What a model wrote and what we would render for it again are the same, so are the calls.
TEST(Parser, ReadsBackWhatIsRendered) {
  for (const Dialect& dialect : {hermes(), coder()}) {
    for (unsigned seed = 0; seed < 300; ++seed) {
      RandomArguments random(seed);
      std::vector<ToolCall> calls;
      for (unsigned i = 0; i <= seed % 3; ++i)
        calls.push_back({"call_" + std::to_string(i), tools()[(seed + i) % 2].name, random.object(dialect)});
      const std::string text = render_calls(dialect, calls);
      const auto whole = parse(dialect, with_tools(), {text});
      const auto read = calls_of(whole);
      ASSERT_EQ(read.size(), calls.size()) << text;
      for (std::size_t i = 0; i < calls.size(); ++i) {
        EXPECT_EQ(read[i].id, calls[i].id);
        EXPECT_EQ(read[i].name, calls[i].name);
        EXPECT_EQ(read[i].arguments, calls[i].arguments) << text;
      }
      EXPECT_EQ(readable(parse(dialect, with_tools(), bytewise(text))), readable(whole)) << text;
      EXPECT_EQ(render_calls(dialect, read), text);
    }
  }
}

// A step's text goes out as it is, so no event may hold half a character.
TEST(Parser, EventsHoldWholeCharacters) {
  const std::string call = render_calls(coder(), std::vector<ToolCall>{{"", "f", R"({"s": "日本😀", "o": {"é": 1}})"}});
  for (const auto& event :
       parse(coder(), with_tools_and_reasoning(), bytewise("<think>\né日\n</think>\n\n日本😀\n\n" + call))) {
    EXPECT_TRUE(is_utf8(readable({event})));
  }
}

TEST(Parser, GivesTextAsSoonAsItCannotBeAMarker) {
  const auto parser = make_parser(hermes(), with_tools());
  std::vector<Event> events;
  parser->feed("Hello <to", events);
  EXPECT_EQ(readable(events), "text \"Hello \"\n");
  parser->feed("e", events);
  EXPECT_EQ(readable(events), "text \"Hello <toe\"\n");
}

TEST(Parser, StreamsArgumentsWhileTheyAreWritten) {
  const auto parser = make_parser(hermes(), with_tools());
  std::vector<Event> events;
  parser->feed("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"s\": \"ab", events);
  EXPECT_EQ(readable(events), "call 0 f\nargs 0 {\"s\": \"ab\n");

  const auto tagged = make_parser(coder(), with_tools());
  events.clear();
  tagged->feed("<tool_call>\n<function=f>\n<parameter=s>\nab\"c\n", events);
  EXPECT_EQ(readable(events), "call 0 f\nargs 0 {\"s\": \"ab\\\"c\n");
}

// The caller may have sent away what it was given.
TEST(Parser, OnlyAppends) {
  const auto parser = make_parser(hermes(), with_tools());
  std::vector<Event> events;
  parser->feed("one ", events);
  const std::vector<Event> before = events;
  parser->feed("two", events);
  ASSERT_GT(events.size(), before.size());
  EXPECT_EQ(std::vector<Event>(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(before.size())), before);
}

TEST(Parser, NumbersCallsAndAsksForTheirIds) {
  const std::string text = render_calls(hermes(), std::vector<ToolCall>{{"", "f", "{}"}, {"", "f", "{}"}});
  std::vector<std::string> ids;
  for (const Event& event : parse(hermes(), with_tools(), {text}))
    if (const auto* start = std::get_if<CallStartEvent>(&event)) ids.push_back(start->id);
  EXPECT_EQ(ids, (std::vector<std::string>{"call_0", "call_1"}));
}

// Bytes that are no UTF-8 can only come from a broken vocabulary; they are shown as such.
TEST(Parser, InvalidBytesBecomeReplacementCharacters) {
  const std::string_view text = "a\xff\xe2\x82z\xf0\x9f";
  const std::string whole = readable(parse(hermes(), with_tools(), {text}));
  EXPECT_EQ(whole, readable(parse(hermes(), with_tools(), bytewise(text))));
  EXPECT_EQ(whole, "text \"a\uFFFD\uFFFD\uFFFDz\uFFFD\uFFFD\"\n");
}

// One byte at a time is the worst case: a parser that looked again at what it holds back would need
// 10^11 steps for this.
TEST(Parser, WorkGrowsWithTheTextOnly) {
  const std::size_t size = 400'000;
  for (const Dialect& dialect : {hermes(), coder()}) {
    const bool json = dialect.arguments == ArgumentStyle::json;
    const std::string begin =
        json ? "<tool_call>\n{\"arguments\": {\"s\": \"" : "<tool_call>\n<function=f>\n<parameter=o>\n";
    for (const std::string& text : {begin + std::string(size, 'x'), std::string(size, '\n'), std::string(size, ' '),
                                    "<tool_call>" + std::string(size, ' ')}) {
      const auto parser = make_parser(dialect, with_tools_and_reasoning());
      std::vector<Event> events;
      std::string read;
      for (const char& c : text) {
        parser->feed(std::string_view(&c, 1), events);
      }
      parser->finish(events, TurnEnd::own);
      for (const Event& event : events) {
        if (const auto* piece = std::get_if<TextEvent>(&event)) read += piece->text;
        if (const auto* piece = std::get_if<CallArgsEvent>(&event)) read += piece->text;
      }
      EXPECT_GE(read.size(), size);
    }
  }
}

}  // namespace
}  // namespace kvern::chat
