// Rounds of loops over messages that are kept between renders: never seen in what is rendered.
#include "chat/template/rounds.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "chat/dialect/test_templates.h"
#include "chat/template/jinja_template.h"

namespace kvern::chat {
namespace {

const Json kConstants = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};

// The text with input in brackets, or "error: " and the message.
std::string marked(const Result<std::vector<RenderedPart>>& parts) {
  if (!parts) return "error: " + parts.error().message;
  std::string joined;
  for (const RenderedPart& part : *parts) joined += part.is_input ? "\x01" + part.text + "\x02" : part.text;
  return joined;
}

// Prepares each message once, as a server does.
class Talk {
 public:
  explicit Talk(std::uint32_t seed) : random_(seed) { add(); }

  // Mostly grows; now and then something old is edited, cut off or taken out.
  void change() {
    switch (random_() % 8) {
      case 0: messages_.resize(1 + random_() % messages_.size()); break;
      case 1: messages_[random_() % messages_.size()] = message(); break;
      case 2: messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(random_() % messages_.size())); break;
      case 3: variables_["enable_thinking"] = random_() % 2 == 0; break;
      case 4: variables_["add_generation_prompt"] = random_() % 4 != 0; break;
      default: break;
    }
    if (messages_.empty() || messages_.size() < 12) add();
  }

  Json variables() const {
    Json variables = variables_;
    variables["messages"] = messages_;
    return variables;
  }

  std::string plain(const JinjaTemplate& jinja) const { return marked(jinja.render(variables(), kConstants)); }

