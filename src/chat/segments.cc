#include "chat/segments.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/sized_text.h"
#include "chat/turns/json_value.h"
#include "chat/turns/same_meaning.h"

namespace kvern::chat {
namespace {

// Input parts looked at for a message, and how much of its text is compared.
constexpr std::size_t kPartsLookedAt = 8;
constexpr std::size_t kBytesLookedFor = 256;
// Of one prompt's parts, in search of messages a template does not show.
constexpr std::size_t kBytesSearched = 16 << 20;

// 0 is kept for "nothing there".
std::uint64_t digest(std::string_view text) {
  return text.empty() ? 0 : std::max<std::uint64_t>(1, xxh3_128(text).low);
}

struct CallsDigest {
  std::uint64_t value = 0;
};

std::uint64_t digest_of(const std::vector<ToolCall>& calls) {
  std::string text;
  for (const ToolCall& call : calls) {
    append_sized(text, call.id);
    append_sized(text, call.name);
    const auto value = read_json_value(call.arguments);
    append_sized(text, value ? canonical_json(*value) : call.arguments);
  }
  return digest(text);
}

// Likewise; arguments are read once, not with every prompt.
std::uint64_t digest_of(const std::vector<ToolCall>& calls, TextMemory* known) {
  if (known == nullptr || calls.empty()) return digest_of(calls);
  std::string text;
  for (const ToolCall& call : calls) {
    append_sized(text, call.id);
    append_sized(text, call.name);
    append_sized(text, call.arguments);
  }
  if (const auto before = known->find<CallsDigest>(text)) return before->value;
  return known->keep(text, CallsDigest{digest_of(calls)}, sizeof(CallsDigest))->value;
}

std::uint64_t digest_of(std::span<const Tool> tools) {
  std::string text;
  for (const Tool& tool : tools) {
    append_sized(text, tool.name);
    append_sized(text, tool.description);
    append_sized(text, tool.parameters);
  }
  return digest(text);
}

SegmentKind kind_of(Role role) {
  if (role == Role::assistant) return SegmentKind::assistant;
  return role == Role::tool ? SegmentKind::tool : SegmentKind::user;
}

Segment segment_of(const Message& message, TextMemory* known) {
  Segment segment;
  segment.kind = kind_of(message.role);
  segment.content = digest(bare(message.content));
  segment.reasoning = digest(bare(message.reasoning));
  segment.calls = digest_of(message.tool_calls, known);
  return segment;
}

// Two messages in one segment: it says both.
void add(std::uint64_t& to, std::uint64_t from) {
  if (from == 0) return;
  to = to == 0 ? from : digest(std::to_string(to) + " " + std::to_string(from));
}

class Finder {
 public:
  explicit Finder(const RenderedText& rendered) : rendered_(rendered) {}

  // Where the message's part of the text begins, with what the template puts before its own words.
  std::optional<std::size_t> begin_of(const Message& message) {
    for (const std::string_view words : {bare(message.reasoning), bare(message.content)})
      if (const auto found = find(words)) return found;
    return message.tool_calls.empty() ? std::nullopt : find(message.tool_calls.front().name);
  }

  void go_to(std::size_t offset) { at_ = std::max(at_, offset); }

  // The begin of the template's text that ends at or covers an offset.
  std::size_t with_text_before(std::size_t offset) const {
    if (offset == 0) return 0;
    const RenderedText::Part& before = rendered_.parts[rendered_.part_at(offset - 1)];
    return before.is_input ? offset : before.begin;
  }

 private:
  std::optional<std::size_t> find(std::string_view words) {
    words = words.substr(0, kBytesLookedFor);
    if (words.empty()) return std::nullopt;
    std::size_t looked = 0;
    for (std::size_t i = rendered_.part_at(at_); i < rendered_.parts.size() && looked < kPartsLookedAt; ++i) {
      const RenderedText::Part& part = rendered_.parts[i];
      if (!part.is_input) continue;
      ++looked;
      const std::size_t from = std::max(at_, part.begin);
      if (bytes_left_ < part.end - from) return std::nullopt;  // an estimate is enough
      bytes_left_ -= part.end - from;
      const std::size_t found = rendered_.between(from, part.end).find(words);
      if (found == std::string_view::npos) continue;
      at_ = from + found + words.size();
      bytes_left_ += part.end - at_;  // what was not looked at
      return from + found;
    }
    return std::nullopt;
  }

  const RenderedText& rendered_;
  std::size_t at_ = 0;
  std::size_t bytes_left_ = kBytesSearched;
};

// Goes over the messages in order; each closes the segment of the one before it.
class Builder {
 public:
  Builder(const RenderedText& rendered, const PromptWalk& walk, TextMemory* known)
      : finder_(rendered), walk_(walk), known_(known) {}

  void head(std::span<const Message> messages, std::span<const Tool> tools, std::size_t end) {
    current_.tools = digest_of(tools);
    for (const Message& message : messages) add(current_.content, digest(bare(message.content)));
    finder_.go_to(end);
  }

  void message(const Message& message, const ReplayedTurn* replayed) {
    std::optional<std::size_t> begin;
    if (replayed != nullptr) {
      begin = replayed->begin;
    } else if (const auto found = finder_.begin_of(message)) {
      begin = finder_.with_text_before(*found);
    }
    const Segment said = segment_of(message, known_);
    if (begin && *begin >= begun_) {
      close(*begin);
      current_ = said;
    } else {
      add(current_.content, said.content);
      add(current_.reasoning, said.reasoning);
      add(current_.calls, said.calls);
    }
    if (replayed != nullptr) finder_.go_to(replayed->end);
  }

  std::vector<Segment> finish(std::size_t header_tokens) {
    const std::size_t end = walk_.tokens().size();
    close_at(end - header_tokens);
    if (header_tokens > 0) {
      current_ = {};
      current_.kind = SegmentKind::header;
      close_at(end);
    }
    return std::move(segments_);
  }

 private:
  void close(std::size_t offset) {
    begun_ = offset;
    close_at(walk_.tokens_before(offset));
  }

  void close_at(std::size_t tokens) {
    current_.end = static_cast<std::int32_t>(tokens);
    segments_.push_back(current_);
  }

  Finder finder_;
  const PromptWalk& walk_;
  TextMemory* const known_;
  Segment current_;
  std::size_t begun_ = 0;  // where the current segment begins
  std::vector<Segment> segments_;
};

}  // namespace

std::vector<Segment> segments_of(const RenderedText& rendered, const PromptWalk& walk, const Landmarks& landmarks,
                                 std::span<const Message> messages, std::span<const Tool> tools, TextMemory* known) {
  Builder builder(rendered, walk, known);
  const auto first =
      std::find_if(messages.begin(), messages.end(), [](const Message& m) { return m.role != Role::system; });
  const auto head = static_cast<std::size_t>(first - messages.begin());
  builder.head(messages.first(head), tools, landmarks.first_turn);
  auto replayed = walk.replayed().begin();
  for (std::size_t i = head; i < messages.size(); ++i) {
    const bool is_replayed = replayed != walk.replayed().end() && replayed->message == i;
    builder.message(messages[i], is_replayed ? &*replayed : nullptr);
    if (is_replayed) ++replayed;
  }
  return builder.finish(landmarks.header_tokens);
}

}  // namespace kvern::chat
