#include "schedule/reuse_log.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/utf8.h"

namespace kvern::schedule {
namespace {

const Segment* segment_at(std::span<const Segment> segments, std::size_t position) {
  for (const Segment& segment : segments) {
    if (static_cast<std::size_t>(segment.end) > position) return &segment;
  }
  return nullptr;
}

const Segment* head_of(std::span<const Segment> segments) {
  return !segments.empty() && segments.front().kind == SegmentKind::head ? &segments.front() : nullptr;
}

// Where the turn that covers position begins: its header, if it was generated, belongs to it.
std::size_t turn_begin(std::span<const Segment> segments, std::size_t position) {
  std::size_t begin = 0;
  for (const Segment& segment : segments) {
    if (segment.kind == SegmentKind::header || static_cast<std::size_t>(segment.end) > position) break;
    begin = static_cast<std::size_t>(segment.end);
  }
  return begin;
}

ReuseStop head_reason(const Segment* mine, const Segment* other) {
  const Segment none;
  const Segment& a = mine ? *mine : none;
  const Segment& b = other ? *other : none;
  if (a.tools != b.tools) return ReuseStop::tools_changed;
  return a.content == b.content ? ReuseStop::template_changed : ReuseStop::header;
}

ReuseStop assistant_reason(const Segment& mine, const Segment& other) {
  if (mine.reasoning != other.reasoning) return ReuseStop::reasoning;
  if (mine.content != other.content) return ReuseStop::edited;
  if (mine.calls == other.calls) return ReuseStop::template_changed;
  return mine.calls != 0 && other.calls != 0 ? ReuseStop::tool_args : ReuseStop::edited;
}

bool is_within(std::string_view text, std::string_view begin, std::string_view end) {
  if (begin.empty()) return false;
  const std::size_t opened = text.rfind(begin);
  if (opened == std::string_view::npos) return false;
  const std::size_t closed = end.empty() ? std::string_view::npos : text.rfind(end);
  return closed == std::string_view::npos || closed < opened;
}

// The marker lies across the offset, or begins there but for white space.
bool is_at(std::string_view text, std::size_t offset, std::string_view marker) {
  if (marker.empty()) return false;
  const std::size_t solid = std::min(text.find_first_not_of(" \t\r\n", offset), text.size());
  const std::size_t from = offset + 1 > marker.size() ? offset + 1 - marker.size() : 0;
  const std::size_t found = text.find(marker, from);
  return found != std::string_view::npos && found <= solid;
}

std::span<const TokenId> window(std::span<const TokenId> tokens, std::size_t begin) {
  begin = std::min(begin, tokens.size());
  return tokens.subspan(begin, std::min(kReuseShownTokens, tokens.size() - begin));
}

}  // namespace

ReuseStop ReuseLog::explain(const LoggedPrompt& prompt, std::int32_t reused, ReuseStop why) const {
  if (why != ReuseStop::edited) return why;
  const std::lock_guard lock(mutex_);
  const Fork fork = nearest(prompt);
  const bool explains = fork.other && fork.position >= static_cast<std::size_t>(reused);
  return explains ? reason(prompt, fork) : why;
}

ReuseStop ReuseLog::note(std::string id, const LoggedPrompt& prompt, const Usage& usage) {
  ReuseReport report;
  report.id = std::move(id);
  report.created_s = unix_time_s();
  report.usage = usage;
  auto position = static_cast<std::size_t>(usage.reused_tokens());
  const std::lock_guard lock(mutex_);
  if (usage.why == ReuseStop::edited) {
    const Fork fork = nearest(prompt);
    if (fork.other && fork.position >= position) {
      position = fork.position;
      report.usage.why = reason(prompt, fork);
      report.held = shown(window(fork.other->tokens, position));
    }
  }
  report.position = static_cast<std::int32_t>(position);
  if (const Segment* segment = segment_at(prompt.segments, position)) report.segment = segment->kind;
  const std::size_t before = position - std::min(position, kReuseShownTokens);
  report.before = shown(prompt.tokens.subspan(before, position - before));
  report.now = shown(window(prompt.tokens, position));

  const ReuseStop why = report.usage.why;
  tokens_ += prompt.tokens.size();
  remembered_.push_back({std::move(report),
                         std::string(prompt.salt),
                         {prompt.tokens.begin(), prompt.tokens.end()},
                         prompt.tokens.size(),
                         {prompt.segments.begin(), prompt.segments.end()}});
  shrink();
  return why;
}

void ReuseLog::finish(std::string_view id, const Usage& usage, std::span<const TokenId> tokens) {
  const std::lock_guard lock(mutex_);
  const auto it = std::find_if(remembered_.rbegin(), remembered_.rend(),
                               [id](const Remembered& one) { return one.report.id == id; });
  if (it == remembered_.rend()) return;
  tokens_ = tokens_ - it->tokens.size() + tokens.size();
  it->tokens.assign(tokens.begin(), tokens.end());
  it->report.usage = usage;
  it->report.ended = true;
  shrink();
}

std::optional<ReuseReport> ReuseLog::find(std::string_view id, std::string_view salt) const {
  const std::lock_guard lock(mutex_);
  const std::string first_choice = std::string(id) + "-0";
  for (auto it = remembered_.rbegin(); it != remembered_.rend(); ++it) {
    if (it->salt != salt) continue;
    if (id == "LAST" || it->report.id == id || it->report.id == first_choice) return it->report;
  }
  return std::nullopt;
}

// The remembered prompt that shares most; of equals the newest, which is what the client knows.
ReuseLog::Fork ReuseLog::nearest(const LoggedPrompt& prompt) const {
  Fork best;
  for (auto it = remembered_.rbegin(); it != remembered_.rend(); ++it) {
    if (it->salt != prompt.salt) continue;
    const auto [mine, other] =
        std::mismatch(prompt.tokens.begin(), prompt.tokens.end(), it->tokens.begin(), it->tokens.end());
    if (mine == prompt.tokens.end() || other == it->tokens.end()) continue;  // no difference: nothing was edited
    const auto position = static_cast<std::size_t>(mine - prompt.tokens.begin());
    if (!best.other || position > best.position) best = {&*it, position};
  }
  return best;
}

ReuseStop ReuseLog::reason(const LoggedPrompt& prompt, const Fork& fork) const {
  const Segment* mine = segment_at(prompt.segments, fork.position);
  const Segment* other = segment_at(fork.other->segments, fork.position);
  if (!mine) return ReuseStop::edited;
  if (mine->kind == SegmentKind::head || (other && other->kind == SegmentKind::head))
    return head_reason(head_of(prompt.segments), head_of(fork.other->segments));
  const bool generated = fork.position >= fork.other->prompt_tokens;
  if (!other && !generated) return ReuseStop::edited;  // no segments on the other side
  const bool in_turn = generated || other->kind == SegmentKind::header;
  if (mine->kind == SegmentKind::header && in_turn) return ReuseStop::template_changed;
  if (mine->kind == SegmentKind::assistant && in_turn) return turn_reason(prompt, *mine, fork);
  if (in_turn || mine->kind != other->kind) return ReuseStop::edited;
  if (mine->kind == SegmentKind::assistant) return assistant_reason(*mine, *other);
  return mine->content == other->content ? ReuseStop::template_changed : ReuseStop::edited;
}

// A turn as it was generated has no digests: its text says where in the turn the difference lies.
ReuseStop ReuseLog::turn_reason(const LoggedPrompt& prompt, const Segment& mine, const Fork& fork) const {
  const std::span<const TokenId> lived = fork.other->tokens;
  const std::size_t begin = turn_begin(fork.other->segments, fork.position);
  const std::string before = text(lived.subspan(begin, fork.position - begin));
  const std::string was = before + text(window(lived, fork.position));
  const std::string is = before + text(window(prompt.tokens, fork.position));
  const std::string_view opens = markers_.reasoning_begin;
  if (is_within(before, opens, markers_.reasoning_end)) return ReuseStop::reasoning;
  if (is_at(was, before.size(), opens) || is_at(is, before.size(), opens)) return ReuseStop::reasoning;
  const bool after_call = !markers_.call_begin.empty() && before.find(markers_.call_begin) != std::string::npos;
  return after_call && mine.calls != 0 ? ReuseStop::tool_args : ReuseStop::edited;
}

std::string ReuseLog::text(std::span<const TokenId> tokens) const {
  std::string out;
  for (const TokenId token : tokens) out += vocab_.piece(token);
  return out;
}

std::vector<ShownToken> ReuseLog::shown(std::span<const TokenId> tokens) const {
  std::vector<ShownToken> out;
  std::string pending;  // bytes that may begin a character the next token goes on with
  for (const TokenId token : tokens) {
    pending += vocab_.piece(token);
    const std::size_t whole = pending.size() - utf8_incomplete_suffix(pending);
    out.push_back({token, to_valid_utf8(std::string_view(pending).substr(0, whole))});
    pending.erase(0, whole);
  }
  if (!out.empty()) out.back().text += to_valid_utf8(pending);
  return out;
}

void ReuseLog::shrink() {
  while (remembered_.size() > kReuseLogRequests || (tokens_ > kReuseLogTokens && remembered_.size() > 1)) {
    tokens_ -= remembered_.front().tokens.size();
    remembered_.pop_front();
  }
}

}  // namespace kvern::schedule
