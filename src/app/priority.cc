#include "app/priority.h"

#include "core/model_roles.h"

namespace kvern::app {
namespace {

// Room for a title or a classifier's verdict, not for an answer.
constexpr std::int32_t kShortTokens = 1024;

}  // namespace

Priority priority_of(const std::string& session) {
  if (session.ends_with("background")) return Priority::background;
  return session.find('/') != std::string::npos ? Priority::sub_agent : Priority::interactive;
}

Priority priority_of(const ChatRequest& request, const std::string& session) {
  const bool json = request.format.kind == FormatKind::json_object || request.format.kind == FormatKind::json_schema;
  if (json && request.tools.empty() && request.tokens_max && *request.tokens_max <= kShortTokens)
    return Priority::background;
  const Priority priority = priority_of(session);
  const bool beside = request.model.ends_with(kAuxRole) || request.model.ends_with(kSubagentRole);
  return beside && priority == Priority::interactive ? Priority::sub_agent : priority;
}

}  // namespace kvern::app
