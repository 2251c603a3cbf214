#include "app/chat_writer.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace kvern::app {

std::map<std::string, std::string> schemas_to_check(const ChatRequest& request, const ConstraintSpec& constraint) {
  std::map<std::string, std::string> schemas;
  const bool constrained = !constraint.lark.empty();
  if (constrained && constraint.relaxed.empty()) return schemas;
  for (const Tool& tool : request.tools) {
    const std::string about = "tool " + tool.name + ": ";
    const bool relaxed = std::any_of(constraint.relaxed.begin(), constraint.relaxed.end(),
                                     [&](const std::string& what) { return what.starts_with(about); });
    if (relaxed || !constrained) schemas.emplace(tool.name, tool.parameters);
  }
  return schemas;
}

ChatWriter::ChatWriter(std::string id, bool streamed, std::unique_ptr<api::AnswerEncoder> encoder, const Vocab& vocab,
                       std::vector<std::unique_ptr<chat::Parser>> parsers, std::vector<TurnMemory> memories,
                       CallRules rules)
    : id_(std::move(id)),
      vocab_(vocab),
      streamed_(streamed),
      encoder_(std::move(encoder)),
      parsers_(std::move(parsers)),
      memories_(std::move(memories)),
      rules_(std::move(rules)),
      choices_(parsers_.size()),
      lived_(parsers_.size()) {}

void ChatWriter::step(std::size_t choice, const Step& step, std::vector<api::Frame>& frames) {
  if (step.progress) return encoder_->progress(static_cast<std::int32_t>(choice), *step.progress, frames);
  if (step.token >= 0) lived_[choice].tokens.push_back(step.token);
  lived_[choice].text += step.text;
  events_.clear();
  parsers_[choice]->feed(step.text, events_);
  for (const Event& event : events_) lived_[choice].reasons = std::holds_alternative<ReasoningEvent>(event);
  if (lived_[choice].reasons && step.token >= 0) ++lived_[choice].reasoning_tokens;
  publish(choice, step.logprobs, frames);
}

Usage ChatWriter::with_reasoning(Usage usage) const {
  for (const Lived& lived : lived_) usage.reasoning_tokens += lived.reasoning_tokens;
  return usage;
}

void ChatWriter::ending(std::size_t choice, const Ending& ending, std::vector<api::Frame>& frames) {
  events_.clear();
  const bool cut = ending.reason != FinishReason::stop || !ending.stop.empty();
  const bool whole = parsers_[choice]->finish(events_, cut ? chat::TurnEnd::cut : chat::TurnEnd::own);
  publish(choice, std::nullopt, frames);
  choices_[choice].reason = ending.reason;
  choices_[choice].stop = ending.stop;
  if (streamed_ && ending.reason != FinishReason::failed)
    encoder_->ending(static_cast<std::int32_t>(choice), ending.reason, ending.stop, frames);
  count_calls(choice, ending.reason);
  if (whole && can_be_remembered(choice, ending)) remember(choice);
}

void ChatWriter::publish(std::size_t choice, const std::optional<StepLogprobs>& logprobs,
                         std::vector<api::Frame>& frames) {
  for (const Event& event : events_) take(choice, event);
  if (!streamed_) {
    if (logprobs) choices_[choice].logprobs.push_back(*logprobs);
    return;
  }
  if (events_.empty() && !logprobs) return;
  const std::span<const StepLogprobs> some(logprobs ? &*logprobs : nullptr, logprobs ? 1 : 0);
  encoder_->events(static_cast<std::int32_t>(choice), events_, some, frames);
}

void ChatWriter::take(std::size_t choice, const Event& event) {
  api::collect(choices_[choice], event);
  std::vector<bool>& ended = lived_[choice].ended_calls;
  ended.resize(choices_[choice].tool_calls.size());
  const auto* end = std::get_if<CallEndEvent>(&event);
  if (end != nullptr && static_cast<std::size_t>(end->index) < ended.size())
    ended[static_cast<std::size_t>(end->index)] = true;
}

void ChatWriter::count_calls(std::size_t choice, FinishReason reason) {
  const std::vector<ToolCall>& calls = choices_[choice].tool_calls;
  if (calls.empty()) return;
  if (reason == FinishReason::stop) rules_.metrics.ended_with_calls();
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (!rules_.constrained) rules_.metrics.unconstrained_tool_call();
    const auto schema = rules_.to_check.find(calls[i].name);
    if (!lived_[choice].ended_calls[i]) {
      rules_.metrics.tool_call(CallCheck::cut);
    } else if (schema == rules_.to_check.end()) {
      rules_.metrics.tool_call(CallCheck::exact);
    } else {
      rules_.checker.check({id_, calls[i].name, schema->second, calls[i].arguments});
    }
  }
}

// A stop string is not in the text but in the tokens; a control token that is no marker is not in
// the text either, so no client could send it back.
bool ChatWriter::can_be_remembered(std::size_t choice, const Ending& ending) const {
  if (ending.reason == FinishReason::cancelled || ending.reason == FinishReason::failed || !ending.stop.empty())
    return false;
  const auto& tokens = lived_[choice].tokens;
  return std::none_of(tokens.begin(), tokens.end(), [this, choice](TokenId token) {
    const auto& markers = memory_of(choice).markers;
    return vocab_.is_control(token) && std::find(markers.begin(), markers.end(), token) == markers.end();
  });
}

void ChatWriter::remember(std::size_t choice) {
  const api::Choice& said = choices_[choice];
  const TurnMemory& memory = memory_of(choice);
  chat::GeneratedTurn turn;
  turn.prompt = memory.prompt;
  turn.tokens = std::move(lived_[choice].tokens);
  turn.text = std::move(lived_[choice].text);
  turn.message.role = Role::assistant;
  turn.message.content = said.content;
  turn.message.reasoning = said.reasoning;
  turn.message.tool_calls = said.tool_calls;
  memory.turns.remember(memory.conversation, std::move(turn));
}

}  // namespace kvern::app
