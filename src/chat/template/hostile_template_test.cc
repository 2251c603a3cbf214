// Templates come with model files from anywhere: a hostile one ends in an error, soon and small.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "chat/template/jinja_template.h"

namespace kvern::chat {
namespace {

constexpr double kSecondsMax = 2.0;
constexpr long kGrowthMax_kb = 200 * 1024;

// Instrumented code is slower and larger than what is shipped.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kSlower = 20.0;
constexpr bool kMeasuresMemory = false;
#else
constexpr double kSlower = 1.0;
constexpr bool kMeasuresMemory = true;
#endif

std::string repeated(std::string_view piece, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += piece;
  return text;
}

long peak_kb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// Of the processor, so that a busy machine does not count.
double seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

Result<std::size_t> rendered_bytes(const std::string& source) {
  TRY(const auto jinja, JinjaTemplate::parse(source));
  TRY(const auto parts, jinja->render({{"text", std::string(100'000, 'x')}, {"list", {1, 2, 3}}}, Json::object()));
  std::size_t bytes = 0;
  for (const RenderedPart& part : parts) bytes += part.text.size();
  return bytes;
}

void expect_refused_soon(const std::vector<std::string>& sources) {
  for (const std::string& source : sources) {
    const long before_kb = peak_kb();
    const double start = seconds();
    const auto bytes = rendered_bytes(source);
    EXPECT_FALSE(bytes) << source.substr(0, 200) << " wrote " << *bytes;
    EXPECT_LT(seconds() - start, kSecondsMax * kSlower) << source.substr(0, 200);
    if (kMeasuresMemory) {
      EXPECT_LT(peak_kb() - before_kb, kGrowthMax_kb) << source.substr(0, 200);
    }
  }
}

TEST(HostileTemplate, LoopsThatNeverEndAreRefused) {
  const std::string many = "{% for a in range(99999) %}";
  expect_refused_soon({
      many + many + "{% endfor %}{% endfor %}",
      many + many + "x{% endfor %}{% endfor %}",
      many + "{% for c in text %}{% endfor %}{% endfor %}",
      many + "{{ text }}{% endfor %}",
      many + "{{ text | length }}{% endfor %}",
      many + "{{ text[5:9] }}{% endfor %}",
      many + "{{ text[::-1] }}{% endfor %}",
      many + "{{ text[0] }}{% endfor %}",
      many + "{% if 'y' in text %}{% endif %}{% endfor %}",
      many + "{{ text | upper | lower | trim | length }}{% endfor %}",
      many + "{% set l = range(99999) %}{% endfor %}",
      many + "{% if a in range(99999) %}{% endif %}{% endfor %}",
      "{{ range(1000000000) }}",
      "{% for a in range(1000000000) %}{% endfor %}",
  });
}

TEST(HostileTemplate, TextThatDoublesIsRefused) {
  const std::string doubling = "{% set ns = namespace(x=text) %}{% for i in range(99) %}";
  expect_refused_soon({
      doubling + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
      doubling + "{% set ns.x = ns.x * 9 %}{% endfor %}",
      doubling + "{% set ns.x = ns.x | replace('x', text) %}{% endfor %}",
      doubling + "{% set ns.x = [ns.x, ns.x] | string %}{% endfor %}",
      doubling + "{% set ns.x = [ns.x, ns.x] | tojson %}{% endfor %}",
      doubling + "{% set ns.x = [ns.x, ns.x] | join(ns.x) %}{% endfor %}",
      doubling + "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
      doubling + "{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}{{ ns.x ~ '' }}",
      doubling + "{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}",
      "{% set ns = namespace(l=list) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
      "{{ 'x' * 9999999999 }}",
  });
}

TEST(HostileTemplate, NestingIsRefused) {
  constexpr std::size_t kDeep = 100'000;
  expect_refused_soon({
      "{{ " + repeated("(", kDeep) + "1" + repeated(")", kDeep) + " }}",
      "{{ " + repeated("[", kDeep) + repeated("]", kDeep) + " }}",
      "{{ " + repeated("{1:", kDeep) + "1" + repeated("}", kDeep) + " }}",
      "{{ " + repeated("not ", kDeep) + "1 }}",
      "{{ 1" + repeated(" + 1", kDeep) + " }}",
      "{{ x" + repeated("[x", kDeep) + repeated("]", kDeep) + " }}",
      repeated("{% if 1 %}", 50'000) + repeated("{% endif %}", 50'000),
      repeated("{% for a in list %}", 40'000),
      "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
      "{% macro f(n) %}{{ g(n) }}{% endmacro %}{% macro g(n) %}{{ f(n) ~ f(n) }}{% endmacro %}{{ f(1) }}",
      "{% macro f(n) %}{% for a in list %}{{ f(n ~ n) }}{% endfor %}{% endmacro %}{{ f('x') }}",
  });
}

// What looks bad and is harmless stays so: it is read, and soon.
TEST(HostileTemplate, WhitespaceControlOverMuchWhitespaceIsQuick) {
  const double start = seconds();
  for (const std::string& source : {
           repeated(" ", 900'000) + "{%- if 1 -%}" + repeated("\n", 100'000) + "{%- endif -%}",
           repeated("{%- if 1 -%} {%- endif -%}", 30'000),
           repeated("{{- '' -}}\n", 50'000),
           repeated("{# x #}\n", 100'000),
           repeated("\r\n", 400'000),
       }) {
    const auto bytes = rendered_bytes(source);
    EXPECT_TRUE(bytes) << source.substr(0, 100) << bytes.error().message;
  }
  EXPECT_LT(seconds() - start, 5 * kSecondsMax * kSlower);
}

}  // namespace
}  // namespace kvern::chat
