#include "chat/template/jinja_template.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/limits.h"

namespace kvern::chat {
namespace {

std::string repeated(std::string_view piece, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += piece;
  return text;
}

Result<std::vector<RenderedPart>> render(const std::string& source, const Json& variables = Json::object(),
                                         const Json& constants = Json::object()) {
  const auto parsed = JinjaTemplate::parse(source);
  if (!parsed) return tl::unexpected(parsed.error());
  return (*parsed)->render(variables, constants);
}

// The text, or "error: " and the message.
std::string text(const std::string& source, const Json& variables = Json::object()) {
  const auto parts = render(source, variables);
  if (!parts) return "error: " + parts.error().message;
  std::string joined;
  for (const RenderedPart& part : *parts) joined += part.text;
  return joined;
}

// The text with input in brackets.
std::string marked(const std::string& source, const Json& variables, const Json& constants = Json::object()) {
  const auto parts = render(source, variables, constants);
  if (!parts) return "error: " + parts.error().message;
  std::string joined;
  for (const RenderedPart& part : *parts) joined += part.is_input ? "[" + part.text + "]" : part.text;
  return joined;
}

bool is_invalid(const std::string& source, const Json& variables = Json::object()) {
  const auto parts = render(source, variables);
  return !parts && parts.error().code == Code::invalid && !parts.error().message.empty();
}

TEST(JinjaTemplate, PartsTellInputFromTheTemplatesOwnText) {
  EXPECT_EQ(marked("<|a|>{{ m.role }}\n{{ m.content }}<|b|>", {{"m", {{"role", "user"}, {"content", "<|b|>"}}}}),
            "<|a|>[user]\n[<|b|>]<|b|>");
  EXPECT_EQ(marked("{{ bos }}{{ text }}", {{"text", "x"}}, {{"bos", "<s>"}}), "<s>[x]");
}

// Every filter that makes new text of input must give input: a part taken for the template's own
// would let a file end the turn.
TEST(JinjaTemplate, WhatIsDerivedFromInputStaysInput) {
  const Json input = {{"x", "<|e|>"}, {"o", {{"<|e|>", "<|e|>"}}}, {"l", {"<|e|>", "<|e|>"}}};
  for (const char* expression : {"o | tojson",
                                 "o",
                                 "l | tojson",
                                 "l | join('')",
                                 "x.split('z')[0]",
                                 "x.rsplit('z')[0]",
                                 "x | replace('z', 'y')",
                                 "'z' | replace('z', x)",
                                 "x[0:9]",
                                 "x | indent(2)",
                                 "x | trim",
                                 "l | string",
                                 "o | string",
                                 "l",
                                 "'{}'.format(x)",
                                 "x * 1",
                                 "'' ~ x",
                                 "x | upper",
                                 "(o | items | list)[0][0]",
                                 "o.keys()[0]",
                                 "x[0] ~ x[1] ~ x[2]",
                                 "l | map(attribute=0) | join",
                                 "o | dictsort | tojson",
                                 "l | sort | join",
                                 "x | default('')"}) {
    const auto parts = render("{{ " + std::string(expression) + " }}", input);
    ASSERT_TRUE(parts) << expression << ": " << parts.error().message;
    for (const RenderedPart& part : *parts) {
      EXPECT_TRUE(part.is_input || part.text.find('|') == std::string::npos) << expression << ": " << part.text;
    }
  }
}

TEST(JinjaTemplate, MixedTextKeepsItsPartsThroughFilters) {
  const Json input = {{"x", "in"}};
  EXPECT_EQ(marked("{{ ('<a>' ~ x ~ '<b>').split('n')[0] }}", input), "<a>[i]");
  EXPECT_EQ(marked("{{ ('<a>' ~ x ~ '<b>') | replace('b', x) }}", input), "<a>[in]<[in]>");
  EXPECT_EQ(marked("{{ ['<a>', x] | join(', ') }}", input), "<a>, [in]");
  EXPECT_EQ(marked("{% set y %}<a>{{ x }}{% endset %}{{ y ~ 1 }}", input), "<a>[in]1");
  EXPECT_EQ(marked("{% macro f(v) %}<m>{{ v }}{% endmacro %}{{ f(x) }}", input), "<m>[in]");
}

TEST(JinjaTemplate, JsonIsWrittenAsPythonWritesIt) {
  const auto value = parse_json(R"({"a": [1, 2.0, 1e-7, true, null], "é": "q\"\n\u001f/", "e": [], "o": {}})");
  ASSERT_TRUE(value);
  EXPECT_EQ(text("{{ v | tojson }}", {{"v", *value}}),
            "{\"a\": [1, 2.0, 1e-07, true, null], \"é\": \"q\\\"\\n\\u001f/\", \"e\": [], \"o\": {}}");
  EXPECT_EQ(text("{{ v | tojson(indent=2) }}", {{"v", {{"a", {1}}}}}), "{\n  \"a\": [\n    1\n  ]\n}");
  EXPECT_EQ(text("{{ v | tojson(separators=(',', ':')) }}", {{"v", {{"a", {1, 2}}}}}), "{\"a\":[1,2]}");
  EXPECT_EQ(text("{{ v | tojson(ensure_ascii=true) }}", {{"v", "é😀"}}), "\"\\u00e9\\ud83d\\ude00\"");
  EXPECT_EQ(text("{{ v | tojson(sort_keys=true) }}", {{"v", {{"b", 1}, {"a", 2}}}}), "{\"a\": 2, \"b\": 1}");
}

TEST(JinjaTemplate, ValuesArePrintedAsPythonPrintsThem) {
  const auto value = parse_json(R"(["it's \"x\"", "a\nb é", 1e-7, 1e16, true, null, {"k": []}, 18446744073709551615])");
  ASSERT_TRUE(value);
  const std::string printed = R"(['it\'s "x"', 'a\nb é', 1e-07, 1e+16, True, None, {'k': []}, 18446744073709551615])";
  for (const char* source : {"{{ v }}", "{{ v ~ '' }}", "{{ v | string }}"})
    EXPECT_EQ(text(source, {{"v", *value}}), printed) << source;
  EXPECT_EQ(text("{{ v[7] }} {{ v[7] | tojson }} {{ v[5] }}{{ missing }}", {{"v", *value}}),
            "18446744073709551615 18446744073709551615 None");
}

TEST(JinjaTemplate, TextIsCountedAndCutInCharacters) {
  const Json input = {{"x", "é日x"}};
  EXPECT_EQ(text("{{ x | length }}{{ x[0] }}{{ x[-2] }}{{ x[1:] }}{{ x[:-1] }}{{ x[::-1] }}", input), "3é日日xé日x日é");
  EXPECT_EQ(text("{% for c in x %}<{{ c }}>{% endfor %}{{ x[3] is defined }}", input), "<é><日><x>False");
}

TEST(JinjaTemplate, MembershipWorksAsInPython) {
  EXPECT_EQ(text("{{ 'a' in missing }}{{ missing in ['a'] }}{{ ['a'] in [['a']] }}{{ 'k' in {'k': 1} }}"),
            "FalseFalseTrueTrue");
  for (const char* source : {"{{ 1 in 'a1' }}", "{{ 'a' in none }}", "{{ 'a' + 1 }}", "{{ 'a' + ['b'] }}"})
    EXPECT_TRUE(is_invalid(source)) << source;
}

TEST(JinjaTemplate, LoopsAssignmentsAndMethodsWorkAsInJinja) {
  const Json input = {{"l", {3, 1, 2}}, {"o", {{"a", 1}, {"b", 2}}}};
  EXPECT_EQ(text("{% for i in l %}{{ loop.index }}{{ i }}{{ ',' if not loop.last }}{% endfor %}", input), "13,21,32");
  EXPECT_EQ(text("{% for k, v in o | items %}{{ k }}={{ v }};{% endfor %}", input), "a=1;b=2;");
  EXPECT_EQ(text("{% for k in o %}{{ k }}{% endfor %}", input), "ab");
  EXPECT_EQ(text("{% for i in l if i > 1 %}{{ i }}{% else %}none{% endfor %}", input), "32");
  EXPECT_EQ(text("{% for i in [] %}{% else %}none{% endfor %}", input), "none");
  EXPECT_EQ(text("{% for i in l %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}", input), "32");
  EXPECT_EQ(text("{% set ns = namespace(n=0) %}{% for i in l %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", input),
            "6");
  EXPECT_EQ(text("{% set a, b = 'x y'.split() %}{{ b ~ a }}", input), "yx");
  EXPECT_EQ(text("{{ l | sort | tojson }}{{ l[::-1] | tojson }}{{ l[-1] }}", input), "[1, 2, 3][2, 1, 3]2");
  EXPECT_EQ(text("{% set r = [] %}{% set _ = r.append(1) %}{{ r | tojson }}", input), "[1]");
  EXPECT_EQ(text("{{ 'a,b,c'.rsplit(',', 1) | tojson }}{{ ' a  b '.split() | tojson }}"),
            "[\"a,b\", \"c\"][\"a\", \"b\"]");
  EXPECT_EQ(text("{{ 'a\n\nb' | indent(2) }}"), "a\n\n  b");
  EXPECT_EQ(text("{{ range(2, 8, 3) | tojson }}{{ 0.1 }}{{ 1 is divisibleby(1) }}"), "[2, 5]0.1True");
}

TEST(JinjaTemplate, ARaisedExceptionIsTheTemplatesOwnWords) {
  const auto parts = render("{% if true %}{{ raise_exception('roles must alternate') }}{% endif %}");
  ASSERT_FALSE(parts);
  EXPECT_EQ(parts.error().code, Code::invalid);
  EXPECT_EQ(parts.error().message, "roles must alternate");
}

TEST(JinjaTemplate, ErrorsSayWhere) {
  EXPECT_NE(text("a\n  {{ 'x' | nonsense }}").find("line 2"), std::string::npos) << text("a\n  {{ 'x' | nonsense }}");
  for (const char* source :
       {"{% if x %}", "{{ x", "{% for 1 in x %}{% endfor %}", "{{ x | 5 }}", "{% endif %}", "{{ ) }}", "{% nonsense %}",
        "{{ 'a }}", "{# x", "{%", "{{ a[ }}", "{{ 99999999999999999999 }}"}) {
    EXPECT_TRUE(is_invalid(source, {{"x", {1}}})) << source;
  }
}

TEST(JinjaTemplate, DeepSourceIsAnErrorNotACrash) {
  constexpr std::size_t kDeep = 20'000;
  for (const char* piece : {"(", "[", "{", "not ", "-", "- -", "x[", "f(", "x if ", "[[", "{1:"}) {
    EXPECT_TRUE(is_invalid("{{ " + repeated(piece, kDeep) + " }}")) << piece;
  }
  for (const char* piece :
       {".b", "|trim", " ~ x", " and x", " or x", "()", "[0]", " if x else x", " is x", " == x", " in x"}) {
    EXPECT_TRUE(is_invalid("{{ x" + repeated(piece, kDeep) + " }}")) << piece;
  }
  for (const char* piece :
       {"{% if x %}", "{% for x in y %}", "{% macro f() %}", "{% set x %}", "{% filter trim %}", "{% call f() %}",
        "{% if x %}{% generation %}{% endgeneration %}", "{% if x %}{% else %}"}) {
    EXPECT_TRUE(is_invalid(repeated(piece, kDeep / 2))) << piece;
  }
  EXPECT_TRUE(is_invalid("{% if x %}" + repeated("{% elif x %}", kDeep / 2) + "{% endif %}"));
  EXPECT_TRUE(is_invalid("{{ " + repeated("(", kDeep) + "1" + repeated(")", kDeep) + " }}"));
  EXPECT_TRUE(is_invalid(repeated("x", limits::kTemplateBytes + 1)));
}

TEST(JinjaTemplate, LongButFlatSourceIsFine) {
  EXPECT_EQ(text("{{ [" + repeated("1, ", 5000) + "1] | length }}"), "5001");
  EXPECT_EQ(text(repeated("{% if x %}a{% endif %}{{ y }}", 5000)), "");
  EXPECT_EQ(text("{{ " + repeated("(", 90) + "1" + repeated(")", 90) + " }}"), "1");
}

TEST(JinjaTemplate, EndlessRecursionIsAnError) {
  for (const char* source : {
           "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
           "{% macro f(x=f()) %}{% endmacro %}{{ f() }}",
           "{% macro f(x) %}{{ x }}{% endmacro %}{% macro g() %}{{ f(f(g())) }}{% endmacro %}{{ g() }}",
           "{% macro f() %}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}",
           "{% macro f() %}{{ caller() }}{% endmacro %}{% macro g() %}{% call f() %}{{ g() }}{% endcall %}{% endmacro "
           "%}{{ g() }}",
           "{% macro f() %}{% for x in [1] %}{{ f() }}{% endfor %}{% endmacro %}{{ f() }}",
           "{% macro f() %}{% set x = f() %}{% endmacro %}{{ f() }}",
           "{% macro f() %}{% if f() %}{% endif %}{% endmacro %}{{ f() }}",
           "{% macro f() %}{{ 'x' | replace('x', f()) }}{% endmacro %}{{ f() }}",
       }) {
    const auto parts = render(source);
    ASSERT_FALSE(parts) << source;
    EXPECT_NE(parts.error().message.find("recurses"), std::string::npos) << source << parts.error().message;
  }
}

TEST(JinjaTemplate, EndlessLoopsAndHugeOutputAreErrors) {
  const std::string doubled = "{% set ns = namespace(x='xxxxxxxx') %}{% for i in range(99) %}";
  for (const std::string& source : {
           std::string("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"),
           std::string("{{ range(1000000000) | length }}"),
           std::string("{{ 'x' * 1000000000 }}"),
           std::string("{{ 1000000000000 * 'x' }}"),
           std::string("{{ '' * 9000000000000000 }}"),
           doubled + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
           doubled + "{% set ns.x = ns.x + ns.x %}{% endfor %}",
           doubled + "{% set ns.x = ns.x | replace('x', 'xx') %}{% endfor %}",
           doubled + "{% set ns.x = [ns.x, ns.x] | join %}{% endfor %}",
           doubled + "{% set ns.x = '{}{}'.format(ns.x, ns.x) %}{% endfor %}",
           doubled + "{% set ns.x = [ns.x, ns.x] | tojson %}{% endfor %}",
           doubled + "{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}",
           doubled + "{% set ns.x = [ns.x, ns.x] | string %}{% endfor %}",
           doubled + "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
           std::string("{{ 'x' | indent(1000000000) }}"),
           std::string("{{ [1] | tojson(indent=1000000000) }}"),
           std::string("{{ 'abc'[0:2:9007199254740992] }}"),
           std::string("{{ 'abc'[0:2:9223372036854775807] }}"),
           doubled + "{% set _ = ns.x.split('') %}{% endfor %}",
       }) {
    EXPECT_TRUE(is_invalid(source)) << source;
  }
}

// The engine prints, compares and destroys values recursively.
TEST(JinjaTemplate, ValuesCannotContainThemselvesOrNestWithoutBound) {
  const std::string loop = "{% for i in range(90000) %}";
  for (const std::string& source : {
           std::string("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns | tojson }}"),
           std::string("{% set ns = namespace() %}{% set ns.x = [{'a': ns}] %}{{ ns | string }}"),
           std::string("{% set l = [] %}{% set _ = l.append(l) %}{{ l }}"),
           std::string("{% set l = [] %}{% set _ = l.append(a=l) %}{{ l }}"),
           std::string("{% set ns = namespace() %}{% set ns.f = ns.items %}{{ ns | string }}"),
           "{% set ns = namespace(x=1) %}" + loop + "{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
           "{% set ns = namespace(x=1) %}" + loop + "{% set ns.x = {'a': ns.x} %}{% endfor %}{{ ns.x | tojson }}",
           "{% set ns = namespace(c=namespace(a=1)) %}" + loop +
               "{% set n = namespace(a=1) %}{% set ns.first = ns.first or n %}{% set c = ns.c %}{% set c.next = n %}{% "
               "set ns.c = n "
               "%}{% endfor %}{{ ns | tojson }}",
           std::string("{% macro f(x, n) %}{% if n > 0 %}{{ f([[[[x]]]], n - 1) }}{% else %}{{ x }}{% endif %}{% "
                       "endmacro %}{{ f(1, 500) }}"),
           std::string("{% set _ = input.append(1) %}{{ input }}"),
           std::string("{% set _ = input.pop() %}{{ input }}"),
       }) {
    EXPECT_TRUE(is_invalid(source, {{"input", {1}}})) << source;
  }
}

TEST(JinjaTemplate, ArithmeticAndOrderOfStrangeValuesAreErrors) {
  for (const char* source :
       {"{{ 5 is divisibleby(0) }}", "{{ 5 % 0 }}", "{{ 5 / 0 }}", "{{ ['a', 1, 'b', 2] | sort }}",
        "{{ test_is_divisibleby(5, 0) }}", "{{ [{'a': 1}] | selectattr('a', 'divisibleby', 0) }}",
        "{{ ['nan' | float, 1.0] | sort }}", "{{ {} < {} }}", "{{ x['append'] }}{{ 'a'['b']() }}"}) {
    EXPECT_TRUE(is_invalid(source)) << source << " " << text(source);
  }
  EXPECT_EQ(text("{% set l = [[1, 2], [3, 4]] %}{% for a, b in l %}{% set _ = l[1].pop() %}{{ a }}{% endfor %}")
                .find("error"),
            0U);
}

TEST(JinjaTemplate, InputDeeperThanATemplateMayNestIsStillPrinted) {
  const std::string deep = repeated("[", limits::kJsonDepth) + repeated("]", limits::kJsonDepth);
  const auto input = parse_json(deep);
  ASSERT_TRUE(input);
  EXPECT_EQ(text("{% set y = {'a': x} %}{{ y | tojson }}", {{"x", *input}}), "{\"a\": " + deep + "}");
}

// Lengths of real conversations: nothing here may be near a limit.
TEST(JinjaTemplate, ALongConversationRenders) {
  Json messages = Json::array();
  for (std::size_t i = 0; i < limits::kMessages; ++i)
    messages.push_back({{"role", "user"}, {"content", std::string(200, 'x')}});
  const std::string rendered = text(
      "{% set ns = namespace(last=0) %}{% for m in messages[::-1] %}{% if m.content.startswith('y') %}{% set ns.last = "
      "loop.index "
      "%}{% endif %}{% endfor %}{% for m in messages %}{% set c = m.content | trim %}<{{ m.role }}>{{ c }}{% endfor %}",
      {{"messages", messages}});
  EXPECT_EQ(rendered.size(), limits::kMessages * 206);
}

TEST(JinjaTemplate, OneTemplateServesManyThreads) {
  const auto parsed = JinjaTemplate::parse(
      "{% macro f(x) %}<{{ x }}{{ strftime_now('%') }}>{% endmacro %}{% for m in l %}{{ f(m) }}{% endfor %}{{ l | "
      "tojson }}");
  ASSERT_TRUE(parsed);
  std::vector<std::string> results(4);
  {
    std::vector<std::jthread> threads;
    for (std::string& result : results) {
      threads.emplace_back([&result, &parsed] {
        for (int i = 0; i < 50; ++i) {
          const auto parts = (*parsed)->render({{"l", {"a", "b", "c"}}}, Json::object());
          result.clear();
          if (parts)
            std::for_each(parts->begin(), parts->end(), [&](const RenderedPart& part) { result += part.text; });
        }
      });
    }
  }
  for (const std::string& result : results) EXPECT_EQ(result, "<a%><b%><c%>[\"a\", \"b\", \"c\"]");
}

TEST(JinjaTemplate, WindowsLineEndsAreUnixOnes) {
  EXPECT_EQ(text("{% if true %}\r\na\r\nb\rc\r\n{% endif %}"), "a\nb\nc\n");
}

// The templates of the model families, as llama.cpp ships them.
TEST(JinjaTemplate, EveryTemplateOfTheSourceTreeIsRead) {
  const std::filesystem::path folder = std::filesystem::path(KVERN_LLAMA_DIR) / "models" / "templates";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no llama.cpp templates at " << folder;
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    std::ifstream file(entry.path());
    const auto parsed = JinjaTemplate::parse(std::string(std::istreambuf_iterator<char>(file), {}));
    ASSERT_TRUE(parsed) << entry.path() << ": " << parsed.error().message;
    const auto parts =
        (*parsed)->render({{"messages", {{{"role", "user"}, {"content", "Hello"}}}}, {"add_generation_prompt", true}},
                          {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
    EXPECT_TRUE(parts) << entry.path() << ": " << parts.error().message;
    ++count;
  }
  EXPECT_GT(count, 10U);
}

}  // namespace
}  // namespace kvern::chat
