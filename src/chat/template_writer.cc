#include "chat/template_writer.h"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/log.h"

namespace kvern::chat {
namespace {

// These change every conversation with calls or a system text, so that one request's need would cost
// all others their cached prefix.
constexpr bool is_local(Adaptation one) {
  return one != Adaptation::calls_as_text && one != Adaptation::results_as_text && one != Adaptation::folded_system;
}

// Some templates write calls but no tools: then only those are described in text.
bool shows_calls(const TemplateTraits& traits, const Dialect& dialect) {
  for (const bool nine : {false, true}) {
    const std::vector<ToolCall> calls = probe_calls(nine);
    const std::string call = render_calls(dialect, std::span(calls).first(1));
    for (const CallProbe& probe : traits.probes) {
      if (probe.as_text != (traits.form.arguments == ArgumentForm::text)) continue;
      if (probe.one.find(call) != std::string::npos || probe.two.find(call) != std::string::npos) return true;
    }
  }
  return false;
}

Adaptations needed(const JinjaTemplate& jinja, const Json& constants, TemplateTraits traits, const Chosen& chosen) {
  const bool own_form = shows_calls(traits, *chosen.dialect);
  Adaptations given;
  if (!own_form && !(chosen.knows_tools && traits.knows_calls)) given = given.with(Adaptation::calls_as_text);
  // Tools described in text, calls as text: then results are, too, whatever the template calls them.
  if (!own_form && !chosen.knows_tools) given = given.with(Adaptation::results_as_text);
  traits.knows_tools = chosen.knows_tools;
  return needed_adaptations(jinja, constants, traits, *chosen.dialect, given);
}

std::string names_of(Adaptations adaptations) {
  std::string names;
  for (const Adaptation one : kAdaptations)
    if (adaptations.has(one)) names.append(names.empty() ? "" : ",").append(to_string(one));
  return names;
}

}  // namespace

// One request's conversation, written as often as it takes.
class TemplateWriter::Attempt {
 public:
  Attempt(const TemplateWriter& writer, std::span<const Message> messages, Json variables,
          std::vector<PreparedVariable> prepared)
      : writer_(writer), messages_(messages), variables_(std::move(variables)), prepared_(std::move(prepared)) {}

  // The conversation is made again: one of the same values need not be written.
  bool prepare(Adaptations adaptations) {
    adapted_ = adapted(messages_, adaptations, writer_.dialect_);
    auto values = writer_.message_values_.of(adapted_, writer_.form_, adaptations, writer_.dialect_);
    if (prepared_once_ && values == list_.items) return false;
    prepared_once_ = true;
    list_.items = std::move(values);
    return true;
  }

  Result<std::vector<RenderedPart>> render() const {
    return writer_.template_->render(variables_, *writer_.constants_, prepared_, std::span(&list_, 1));
  }

  Written written(std::vector<RenderedPart> parts) { return {std::move(parts), std::move(adapted_)}; }

  // A template may know words for these that are not the client's.
  bool forget_efforts() {
    bool forgotten = false;
    for (const char* name : {"reasoning_effort", "thinking_effort"}) forgotten |= variables_.erase(name) > 0;
    return forgotten;
  }

 private:
  const TemplateWriter& writer_;
  const std::span<const Message> messages_;
  Json variables_;
  const std::vector<PreparedVariable> prepared_;
  std::vector<Message> adapted_;
  PreparedList list_{"messages", {}};
  bool prepared_once_ = false;
};

TemplateWriter::TemplateWriter(std::unique_ptr<JinjaTemplate> jinja, Json constants, const TemplateTraits& traits,
                               const Chosen& chosen)
    : template_(std::move(jinja)),
      constants_(std::make_unique<Json>(std::move(constants))),
      form_(traits.form),
      no_tools_as_list_(traits.no_tools_as_list),
      derived_(chosen.derived),
      dialect_(*chosen.dialect),
      knows_tools_(chosen.knows_tools),
      adaptations_(needed(*template_, *constants_, traits, chosen).bits()) {
  if (adaptations() != Adaptations()) log::info("template", {{"adaptations", names_of(adaptations())}});
}

Result<TemplateWriter::Written> TemplateWriter::write(std::span<const Message> messages, std::span<const Tool> tools,
                                                      Json variables) const {
  variables["tools"] = no_tools_as_list_ ? Json(Json::array()) : Json(nullptr);
  std::vector<PreparedVariable> prepared;
  std::vector<Message> described;
  if (knows_tools_ && !tools.empty()) {
    prepared.push_back({"tools", tool_json_.of(tools)});
  } else if (!tools.empty()) {
    described = with_described_tools({messages.begin(), messages.end()}, tools, dialect_);
    messages = described;
  }
  Attempt attempt(*this, messages, std::move(variables), std::move(prepared));
  attempt.prepare(adaptations());
  auto parts = attempt.render();
  if (parts) return attempt.written(std::move(*parts));
  if (parts.error().code != Code::invalid) return tl::unexpected(parts.error());
  Error refusal = parts.error();
  Result<Written> written = adapt_further(attempt, refusal);
  if (written || !attempt.forget_efforts()) return written;
  return adapt_further(attempt, std::move(refusal));
}

Result<TemplateWriter::Written> TemplateWriter::adapt_further(Attempt& attempt, Error refusal) const {
  const Adaptations before = adaptations();
  attempt.prepare(before);
  auto parts = attempt.render();
  Adaptations tried = before;
  for (const Adaptation one : kAdaptations) {
    if (parts) break;
    if (tried.has(one)) continue;
    tried = tried.with(one);
    if (attempt.prepare(tried)) parts = attempt.render();
  }
  if (!parts) {
    refusal.field = "messages";
    return tl::unexpected(std::move(refusal));
  }
  // Those that were tried on the way and did not help are taken back.
  for (const Adaptation one : kAdaptations) {
    if (!tried.has(one) || before.has(one)) continue;
    const Adaptations fewer = tried.without(one);
    if (attempt.prepare(fewer)) {
      auto simpler = attempt.render();
      if (!simpler) continue;
      parts = std::move(simpler);
    }
    tried = fewer;
  }
  attempt.prepare(tried);
  remember(tried);
  return attempt.written(std::move(*parts));
}

void TemplateWriter::remember(Adaptations helped) const {
  Adaptations known = adaptations();
  for (const Adaptation one : kAdaptations) {
    if (!helped.has(one) || known.has(one) || !is_local(one)) continue;
    const Adaptations before(adaptations_.fetch_or(Adaptations().with(one).bits()));
    if (!before.has(one)) log::info("template", {{"adapted", to_string(one)}});
  }
}

}  // namespace kvern::chat
