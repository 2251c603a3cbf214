#include "chat/prompt_walk.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "chat/turns/same_meaning.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kNowhere = std::string_view::npos;

// Control tokens looked at as the end of a turn, and how much longer than lived a turn may be
// written (escapes make six bytes of one).
constexpr int kEndsTried = 8;
constexpr std::size_t kWrittenFactor = 8;
constexpr std::size_t kWrittenBytes = 4096;

// What a parser's events add up to, as the client's message was put together.
Message message_of(const std::vector<Event>& events) {
  Message message;
  message.role = Role::assistant;
  for (const Event& event : events) {
    if (const auto* text = std::get_if<TextEvent>(&event)) {
      message.content += text->text;
    } else if (const auto* reasoning = std::get_if<ReasoningEvent>(&event)) {
      message.reasoning += reasoning->text;
    } else if (const auto* start = std::get_if<CallStartEvent>(&event)) {
      message.tool_calls.push_back({"", start->name, ""});
    } else if (const auto* args = std::get_if<CallArgsEvent>(&event)) {
      message.tool_calls.at(static_cast<std::size_t>(args->index)).arguments += args->text;
    }
  }
  return message;
}

// The tools its calls are read with: a call is one even if its tool is not offered any more.
std::vector<Tool> tools_of(const Message& lived, std::span<const Tool> offered) {
  std::vector<Tool> tools;
  for (const ToolCall& call : lived.tool_calls) {
    const auto named = [&call](const Tool& tool) { return tool.name == call.name; };
    if (std::any_of(tools.begin(), tools.end(), named)) continue;
    const auto found = std::find_if(offered.begin(), offered.end(), named);
    tools.push_back(found != offered.end() ? *found : Tool{call.name, "", "{}"});
  }
  return tools;
}

}  // namespace

PromptWalk::PromptWalk(const WalkContext& context, const RenderedText& rendered, std::span<const Tool> tools)
    : context_(context), rendered_(rendered), tools_(tools) {
  stations_.push_back({0, 0});
}

bool PromptWalk::replay(std::size_t message, const GeneratedTurn& turn) {
  const std::int64_t offset = static_cast<std::int64_t>(turn.prompt.bytes) - longer_;
  if (offset < static_cast<std::int64_t>(at_) || offset > static_cast<std::int64_t>(rendered_.text.size()))
    return false;
  const auto begin = static_cast<std::size_t>(offset);
  if (!fits(turn, begin)) return false;
  const std::size_t end = end_of(turn, begin);
  if (end == kNowhere || !reach(turn, begin)) return false;
  tokens_.insert(tokens_.end(), turn.tokens.begin(), turn.tokens.end());
  at_ = end;
  stations_.push_back({at_, tokens_.size()});
  longer_ += static_cast<std::int64_t>(turn.text.size()) - static_cast<std::int64_t>(end - begin);
  replayed_.push_back({message, begin, end});
  return true;
}

// What can be told without tokenising. Input is never cut: its tokens are its own.
bool PromptWalk::fits(const GeneratedTurn& turn, std::size_t begin) const {
  if (turn.prompt.tokens < 0 || static_cast<std::size_t>(turn.prompt.tokens) < tokens_.size()) return false;
  const std::size_t part = rendered_.part_at(begin);
  if (part == rendered_.parts.size()) return false;
  if (rendered_.parts[part].is_input && rendered_.parts[part].begin != begin) return false;
  const std::int32_t size = context_.tokens.vocab().size();
  return std::all_of(turn.tokens.begin(), turn.tokens.end(),
                     [size](TokenId token) { return token >= 0 && token < size; });
}

// Tokenises up to the turn's begin; where the tokens are not the turn's prompt, all is as before.
bool PromptWalk::reach(const GeneratedTurn& turn, std::size_t begin) {
  // Whole parts before it have these tokens in any case.
  write_to(std::max(at_, rendered_.parts[rendered_.part_at(begin)].begin));
  const Place place = here();
  write_to(begin);
  if (at_prompt_of(turn)) return true;
  go_back(place);
  return reach_by_header(turn, begin);
}

// A template may build the header of a turn from the message's role, which is input, while it wrote
// the header the model went on from as one text of its own: the same bytes as the latter.
bool PromptWalk::reach_by_header(const GeneratedTurn& turn, std::size_t begin) {
  const std::string_view header = context_.header;
  if (header.empty() || !rendered_.between(0, begin).ends_with(header)) return false;
  std::size_t from = begin - header.size();
  const std::size_t part = rendered_.part_at(from > 0 ? from - 1 : 0);
  if (!rendered_.parts[part].is_input) from = rendered_.parts[part].begin;
  from = std::max(from, replayed_.empty() ? 0 : replayed_.back().end);
  const auto after = std::upper_bound(stations_.begin(), stations_.end(), from,
                                      [](std::size_t at, const Station& one) { return at < one.offset; });
  const auto known = static_cast<std::size_t>(after - stations_.begin());
  const Station start = stations_[known - 1];
  if (start.offset != from) return false;
  const Place place = here();
  const std::vector<TokenId> tokens(tokens_.begin() + static_cast<std::ptrdiff_t>(start.tokens), tokens_.end());
  const std::vector<Station> stations(after, stations_.end());
  const Place restart{from, start.tokens, known, begun_ && from > 0};
  go_back(restart);
  write_as(begin, SpecialTokens::as_tokens);
  if (at_prompt_of(turn)) return true;
  go_back(restart);
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  stations_.insert(stations_.end(), stations.begin(), stations.end());
  at_ = place.at;
  begun_ = place.begun;
  return false;
}

