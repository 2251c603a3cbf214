#include "chat/template_traits.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "chat/dialect_probe.h"

namespace kvern::chat {
namespace {

using Messages = std::vector<Message>;

// A mark's text can stand in JSON and in any markup as it is.
constexpr const char* kTool = "kv_probe";
constexpr const char* kNineId = "kvprobe01";
constexpr const char* kQuestion = "kvmark question";
constexpr const char* kResult = "kvmark result";
constexpr const char* kOther = "kvmark other";
constexpr const char* kAnswer = "kvmark answer";

Message user(std::string content = kQuestion) { return text_message(Role::user, std::move(content)); }
Message assistant(std::string content = kAnswer) { return text_message(Role::assistant, std::move(content)); }
Message system(std::string content) { return text_message(Role::system, std::move(content)); }

Message calling(std::vector<ToolCall> calls, std::string content = {}) {
  Message message = assistant(std::move(content));
  message.tool_calls = std::move(calls);
  return message;
}

Message result_of(const ToolCall& call, std::string content = kResult) {
  Message message = text_message(Role::tool, std::move(content));
  message.tool_call_id = call.id;
  message.name = call.name;
  return message;
}

ToolCall call_with(std::string arguments, std::string id = kNineId, std::string name = kTool) {
  return {.id = std::move(id), .name = std::move(name), .arguments = std::move(arguments), .written_id = {}};
}

Tool probe_tool(const char* name) {
  Tool tool;
  tool.name = name;
  tool.description = "kvmark description";
  tool.parameters = R"({"type": "object", "properties": {"kv_text": {"type": "string", "description": "kv"}}})";
  return tool;
}

std::vector<Tool> probe_tools() { return {probe_tool(kTool), probe_tool("kv_other")}; }

class Prober {
 public:
  Prober(const JinjaTemplate& jinja, const Json& constants) : jinja_(jinja), constants_(constants) {}

  // What it writes, or nothing when it refuses.
  std::optional<std::string> render(const Json& messages, const Json& tools) const {
    const auto parts =
        jinja_.render({{"messages", messages}, {"tools", tools}, {"add_generation_prompt", false}}, constants_);
    if (!parts) return std::nullopt;
    return joined(*parts);
  }