  std::string kept(const JinjaTemplate& jinja) {
    PreparedList list{"messages", {}};
    for (const Json& message : messages_) {
      auto& prepared = prepared_[message.dump()];
      if (!prepared) prepared = prepare_item(message, 20'000);
      list.items.push_back(prepared);
    }
    return marked(jinja.render(variables_, kConstants, {}, {&list, 1}));
  }

 private:
  void add() {
    if (one_in(6)) {
      messages_.push_back(message());
    } else if (messages_.empty()) {
      messages_.push_back({{"role", "system"}, {"content", text()}});
    } else if (messages_.back()["role"] == "assistant" && messages_.back().contains("tool_calls")) {
      messages_.push_back({{"role", "tool"}, {"content", text()}, {"tool_call_id", "call00001"}, {"name", "read"}});
    } else if (messages_.back()["role"] == "assistant" || messages_.back()["role"] == "system") {
      messages_.push_back({{"role", "user"}, {"content", text()}});
    } else {
      messages_.push_back(answer());
    }
  }

  Json message() {
    static constexpr const char* kRoles[] = {"system", "user", "tool", "assistant"};
    if (one_in(3)) return answer();
    return {{"role", kRoles[random_() % 4]}, {"content", text()}};
  }

  Json answer() {
    Json json = {{"role", "assistant"}, {"content", text()}};
    if (one_in(3)) json["reasoning_content"] = text();
    for (std::size_t i = random_() % 3; i > 0; --i) {
      Json arguments = {{"path", text()}, {"n", random_() % 3}, {"deep", {{"list", {1, true, nullptr}}}}};
      json["tool_calls"].push_back({{"id", "call0000" + std::to_string(i)},
                                    {"type", "function"},
                                    {"function", {{"name", "read"}, {"arguments", std::move(arguments)}}}});
    }
    return json;
  }

  std::string text() {
    static constexpr const char* kTexts[] = {
        "", "hello", " a line\nand one ", "<think>hm</think>so", "<|im_end|>", "<tool_response>x</tool_response>", "é"};
    return kTexts[random_() % std::size(kTexts)];
  }

  bool one_in(std::uint32_t n) { return random_() % n == 0; }

  std::mt19937 random_;
  std::vector<Json> messages_;
  Json variables_ = {{"add_generation_prompt", true},
                     {"tools",
                      {{{"type", "function"},
                        {"function",
                         {{"name", "read"},
                          {"description", "reads"},
                          {"parameters", {{"type", "object"}, {"properties", Json::object()}}}}}}}}};
  std::map<std::string, std::shared_ptr<const PreparedValue>> prepared_;
};

void expect_never_seen(const std::string& source, std::uint32_t seed, int changes) {
  const auto jinja = JinjaTemplate::parse(source);
  ASSERT_TRUE(jinja) << jinja.error().message << "\n" << source;
  Talk talk(seed);
  for (int i = 0; i < changes; ++i, talk.change()) {
    const std::string plain = talk.plain(**jinja);
    ASSERT_EQ(talk.kept(**jinja), plain) << "seed " << seed << ", change " << i << "\n" << source.substr(0, 500);
    ASSERT_EQ(talk.kept(**jinja), plain) << "the second time; seed " << seed << ", change " << i;
  }
}

std::size_t kept_loops(const std::string& source) {
  const auto jinja = JinjaTemplate::parse(source);
  EXPECT_TRUE(jinja) << source;
  return jinja ? (*jinja)->kept_loops() : 0;
}

TEST(Rounds, ConversationsOfEveryFamilyRenderAsIfNothingWereKept) {
  for (const std::string& name : testing::template_names()) {
    SCOPED_TRACE(name);
    for (std::uint32_t seed = 0; seed < 2; ++seed) expect_never_seen(testing::template_source(name), seed, 25);
    if (HasFatalFailure()) return;
  }
}

TEST(Rounds, TheFamiliesOfCodingModelsKeepTheirs) {
  for (const char* name : {"Qwen-Qwen3-0.6B", "Qwen3-Coder", "Qwen-Qwen2.5-7B-Instruct", "GLM-4.6"})
    EXPECT_GT(kept_loops(testing::template_source(name)), 0u) << name;
}

// What a body reads and does, each in its own way; all of it is kept.
constexpr const char* kKept[] = {
    "{% for m in messages %}{{ loop.index }}{{ loop.last }}{{ m.content }}{% endfor %}",
    "{% for m in messages %}{% if loop.previtem and loop.previtem.role == m.role %}={% endif %}{{ m.role }}{% endfor "
    "%}",
    "{% for m in messages %}{% if not loop.last and messages[loop.index0 + 1].role != 'tool' %}!{% endif %}"
    "{{ m.content | trim }}{% endfor %}",
    "{% set ns = namespace(n=0, last='') %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{{ ns.last }}"
    "{% if m.role == 'user' %}{% set ns.last = m.content %}{% endif %}{{ ns.last }}{% endfor %}{{ ns.n }}{{ ns.last }}",
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% if m.tool_calls %}{% for c in m.tool_calls %}"
    "{% set ns.n = ns.n + 1 %}{{ loop.index }}:{{ c.function.arguments | tojson }}{{ ns.n }}{% endfor %}{% endif %}"
    "{{ ns.n }}{% endfor %}{{ ns.n }}",
    "{% macro show(x, y='-') %}{% if enable_thinking %}{{ x | trim }}{% endif %}{{ y }}{% endmacro %}"
    "{% for m in messages %}{{ show(m.content) }}{{ show(m.role, enable_thinking) }}{% endfor %}",
    "{% for m in messages %}{% set own = namespace(first=true) %}{% for c in m.tool_calls %}{% if own.first %}^{% "
    "endif %}"
    "{% set own.first = false %}{{ c.id }}{% endfor %}{% endfor %}",
    "{% for m in messages[1:] %}{{ messages | length }}{{ loop.revindex }}{{ m.content }}{% endfor %}",
    "{% for m in messages %}{% if m.role == 'system' and loop.index0 > 3 %}{{ raise_exception('late') }}{% endif %}"
    "{{ m.content }}{% endfor %}",
    "{% for m in messages %}{% set t %}{{ m.role }}{{ loop.first }}{% endset %}{{ t | upper }}{% endfor %}",
    "{% for m in messages %}{% for r in ['a', 'b'] if r != enable_thinking %}{{ r }}{{ loop.last }}{{ m.role }}"
    "{% if loop.first %}{% set x = 1 %}{% endif %}{{ x }}{% endfor %}{% endfor %}",
};

// What one round does shows in another, or nobody knows: these run every time.
constexpr const char* kNotKept[] = {
    "{% for m in messages %}{{ seen }}{% set seen = m.role %}{% endfor %}",
    "{% for m in messages %}{% if m.role == 'user' %}{% set seen = m.content %}{% endif %}{{ seen }}{% endfor %}",
    "{% set all = [] %}{% for m in messages %}{% set _ = all.append(m.role) %}{{ all | length }}{% endfor %}",
    "{% for m in messages %}{% if m.role == 'tool' %}{% continue %}{% endif %}{{ m.content }}{% endfor %}",
    "{% for m in messages %}{% if loop.index > 3 %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
    "{% for m in messages %}{{ strftime_now('%Y') }}{{ m.content }}{% endfor %}",
    "{% macro who() %}{{ m.role }}{% endmacro %}{% for m in messages %}{{ who() }}{% endfor %}",
    "{% set ns = namespace(a=1) %}{% for m in messages %}{% set same = ns %}{% set same.a = same.a + 1 %}{{ ns.a }}"
    "{% endfor %}",
    "{% set ns = namespace(n=0) %}{% macro add(to) %}{% set to.n = to.n + 1 %}{% endmacro %}"
    "{% for m in messages %}{{ add(ns) }}{{ ns.n }}{% endfor %}",
    "{% macro f() %}1{% endmacro %}{% for m in messages %}{{ f() }}{% endfor %}{% macro f() %}2{% endmacro %}",
    "{% for m in messages %}{{ [m.tool_calls] | map('pop') | list | length }}{% endfor %}",
};

