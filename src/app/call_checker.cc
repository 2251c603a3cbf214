#include "app/call_checker.h"

#include <exception>
#include <optional>
#include <utility>

#include "base/hash.h"
#include "base/log.h"

namespace kvern::app {

CallChecker::CallChecker(Metrics& metrics)
    : metrics_(metrics),
      queue_(limits::kCallsToCheck),
      checks_(limits::kCheckedSchemas, limits::kCheckedSchemaBytes),
      thread_([this] { run(); }) {}

CallChecker::~CallChecker() { queue_.close(); }

void CallChecker::check(CallToCheck call) {
  if (!queue_.push(std::move(call))) metrics_.tool_call(CallCheck::unchecked);
}

void CallChecker::run() {
  while (const std::optional<CallToCheck> call = queue_.pop()) {
    try {
      check_now(*call);
    } catch (const std::exception& e) {
      metrics_.tool_call(CallCheck::unchecked);
      log::error("a tool call could not be checked", {{"id", call->id}, {"tool", call->tool}, {"why", e.what()}});
    }
  }
}

void CallChecker::check_now(const CallToCheck& call) {
  const Check schema = check_for(call.schema);
  if (!schema) return metrics_.tool_call(CallCheck::unchecked);
  const Status checked = schema->check(call.arguments);
  const bool broke_down = !checked && checked.error().code != Code::invalid;
  if (broke_down) return metrics_.tool_call(CallCheck::unchecked);
  metrics_.tool_call(checked ? CallCheck::checked : CallCheck::invalid);
  if (!checked)
    log::warn("invalid tool call", {{"id", call.id}, {"tool", call.tool}, {"why", checked.error().message}});
}

CallChecker::Check CallChecker::check_for(const std::string& schema) {
  const Hash128 key = xxh3_128(schema);
  if (const Check* known = checks_.find(key)) return *known;
  Result<constrain::SchemaCheck> compiled = constrain::SchemaCheck::compile(schema);
  Check check;
  if (compiled) check = std::make_shared<const constrain::SchemaCheck>(std::move(*compiled));
  checks_.put(key, check, schema.size());
  return check;
}

}  // namespace kvern::app