 private:
  const JinjaTemplate& jinja_;
  const Json& constants_;
};

// No record writes ids of its own here: they stay as they are given.
const Dialect& plain_ids() {
  static const Dialect dialect;
  return dialect;
}

Json plain_json(const Messages& messages, const JsonForm& form) {
  return messages_json(messages, form, {}, plain_ids());
}

// The tool may be written before the last user message only, or with a system message only.
bool writes_tools(const Prober& prober, const JsonForm& form) {
  const Json tools = tools_json(probe_tools());
  for (const Messages& messages : {Messages{user()}, Messages{system(kOther), user()}}) {
    const auto text = prober.render(plain_json(messages, form), tools);
    if (text && text->find(kTool) != std::string::npos) return true;
  }
  return false;
}

enum class Quality { none, spoilt, good };

// How a call's arguments came out: {"kv_key": "kv \"v"} as JSON or with the bare key and value is good,
// a JSON text in a JSON string or a value as Python prints it is not.
Quality quality_of(const std::optional<std::string>& text) {
  const auto shows = [&text](const char* part) { return text->find(part) != std::string::npos; };
  if (!text || !shows("kv_key") || !shows("kv ")) return Quality::none;
  return shows("\\\"kv_key") || shows("'kv_key'") ? Quality::spoilt : Quality::good;
}

Quality quality_of(const Prober& prober, ArgumentForm arguments) {
  JsonForm form;
  form.arguments = arguments;
  const ToolCall call = call_with(R"({"kv_key": "kv \"v"})");
  Quality best = Quality::none;
  for (const Messages& messages :
       {Messages{user(), calling({call}), result_of(call)}, Messages{user(), calling({call})}})
    best = std::max(best, quality_of(prober.render(plain_json(messages, form), tools_json(probe_tools()))));
  return best;
}

// A field's name as it stands in a template: message.thinking, message['thinking'], 'thinking' in message.
bool mentions_field(std::string_view source, std::string_view name) {
  const std::string field(name);
  for (const std::string& use : {"." + field, "'" + field + "'", "\"" + field + "\""}) {
    for (std::size_t at = source.find(use); at != std::string_view::npos; at = source.find(use, at + 1)) {
      const std::size_t end = at + use.size();
      const unsigned char next = end < source.size() ? static_cast<unsigned char>(source[end]) : ' ';
      if (use.front() != '.' || (std::isalnum(next) == 0 && next != '_')) return true;
    }
  }
  return false;
}

std::vector<std::string_view> reasoning_names(std::string_view source) {
  std::vector<std::string_view> names;
  for (const std::string_view name : {"reasoning_content", "thinking", "reasoning"})
    if (mentions_field(source, name)) names.push_back(name);
  if (names.empty()) names.emplace_back("reasoning_content");
  return names;
}

// A conversation, what of it must be seen, and what may help when it is not.
struct Trial {
  std::vector<Adaptation> remedies;
  Messages messages;
  std::vector<std::string_view> marks;
};

std::vector<Trial> plain_trials() {
  return {
      {{Adaptation::folded_system}, {system(kOther), user()}, {kOther, kQuestion}},
      {{Adaptation::one_system, Adaptation::folded_system},
       {system(kOther), system("kvmark second"), user()},
       {kOther, "kvmark second", kQuestion}},
      {{Adaptation::user_systems, Adaptation::merged_turns},
       {user(), assistant(), system(kOther), user("kvmark last")},
       {kAnswer, kOther, "kvmark last"}},
      {{Adaptation::user_systems, Adaptation::merged_turns},
       {system("kvmark first"), user(), system(kOther)},
       {"kvmark first", kQuestion, kOther}},
      {{Adaptation::merged_turns}, {user(), user(kOther)}, {kQuestion, kOther}},
      {{Adaptation::merged_turns}, {user(), assistant(), assistant(kOther), user()}, {kAnswer, kOther}},
      {{Adaptation::no_empty_turns}, {user(), assistant({}), user(kOther)}, {kQuestion, kOther}},
      {{Adaptation::user_first}, {assistant(), user()}, {kAnswer, kQuestion}},
      {{Adaptation::user_first}, {assistant()}, {kAnswer}},
      {{Adaptation::user_first}, {system(kOther)}, {kOther}},
  };
}

std::vector<Trial> call_trials() {
  constexpr const char* kArguments = R"({"kv_text": "kv value"})";
  constexpr const char* kValue = "kv value";  // the tool's name is in its description as well
  const ToolCall nine = call_with(kArguments);
  const ToolCall long_id = call_with(kArguments, "call_0123456789abcdef");
  const ToolCall second = call_with(R"({"kv_text": "kv second"})", "kvprobe02", "kv_other");
  Message reasoned = calling({nine}, kAnswer);
  reasoned.reasoning = "kvmark reasoning";
  Message orphan = result_of(nine, kOther);
  orphan.tool_call_id = "kvprobe09";
  return {
      {{Adaptation::results_as_text}, {user(), calling({nine}), result_of(nine)}, {kValue, kResult}},
      {{Adaptation::nine_ids}, {user(), calling({long_id}), result_of(long_id)}, {kValue, kResult}},
      {{Adaptation::object_arguments},
       {user(), calling({call_with("kvmark words")}), result_of(nine)},
       {"kvmark words", kResult}},
      {{Adaptation::apart_text},
       {user(), reasoned, result_of(nine), assistant(kOther), user()},
       {kValue, kAnswer, kResult, kOther}},
      {{Adaptation::one_call},
       {user(), calling({nine, second}), result_of(nine), result_of(second, kOther)},
       {kValue, "kv second", kResult, kOther}},
      {{Adaptation::apart_text},
       {user(), calling({nine}, kAnswer), result_of(nine), assistant(kOther), user()},
       {kAnswer, kTool, kResult, kOther}},
      {{Adaptation::orphans_as_text}, {user(), assistant(), orphan, assistant(), user()}, {kOther}},
      {{Adaptation::orphans_as_text},
       {user(), calling({nine}), result_of(nine), orphan, assistant(), user()},
       {kValue, kResult, kOther}},
      {{Adaptation::answered_results},
       {user(), calling({nine}), result_of(nine), user(kOther)},
       {kValue, kResult, kOther}},
      {{Adaptation::merged_turns},
       {user(), assistant(kOther), calling({nine}), result_of(nine), assistant(), user()},
       {kOther, kTool, kResult}},
  };
}

class Trials {
 public:
  Trials(const Prober& prober, const TemplateTraits& traits, const Dialect& dialect, Adaptations given)
      : prober_(prober), traits_(traits), dialect_(dialect), needed_(given) {}

