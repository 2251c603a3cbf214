#include "chat/dialect_probe.h"

#include <nlohmann/json.hpp>
#include <string>

namespace kvern::chat {
namespace {

enum class Text { some, empty, null };

struct Form {
  Text text = Text::some;
  bool as_object = true;  // arguments
  bool nine = true;       // ids
  bool followed = true;   // by another question
};

Json user(std::string_view content) { return {{"role", "user"}, {"content", std::string(content)}}; }

Json assistant(const Form& form, std::size_t calls) {
  Json message = {{"role", "assistant"}, {"content", nullptr}};
  if (form.text == Text::some) message["content"] = std::string(kProbeText);
  if (form.text == Text::empty) message["content"] = "";
  if (calls == 0) return message;
  Json list = Json::array();
  for (const ToolCall& call : probe_calls(form.nine)) {
    if (list.size() == calls) break;
    Json arguments = call.arguments;
    if (form.as_object) arguments = parse_json(call.arguments).value_or(Json::object());
    Json function = {{"name", call.name}, {"arguments", std::move(arguments)}};
    list.push_back({{"id", call.id}, {"type", "function"}, {"function", std::move(function)}});
  }
  message["tool_calls"] = std::move(list);
  return message;
}

Json tools() {
  Json list = Json::array();
  for (const ToolCall& call : probe_calls(true)) {
    Json function = {{"name", call.name}, {"description", "A function."}};
    function["parameters"] = {{"type", "object"}, {"properties", Json::object()}};
    list.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return list;
}

class Prober {
 public:
  Prober(const JinjaTemplate& jinja, const Json& constants) : jinja_(jinja), constants_(constants), tools_(tools()) {}

  CallProbe probe(const Form& form) const {
    CallProbe result;
    result.as_text = !form.as_object;
    result.one = with_calls(form, 1);
    result.two = with_calls(form, 2);
    if (result.one.empty() && result.two.empty()) return result;
    result.plain = with_calls(form, 0);
    result.asked = render(Json::array({user(kProbeQuestion)}), true);
    return result;
  }

 private:
  std::string with_calls(const Form& form, std::size_t calls) const {
    Json messages = Json::array({user(kProbeQuestion), assistant(form, calls)});
    if (form.followed) messages.push_back(user("kv next"));
    return render(std::move(messages), false);
  }

  std::string render(Json messages, bool asking) const {
    Json variables = {{"messages", std::move(messages)}, {"tools", tools_}, {"add_generation_prompt", asking}};
    const auto parts = jinja_.render(variables, constants_);
    return parts ? joined(*parts) : std::string();
  }

  const JinjaTemplate& jinja_;
  const Json& constants_;
  const Json tools_;
};

}  // namespace

std::vector<CallProbe> probe_renders(const JinjaTemplate& jinja, const Json& constants) {
  const Prober prober(jinja, constants);
  // Where the arguments stand, whatever the spacing: the tools' descriptions do not have this word.
  const std::string_view mark = "kv_count";
  std::vector<CallProbe> probes;
  for (const bool nine : {true, false})
    for (const bool followed : {true, false})
      for (const bool as_object : {true, false})
        for (const Text text : {Text::some, Text::empty, Text::null}) {
          CallProbe probe = prober.probe({text, as_object, nine, followed});
          const bool shows = probe.one.find(mark) != std::string::npos || probe.two.find(mark) != std::string::npos;
          if (shows) probes.push_back(std::move(probe));
        }
  return probes;
}

}  // namespace kvern::chat