TEST(Rounds, EveryWayToReadTheWorldIsNoticed) {
  for (const char* source : kKept) {
    EXPECT_EQ(kept_loops(source), 1u) << source;
    for (std::uint32_t seed = 0; seed < 8; ++seed) expect_never_seen(source, seed, 60);
  }
}

TEST(Rounds, WhatIsNotKnownToBePureIsRunEveryTime) {
  for (const char* source : kNotKept) {
    EXPECT_EQ(kept_loops(source), 0u) << source;
    for (std::uint32_t seed = 0; seed < 4; ++seed) expect_never_seen(source, seed, 60);
  }
}

// chat_template_kwargs can take any name.
TEST(Rounds, AVariableMayTakeAFunctionsName) {
  const auto jinja =
      JinjaTemplate::parse("{% for m in messages %}{% if m.x %}{{ range(2) }}{% endif %}{{ true }}{% endfor %}");
  ASSERT_TRUE(jinja);
  const PreparedList list{"messages", {prepare_item({{"x", 1}}, 10'000)}};
  const auto render = [&](const Json& variables) { return marked((*jinja)->render(variables, {}, {}, {&list, 1})); };
  const std::string first = render(Json::object());
  EXPECT_EQ(render(Json::object()), first);
  EXPECT_TRUE(render({{"range", 5}}).starts_with("error")) << "5 is no function";
  EXPECT_NE(render({{"true", "not"}}), first);
  EXPECT_EQ(render(Json::object()), first);
}

// A repeated round costs the render what it cost when it ran.
TEST(Rounds, LimitsAreMetWhetherARoundRunsOrIsRepeated) {
  const auto jinja = JinjaTemplate::parse("{% for m in messages %}{{ range(99999) | length }}{{ m.c }}{% endfor %}");
  ASSERT_TRUE(jinja && (*jinja)->kept_loops() == 1);
  const auto item = prepare_item({{"c", "x"}}, 10'000);
  std::size_t refused = 0;
  for (std::size_t count = 1; count <= 25; count += 3) {
    const PreparedList list{"messages", std::vector(count, item)};
    const std::string kept = marked((*jinja)->render(Json::object(), {}, {}, {&list, 1}));
    ASSERT_EQ(kept, marked((*jinja)->render({{"messages", Json(count, Json{{"c", "x"}})}}, {}))) << count;
    refused += kept.starts_with("error") ? 1 : 0;
  }
  EXPECT_GT(refused, 0u);
  EXPECT_LT(refused, 9u);
}

TEST(Rounds, ThreadsThatRenderAtOnceGetWhatEachAskedFor) {
  const auto jinja = JinjaTemplate::parse(kKept[3]);
  ASSERT_TRUE(jinja);
  std::vector<PreparedList> lists(3, {"messages", {}});
  std::vector<std::shared_ptr<const PreparedValue>> items;
  for (int i = 0; i < 5; ++i)
    items.push_back(prepare_item({{"role", i % 2 == 0 ? "user" : "tool"}, {"content", std::to_string(i)}}, 2'000));
  for (std::size_t i = 0; i < 40; ++i)
    for (std::size_t t = 0; t < lists.size(); ++t) lists[t].items.push_back(items[(i * (t + 1)) % items.size()]);
  std::vector<std::string> expected;
  for (const PreparedList& list : lists)
    expected.push_back(marked((*jinja)->render(Json::object(), {}, {}, {&list, 1})));
  std::vector<int> wrong(6);
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < 60; ++i) {
        const std::size_t which = (i + t) % lists.size();
        wrong[t] += marked((*jinja)->render(Json::object(), {}, {}, {&lists[which], 1})) == expected[which] ? 0 : 1;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, std::vector<int>(wrong.size()));
}

}  // namespace
}  // namespace kvern::chat
