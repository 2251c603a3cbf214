#include "cli/cache_why.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/json_text.h"
#include "cli/cache_listing.h"
#include "cli/terminal.h"

namespace kvern::cli {
namespace {

struct Words {
  std::string_view meaning;
  std::string_view advice;
};

Words words_of(ReuseStop why) {
  switch (why) {
    case ReuseStop::end:
      return {"All of the prompt was held; one token is always computed, for what comes after it.",
              "nothing: this is as good as it gets"};
    case ReuseStop::new_text:
      return {"Everything known was reused; the prompt goes on past it.", "nothing: new text has to be computed once"};
    case ReuseStop::template_changed:
      return {"The messages say what they said before, but the template renders them in other tokens.",
              "look for a date, a counter or a thinking switch in the template or its arguments"};
    case ReuseStop::reasoning:
      return {"A former turn's reasoning is gone or different.",
              "let the client send reasoning_content back as it came, or use a template that keeps none"};
    case ReuseStop::tool_args:
      return {"A former call's arguments are different from what the model wrote.",
              "let the client send arguments back unchanged; respelled JSON is recognised, changed values are not"};
    case ReuseStop::header:
      return {"The system text is different, so nothing after it can be shared.",
              "keep what changes (time, git status, open files) out of the system text, or at its end"};
    case ReuseStop::tools_changed:
      return {"The tool list is different, and it stands before every message.",
              "keep the tools and their order the same for a whole session"};
    case ReuseStop::edited:
      return {"A message is different from the one that was there before.",
              "nothing if it was meant; otherwise compare the texts above to find who rewrites history"};
    case ReuseStop::cold:
      return {"Nothing of this prompt was known.",
              "nothing at first; kvern serve --warm FILE prepares a prompt at start"};
    case ReuseStop::evicted:
      return {"It was known, but its bytes had to make room.",
              "raise --cache-ram or --cache-disk, or keep a head with kvern cache pin ID"};
    case ReuseStop::damaged:
      return {"It was on disk, but not as it was written; it was put aside and computed again.",
              "run kvern cache verify; if it happens again, look at the disk"};
    case ReuseStop::snapshot:
      return {"This model's state cannot be cut, and no snapshot lies nearer to where the prompt leaves the known one.",
              "nothing: snapshots lie at the ends of heads and turns, so edits inside a message cost most"};
    case ReuseStop::disabled: return {"The cache is off.", "start the server without --no-cache"};
  }
  return {};
}

std::optional<ReuseStop> reason_of(std::string_view word) {
  for (int i = 0; i <= static_cast<int>(ReuseStop::disabled); ++i) {
    if (word == to_string(static_cast<ReuseStop>(i))) return static_cast<ReuseStop>(i);
  }
  return std::nullopt;
}

std::string text_of(const Json& report, const char* name) {
  const auto value = report.find(name);
  return value != report.end() && value->is_string() ? without_controls(value->get_ref<const std::string&>()) : "";
}

std::int64_t number_of(const Json& report, const char* name) {
  const auto value = report.find(name);
  return value != report.end() && value->is_number() ? value->get<std::int64_t>() : 0;
}

// The tokens' text on one line, in quotes; "" when there are none.
std::string quoted(const Json& report, const char* name) {
  const auto tokens = report.find(name);
  if (tokens == report.end() || !tokens->is_array() || tokens->empty()) return "";
  std::string text;
  for (const Json& token : *tokens) {
    if (token.is_object()) text += text_of(token, "text");
  }
  std::string out;
  append_json_string(out, text);
  return without_controls(out);
}

std::string place(const std::string& segment) {
  if (segment == "head") return ", in the system text or the tools";
  if (segment == "user") return ", in a user's message";
  if (segment == "assistant") return ", in a former turn of the model";
  if (segment == "tool") return ", in a tool's result";
  if (segment == "header") return ", in what the template adds for the model to go on";
  return "";
}

}  // namespace

std::string_view meaning(ReuseStop why) { return words_of(why).meaning; }
std::string_view advice(ReuseStop why) { return words_of(why).advice; }

std::string why_text(const Json& report, std::int64_t now_s, int fd) {
  std::string out;
  const auto row = [&](std::string_view label, std::string_view text) {
    out += fmt::format("{} {}\n", styled(fmt::format("{:<8}", label), Style::dim, fd), text);
  };
  const std::int64_t device = number_of(report, "reused_device_tokens");
  const std::int64_t memory = number_of(report, "reused_memory_tokens");
  const std::int64_t disk = number_of(report, "reused_disk_tokens");
  const std::string word = text_of(report, "why");
  row("request", fmt::format("{}, {} ago", text_of(report, "id"), human_age(now_s - number_of(report, "created"))));
  row("prompt", fmt::format("{} tokens: {} reused ({} device, {} memory, {} disk), {} computed",
                            number_of(report, "prompt_tokens"), device + memory + disk, device, memory, disk,
                            number_of(report, "computed_tokens")));
  row("stopped", fmt::format("at token {}{}: {}", number_of(report, "position"), place(text_of(report, "segment")),
                             styled(word, Style::bold, fd)));
  const std::optional<ReuseStop> why = reason_of(word);
  if (why) row("", meaning(*why));
  if (const std::string before = quoted(report, "before"); !before.empty()) row("before", before);
  if (const std::string held = quoted(report, "held"); !held.empty()) row("held", held);
  if (const std::string now = quoted(report, "now"); !now.empty()) row("now", now);
  if (why) row("do", advice(*why));
  return out;
}

}  // namespace kvern::cli