bool PromptWalk::at_prompt_of(const GeneratedTurn& turn) {
  return tokens_.size() == static_cast<std::size_t>(turn.prompt.tokens) && hash_.of(tokens_) == turn.prompt.hash;
}

// The very text that was lived, or the first control token before which the text says the same.
std::size_t PromptWalk::end_of(const GeneratedTurn& turn, std::size_t begin) const {
  const std::string_view text = rendered_.text;
  const std::size_t lived_end = begin + turn.text.size();
  if (text.substr(begin).starts_with(turn.text)) {
    const std::size_t part = rendered_.part_at(lived_end);
    if (part == rendered_.parts.size() || !rendered_.parts[part].is_input) return lived_end;
  }
  const std::size_t limit = begin + turn.text.size() * kWrittenFactor + kWrittenBytes;
  int tries = 0;
  for (std::size_t part = rendered_.part_at(begin); part < rendered_.parts.size(); ++part) {
    const RenderedText::Part& one = rendered_.parts[part];
    if (one.begin > limit) return kNowhere;
    if (one.is_input) continue;
    const std::string_view own = rendered_.of(one);
    std::size_t at = std::max(begin, one.begin) - one.begin;
    while ((at = context_.control_names.find(own, at)) != kNowhere) {
      const std::size_t end = one.begin + at;
      if (end > limit || ++tries > kEndsTried) return kNowhere;
      if (says(turn, text.substr(0, begin), text.substr(begin, end - begin))) return end;
      ++at;
    }
  }
  return kNowhere;
}

bool PromptWalk::says(const GeneratedTurn& turn, std::string_view before, std::string_view text) const {
  const Dialect& dialect = *context_.chosen.dialect;
  ParserOptions options;
  options.tools = tools_of(turn.message, tools_);
  options.reasons = context_.chosen.reasons;
  options.in_reasoning =
      context_.chosen.reasons && !dialect.reasoning_begin.empty() &&
      bare(before.substr(before.size() - std::min(before.size(), kWrittenBytes))).ends_with(dialect.reasoning_begin);
  std::vector<Event> events;
  const auto parser = make_parser(dialect, std::move(options));
  parser->feed(text, events);
  parser->finish(events, TurnEnd::own);
  return same_as_written(turn.message, message_of(events), tools_);
}

void PromptWalk::finish() {
  write_to(rendered_.text.size());
  if (!begun_) write_as(at_, SpecialTokens::as_tokens);  // an empty text: BOS alone
}

PromptMark PromptWalk::mark() {
  return {static_cast<std::int32_t>(tokens_.size()),
          static_cast<std::uint64_t>(static_cast<std::int64_t>(rendered_.text.size()) + longer_), hash_.of(tokens_)};
}

void PromptWalk::write_to(std::size_t offset) {
  while (at_ < offset) {
    const RenderedText::Part& part = rendered_.parts[rendered_.part_at(at_)];
    write_as(std::min(part.end, offset), part.is_input ? SpecialTokens::as_text : SpecialTokens::as_tokens);
  }
}

void PromptWalk::write_as(std::size_t offset, SpecialTokens special) {
  context_.tokens.tokenize(rendered_.between(at_, offset), special, tokens_);
  if (!begun_) {
    const TokenId bos = context_.tokens.vocab().required_bos();
    if (bos >= 0 && (tokens_.empty() || tokens_.front() != bos)) tokens_.insert(tokens_.begin(), bos);
    begun_ = true;
  }
  at_ = offset;
  stations_.push_back({at_, tokens_.size()});
}

void PromptWalk::go_back(const Place& place) {
  at_ = place.at;
  tokens_.resize(place.tokens);
  stations_.resize(place.stations);
  begun_ = place.begun;
  hash_.forget(place.tokens);
}

std::size_t PromptWalk::tokens_before(std::size_t offset) const {
  const auto station = std::lower_bound(stations_.begin(), stations_.end(), offset,
                                        [](const Station& one, std::size_t at) { return one.offset < at; });
  return station == stations_.end() ? tokens_.size() : station->tokens;
}

}  // namespace kvern::chat