  void run(const std::vector<Trial>& trials, const std::vector<Tool>& tools) {
    tools_ = tools.empty() ? no_tools(traits_) : tools_json(tools);
    for (const Trial& trial : trials)
      if (!passes(trial, needed_)) remedy(trial);
  }

  Adaptations needed() const { return needed_; }

 private:
  bool passes(const Trial& trial, Adaptations adaptations) const {
    const Messages messages = adapted(trial.messages, adaptations, dialect_);
    const auto text = prober_.render(messages_json(messages, traits_.form, adaptations, dialect_), tools_);
    return text && std::all_of(trial.marks.begin(), trial.marks.end(),
                               [&text](std::string_view mark) { return text->find(mark) != std::string::npos; });
  }

  // One of the remedies, or all of them up to one.
  void remedy(const Trial& trial) {
    for (const Adaptation one : trial.remedies) {
      if (passes(trial, needed_.with(one))) {
        needed_ = needed_.with(one);
        return;
      }
    }
    Adaptations all = needed_;
    for (const Adaptation one : trial.remedies) all = all.with(one);
    if (passes(trial, all)) needed_ = all;
  }

  const Prober& prober_;
  const TemplateTraits& traits_;
  const Dialect& dialect_;
  Json tools_;
  Adaptations needed_;
};

}  // namespace

Json no_tools(const TemplateTraits& traits) { return traits.no_tools_as_list ? Json(Json::array()) : Json(nullptr); }

TemplateTraits traits_of(const JinjaTemplate& jinja, const Json& constants) {
  const Prober prober(jinja, constants);
  TemplateTraits traits;
  traits.form.reasoning_names = reasoning_names(jinja.source());
  const Quality object = quality_of(prober, ArgumentForm::object);
  const Quality text = quality_of(prober, ArgumentForm::text);
  traits.form.arguments = text > object ? ArgumentForm::text : ArgumentForm::object;
  traits.knows_calls = std::max(object, text) != Quality::none;
  traits.knows_tools = writes_tools(prober, traits.form);
  traits.no_tools_as_list = !prober.render(plain_json({user()}, traits.form), nullptr) &&
                            prober.render(plain_json({user()}, traits.form), Json::array());
  traits.probes = probe_renders(jinja, constants);
  return traits;
}

Adaptations needed_adaptations(const JinjaTemplate& jinja, const Json& constants, const TemplateTraits& traits,
                               const Dialect& dialect, Adaptations given) {
  const Prober prober(jinja, constants);
  Trials trials(prober, traits, dialect, given);
  trials.run(plain_trials(), {});
  trials.run(call_trials(), traits.knows_tools ? probe_tools() : std::vector<Tool>());
  return trials.needed();
}

}  // namespace kvern::chat
