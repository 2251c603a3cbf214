// Values made once for many renders, and variables set the short way.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "chat/template/jinja_template.h"

namespace kvern::chat {
namespace {

const Json kTools = {{{"name", "read"}, {"parameters", {{"b", 1}, {"a", {1.5, nullptr, "é<|e|>"}}}}},
                     {{"name", "list"}, {"parameters", Json::object()}}};

// The text with input in brackets, or "error: " and the message.
std::string marked(const Result<std::vector<RenderedPart>>& parts) {
  if (!parts) return "error: " + parts.error().message;
  std::string joined;
  for (const RenderedPart& part : *parts) joined += part.is_input ? "[" + part.text + "]" : part.text;
  return joined;
}

std::string text(const std::string& source, const Json& variables) {
  const auto parsed = JinjaTemplate::parse(source);
  return parsed ? marked((*parsed)->render(variables, Json::object())) : "error: " + parsed.error().message;
}

class Prepared : public ::testing::Test {
 protected:
  std::string prepared(const std::string& source) const {
    const auto parsed = JinjaTemplate::parse(source);
    if (!parsed) return "error: " + parsed.error().message;
    return marked((*parsed)->render(Json::object(), Json::object(), {&variable_, 1}));
  }
  std::string plain(const std::string& source) const { return text(source, {{"tools", kTools}}); }

  const PreparedVariable variable_{"tools", prepare_value(kTools)};
};

TEST_F(Prepared, AVariableReadsTheSameWhoeverMadeIt) {
  for (const char* source :
       {"{{ tools | tojson }}", "{{ tools }}", "{{ tools | length }}{{ tools[1].name }}",
        "{% for t in tools %}{{ t | tojson }}|{{ t.name }}|{{ t.parameters | tojson(indent=2) }}{% endfor %}",
        "{% for t in tools %}{% for k, v in t.parameters | items %}{{ k }}={{ v }} {% endfor %}{% endfor %}",
        "{{ tools[0].parameters | tojson(sort_keys=true) }}{{ tools[0].parameters | tojson }}",
        "{{ tools[0].parameters.a | tojson(ensure_ascii=true) }}{{ tools[0].parameters.a | tojson }}",
        "{{ tools[0].parameters.a | tojson(separators=(',', ':')) }}{{ tools is iterable }}"}) {
    const std::string expected = plain(source);
    EXPECT_FALSE(expected.starts_with("error")) << expected;
    for (int round = 0; round < 3; ++round) EXPECT_EQ(prepared(source), expected) << source;
  }
}

// It is shared: a change would be seen by requests of other clients.
TEST_F(Prepared, TemplatesCannotChangeIt) {
  for (const char* source : {"{% set tools[0].name = 'x' %}", "{% set t = tools[0] %}{% set t.name = 'x' %}",
                             "{{ tools.append(1) }}", "{{ tools.pop() }}", "{{ tools[0].parameters.a.append(tools) }}",
                             "{% for t in tools %}{% set t.parameters.b = 2 %}{% endfor %}"}) {
    EXPECT_TRUE(prepared(source).starts_with("error")) << source;
    EXPECT_EQ(prepared("{{ tools | tojson }}"), plain("{{ tools | tojson }}")) << source;
  }
}

// A template may ask for a layout of its own making each time.
TEST_F(Prepared, WhatIsKeptOfItsTextIsBounded) {
  const std::string source =
      "{% for i in range(2000) %}{{ (tools | tojson(separators=(i | string * 3000, ':'))) | length }} {% endfor %}";
  EXPECT_EQ(prepared(source), plain(source));
  EXPECT_LT(bytes_of(*variable_.value), 2 * limits::kPreparedTextBytes);
}

TEST_F(Prepared, ThreadsShareIt) {
  const std::string source = "{% for t in tools %}{{ t | tojson }}{{ t.parameters | tojson(indent=2) }}{% endfor %}";
  const std::string expected = plain(source);
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (int& count : wrong) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) count += prepared(source) == expected ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST(LoopVariable, ATemplateThatKeepsItHasItAsItWas) {
  const Json items = {{"items", {"a", "b", "c"}}};
  EXPECT_EQ(text("{% set ns = namespace(l=[]) %}{% for x in items %}{% set ns.l = ns.l + [loop] %}{% endfor %}"
                 "{% for l in ns.l %}{{ l.index }}{{ l.first }}{{ l.last }}{{ l.revindex0 }} {% endfor %}",
                 items),
            "1TrueFalse2 2FalseFalse1 3FalseTrue0 ");
}

TEST(LoopVariable, SaysWhereTheLoopIs) {
  const Json items = {{"items", {"a", "b", "c"}}};
  EXPECT_EQ(text("{% for x in items %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.length }}"
                 "{{ loop.previtem }}{{ loop.nextitem }}{% for y in items %}{{ loop.index }}{% endfor %}"
                 "{{ loop.index }} {% endfor %}",
                 items),
            "1033[b]1231 2123[ac]1232 3213[b]1233 ");
}

// The next item would hold what holds the loop: a value in itself, which is printed for ever.
TEST(LoopVariable, CannotComeToHoldWhatKeepsIt) {
  EXPECT_TRUE(text("{% set ns = namespace() %}{% for x in [1, 2, ns] %}"
                   "{% if loop.first %}{% set ns.l = loop %}{% endif %}{% endfor %}{{ ns.l.index }}",
                   Json::object()) == "1");
}

}  // namespace
}  // namespace kvern::chat
