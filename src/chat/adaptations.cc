#include "chat/adaptations.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>

namespace kvern::chat {
namespace {

using Messages = std::vector<Message>;

constexpr std::string_view kSystemMark = "[system] ";
constexpr const char* kOpening = "Continue.";
constexpr const char* kInterrupted = "[interrupted]";

void join(std::string& text, std::string_view more) {
  if (!text.empty() && !more.empty()) text += "\n\n";
  text += more;
}

// Where the results of the turn at `call` end.
std::size_t results_end(const Messages& messages, std::size_t call) {
  std::size_t end = call + 1;
  while (end < messages.size() && messages[end].role == Role::tool) ++end;
  return end;
}

bool answers(const Message& result, const ToolCall& call) { return result.tool_call_id == call.id; }

// The results of one turn, each at its call; those of no call are left in `rest`.
std::vector<Message> matched(const std::vector<ToolCall>& calls, Messages rest, Messages& orphans) {
  std::vector<std::pair<std::size_t, Message>> found;
  std::vector<bool> answered(calls.size());
  const auto take = [&](std::size_t call, Message& result) {
    answered[call] = true;
    result.tool_call_id = calls[call].id;
    if (result.name.empty()) result.name = calls[call].name;
    found.emplace_back(call, std::move(result));
  };
  Messages unknown;
  for (Message& result : rest) {
    std::size_t call = 0;
    while (call < calls.size() && (answered[call] || !answers(result, calls[call]))) ++call;
    if (call < calls.size()) {
      take(call, result);
    } else {
      unknown.push_back(std::move(result));
    }
  }
  for (Message& result : unknown) {
    const auto free = static_cast<std::size_t>(std::find(answered.begin(), answered.end(), false) - answered.begin());
    if (free < calls.size()) {
      take(free, result);
    } else {
      orphans.push_back(std::move(result));
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Messages results;
  for (auto& [_, result] : found) results.push_back(std::move(result));
  return results;
}

std::string as_user_text(const Message& result, const Dialect& dialect) {
  return std::string(dialect.result_begin) + result.content + std::string(dialect.result_end);
}

// Surplus results stay behind those of the calls. They answer nothing: `orphan` says what becomes of them.
template <typename Orphan>
Messages with_matched_results(std::span<const Message> messages, Orphan orphan) {
  Messages result;
  for (std::size_t i = 0; i < messages.size();) {
    const Message& message = messages[i++];
    result.push_back(message.role == Role::tool ? orphan(message) : message);
    if (message.role == Role::tool || message.tool_calls.empty()) continue;
    const std::size_t begin = i;
    while (i < messages.size() && messages[i].role == Role::tool) ++i;
    Messages orphans;
    Messages results(messages.begin() + static_cast<std::ptrdiff_t>(begin),
                     messages.begin() + static_cast<std::ptrdiff_t>(i));
    for (Message& one : matched(message.tool_calls, std::move(results), orphans)) result.push_back(std::move(one));
    for (const Message& one : orphans) result.push_back(orphan(one));
  }
  return result;
}

Messages with_results_as_text(const Messages& messages, const Dialect& dialect) {
  Messages result;
  bool in_results = false;
  for (const Message& message : messages) {
    const bool is_result = message.role == Role::tool;
    if (is_result && in_results) {
      result.back().content += "\n" + as_user_text(message, dialect);
    } else {
      result.push_back(is_result ? text_message(Role::user, as_user_text(message, dialect)) : message);
    }
    in_results = is_result;
  }
  return result;
}

Messages with_calls_as_text(Messages messages, const Dialect& dialect) {
  for (Message& message : messages) {
    if (message.tool_calls.empty()) continue;
    if (!message.content.empty()) message.content += dialect.text_separator;
    message.content += render_calls(dialect, message.tool_calls);
    message.tool_calls.clear();
  }
  return messages;
}

Messages with_apart_text(Messages messages) {
  Messages result;
  for (Message& message : messages) {
    if (!message.tool_calls.empty() && !message.content.empty()) {
      result.push_back(text_message(Role::assistant, std::exchange(message.content, {})));
    }
    result.push_back(std::move(message));
  }
  return result;
}

Messages with_one_call(const Messages& messages) {
  Messages result;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Message& turn = messages[i];
    if (turn.tool_calls.size() < 2) {
      result.push_back(turn);
      continue;
    }
    const std::size_t end = results_end(messages, i);
    std::size_t at = i + 1;
    for (std::size_t call = 0; call < turn.tool_calls.size(); ++call) {
      Message one = call == 0 ? turn : text_message(Role::assistant, {});
      one.tool_calls.assign(1, turn.tool_calls[call]);
      result.push_back(std::move(one));
      if (at < end && answers(messages[at], turn.tool_calls[call])) result.push_back(messages[at++]);
    }
    i = at - 1;
  }
  return result;
}

std::size_t front_systems(const Messages& messages) {
  const auto other =
      std::find_if(messages.begin(), messages.end(), [](const Message& m) { return m.role != Role::system; });
  return static_cast<std::size_t>(other - messages.begin());
}

Messages with_one_system(Messages messages) {
  const std::size_t front = front_systems(messages);
  for (std::size_t i = 1; i < front; ++i) join(messages[0].content, messages[i].content);
  if (front > 1) messages.erase(messages.begin() + 1, messages.begin() + static_cast<std::ptrdiff_t>(front));
  return messages;
}

Messages with_user_systems(Messages messages) {
  for (std::size_t i = front_systems(messages); i < messages.size(); ++i) {
    if (messages[i].role == Role::system)
      messages[i] = text_message(Role::user, std::string(kSystemMark) + messages[i].content);
  }
  return messages;
}

Messages with_folded_system(Messages messages) {
  const std::size_t front = front_systems(messages);
  if (front == 0) return messages;
  std::string text;
  for (std::size_t i = 0; i < front; ++i) join(text, messages[i].content);
  messages.erase(messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(front));
  if (messages.empty() || messages[0].role != Role::user) {
    messages.insert(messages.begin(), text_message(Role::user, std::move(text)));
  } else {
    join(text, messages[0].content);
    messages[0].content = std::move(text);
  }
  return messages;
}

Messages with_user_first(Messages messages) {
  const std::size_t front = front_systems(messages);
  if (front == messages.size() || messages[front].role != Role::user)
    messages.insert(messages.begin() + static_cast<std::ptrdiff_t>(front), text_message(Role::user, kOpening));
  return messages;
}

Messages with_answered_results(Messages messages) {
  Messages result;
  for (Message& message : messages) {
    if (message.role == Role::user && !result.empty() && result.back().role == Role::tool)
      result.push_back(text_message(Role::assistant, kInterrupted));
    result.push_back(std::move(message));
  }
  return result;
}

bool merges(const Message& before, const Message& next, Adaptations adaptations) {
  if (before.role != next.role || (before.role != Role::user && before.role != Role::assistant)) return false;
  if (before.tool_calls.empty()) return next.tool_calls.empty() || !adaptations.has(Adaptation::apart_text);
  return !adaptations.has(Adaptation::one_call) && !next.tool_calls.empty();
}

Messages with_merged_turns(Messages messages, Adaptations adaptations) {
  Messages result;
  for (Message& message : messages) {
    if (result.empty() || !merges(result.back(), message, adaptations)) {
      result.push_back(std::move(message));
      continue;
    }
    Message& turn = result.back();
    join(turn.content, message.content);
    join(turn.reasoning, message.reasoning);
    std::move(message.tool_calls.begin(), message.tool_calls.end(), std::back_inserter(turn.tool_calls));
  }
  return result;
}

}  // namespace

std::string_view to_string(Adaptation adaptation) {
  switch (adaptation) {
    case Adaptation::one_system: return "one_system";
    case Adaptation::object_arguments: return "object_arguments";
    case Adaptation::nine_ids: return "nine_ids";
    case Adaptation::one_call: return "one_call";
    case Adaptation::apart_text: return "apart_text";
    case Adaptation::orphans_as_text: return "orphans_as_text";
    case Adaptation::user_systems: return "user_systems";
    case Adaptation::folded_system: return "folded_system";
    case Adaptation::user_first: return "user_first";
    case Adaptation::no_empty_turns: return "no_empty_turns";
    case Adaptation::answered_results: return "answered_results";
    case Adaptation::merged_turns: return "merged_turns";
    case Adaptation::results_as_text: return "results_as_text";
    case Adaptation::calls_as_text: return "calls_as_text";
  }
  return "";
}

std::vector<Message> adapted(std::span<const Message> messages, Adaptations adaptations, const Dialect& dialect) {
  const auto orphan = [&](const Message& result) {
    if (!adaptations.has(Adaptation::orphans_as_text)) return result;
    return text_message(Role::user, as_user_text(result, dialect));
  };
  Messages all = with_matched_results(messages, orphan);
  if (adaptations.has(Adaptation::results_as_text)) all = with_results_as_text(all, dialect);
  if (adaptations.has(Adaptation::calls_as_text)) all = with_calls_as_text(std::move(all), dialect);
  if (adaptations.has(Adaptation::one_system)) all = with_one_system(std::move(all));
  if (adaptations.has(Adaptation::user_systems)) all = with_user_systems(std::move(all));
  if (adaptations.has(Adaptation::folded_system)) all = with_folded_system(std::move(all));
  if (adaptations.has(Adaptation::user_first)) all = with_user_first(std::move(all));
  if (adaptations.has(Adaptation::no_empty_turns)) {
    for (Message& message : all)
      if (message.role == Role::assistant && message.content.empty() && message.tool_calls.empty())
        message.content = kInterrupted;
  }
  if (adaptations.has(Adaptation::answered_results)) all = with_answered_results(std::move(all));
  if (adaptations.has(Adaptation::merged_turns)) all = with_merged_turns(std::move(all), adaptations);
  if (adaptations.has(Adaptation::apart_text)) all = with_apart_text(std::move(all));
  if (adaptations.has(Adaptation::one_call)) all = with_one_call(all);
  return all;
}

}  // namespace kvern::chat
