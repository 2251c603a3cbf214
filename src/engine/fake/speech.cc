#include "engine/fake/speech.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "engine/fake/fake_vocab.h"

namespace kvern::engine {
namespace {

constexpr std::string_view kRole = "assistant\n";  // what follows <|im_start|> where the model speaks
constexpr std::size_t kPromptBytes = 64 * 1024;    // of the last turn that rules see

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

std::size_t skip_spaces(std::string_view text, std::size_t at) {
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

// Templates of thinking models end the prompt inside the assistant's turn, with "<think>\n" or an
// empty "<think>\n\n</think>\n\n".
std::size_t think_prefix(std::string_view text) {
  constexpr std::string_view kOpen = "<think>";
  constexpr std::string_view kClose = "</think>";
  if (!text.starts_with(kOpen)) return 0;
  const std::size_t inside = skip_spaces(text, kOpen.size());
  if (!text.substr(inside).starts_with(kClose)) return inside;
  return skip_spaces(text, inside + kClose.size());
}

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

struct OpenTag {
  std::string_view name;  // empty: none is open
  std::string_view content;
};

// The innermost of <name>, <name=value> that has no </name> yet.
OpenTag open_tag(std::string_view text) {
  std::vector<OpenTag> open{OpenTag{}};
  for (std::size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at + 1)) {
    const bool closes = text.substr(at + 1).starts_with('/');
    const std::size_t begin = at + 1 + (closes ? 1 : 0);
    std::size_t end = begin;
    while (end < text.size() && is_name_byte(text[end])) ++end;
    const std::string_view name = text.substr(begin, end - begin);
    if (name.empty() || end == text.size() || (text[end] != '>' && text[end] != '=')) continue;
    const std::size_t close = text.find('>', end);
    if (closes && open.back().name == name) open.pop_back();
    if (!closes && close != std::string_view::npos) open.push_back({name, text.substr(close + 1)});
  }
  return open.back();
}

std::size_t overlap(std::string_view text, std::string_view closing) {
  std::size_t done = closing.size() - 1;
  while (!text.ends_with(closing.substr(0, done))) --done;
  return done;
}

// The byte that brings text nearer to "\n</name>" or "</name>", or -1.
TokenId closing_byte(std::string_view text) {
  OpenTag tag = open_tag(text);
  if (tag.name.empty()) return -1;
  if (tag.content.starts_with('\n')) tag.content.remove_prefix(1);  // belongs to the opening tag
  const std::string closing = "\n</" + std::string(tag.name) + ">";
  const std::size_t after_newline = overlap(tag.content, closing);
  const std::size_t bare = overlap(tag.content, std::string_view(closing).substr(1));
  return static_cast<unsigned char>(closing[bare > 0 ? bare + 1 : after_newline]);
}

float noise(TokenId token, Position position) {
  std::uint64_t x = (static_cast<std::uint64_t>(token) << 32) ^ static_cast<std::uint64_t>(position);
  x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9 + 0x9e37'79b9'7f4a'7c15;
  x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11eb;
  return static_cast<float>((x ^ (x >> 31)) >> 40) / static_cast<float>(1 << 24);
}

// Closers first, so that strings, objects, lists and tags end; then what separates values, then
// digits and letters that change with the position, so that no number or word goes on for ever.
float preference(TokenId token, Position position, TokenId previous) {
  if (token == FakeVocab::kMessageEnd) return 4.0F;
  if (token == FakeVocab::kTextEnd) return 3.9F;
  if (!FakeVocab::is_byte(token)) return -10.0F;
  const float low = noise(token, position);
  const char c = static_cast<char>(token);
  const bool after_space = FakeVocab::is_byte(previous) && is_space(static_cast<char>(previous));
  switch (c) {
    case '"': return 6.0F;
    case '}': return 5.5F;
    case ']': return 5.0F;
    case '>': return 4.5F;
    case ',': return 3.5F;
    case '\n': return after_space ? -5.0F : 3.0F;
    case ' ':
    case '\t':
    case '\r': return after_space ? -5.0F - low : low;
    default: break;
  }
  if (c >= '0' && c <= '9') return 2.5F + low / 4;
  return token < ' ' || token > '~' ? low - 2.0F : low;
}

}  // namespace

void fill_logits(std::span<float> out, const Wish& wish, Position position, TokenId previous) {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = preference(static_cast<TokenId>(i), position, previous);
  if (wish.closing >= 0) out[static_cast<std::size_t>(wish.closing)] = 10.0F;
  out[static_cast<std::size_t>(wish.token)] = 20.0F;
}

Speech::Speech(const std::vector<Rule>& rules, const Kv& kv, std::int32_t sequences)
    : rules_(rules),
      wants_prompt_(
          std::any_of(rules.begin(), rules.end(), [](const Rule& rule) { return rule.anywhere.has_value(); })),
      kv_(kv),
      uses_(rules.size(), 0),
      memories_(static_cast<std::size_t>(sequences)) {}

// -1 when the last message is not the assistant's.
Position Speech::assistant_text_begin(SequenceId sequence) const {
  const Position end = kv_.length(sequence);
  Position at = end - 1;
  while (at >= 0 && kv_.token(sequence, at) != FakeVocab::kMessageStart) --at;
  const Position begin = at + 1 + static_cast<Position>(kRole.size());
  if (at < 0 || begin > end) return -1;
  for (std::size_t i = 0; i < kRole.size(); ++i) {
    if (kv_.token(sequence, at + 1 + static_cast<Position>(i)) != kRole[i]) return -1;
  }
  return begin;
}

std::string Speech::text(SequenceId sequence, Position begin, Position end) const {
  static const FakeVocab kVocab;
  std::string out;
  for (Position i = begin; i < end; ++i) out += kVocab.piece(kv_.token(sequence, i));
  return out;
}

// The text of [.., end) from the last user or tool message on, without headers and end tokens.
std::string Speech::last_turn(SequenceId sequence, Position end) const {
  const Position earliest = std::max(0, end - static_cast<Position>(kPromptBytes));
  Position begin = end;
  while (--begin >= earliest) {
    if (kv_.token(sequence, begin) != FakeVocab::kMessageStart) continue;
    const std::string role = text(sequence, begin + 1, std::min(begin + 6, end));
    if (role == "user\n" || role == "tool\n") break;
  }
  std::string out;
  for (Position i = std::max(begin, earliest); i < end; ++i) {
    const TokenId token = kv_.token(sequence, i);
    if (FakeVocab::is_byte(token)) {
      out += static_cast<char>(token);
    } else if (token == FakeVocab::kMessageStart) {
      while (i + 1 < end && kv_.token(sequence, i) != '\n') ++i;
    } else if (i + 1 < end && kv_.token(sequence, i + 1) == '\n') {
      ++i;
    }
  }
  return out;
}

Heard Speech::heard(SequenceId sequence, Position end) const {
  return {last_turn(sequence, end), wants_prompt_ ? text(sequence, 0, end) : std::string()};
}

Speech::Generation Speech::begin_saying(const Heard& heard, Position header, Position begin) {
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    if (rules_[i].times > 0 && uses_[i] >= rules_[i].times) continue;
    if (auto say = answer(rules_[i], heard)) {
      ++uses_[i];
      return {header, begin, std::make_shared<const std::string>(std::move(*say)), static_cast<std::int32_t>(i)};
    }
  }
  return {header, begin, std::make_shared<const std::string>(), -1};
}

std::optional<Speech::Generation> Speech::resume(Position header, const Heard& heard,
                                                 const std::string& generated) const {
  const std::size_t think = think_prefix(generated);
  for (const Rule& rule : rules_) {
    auto say = answer(rule, heard);
    if (!say) continue;
    if (say->starts_with(generated))
      return Generation{header, header, std::make_shared<const std::string>(std::move(*say)), -1};
    if (think > 0 && say->starts_with(generated.substr(think)))
      return Generation{header, header + static_cast<Position>(think),
                        std::make_shared<const std::string>(std::move(*say)), -1};
  }
  return std::nullopt;
}

Speech::Generation Speech::generation(SequenceId sequence) {
  const Memory& memory = at(sequence);
  const Position header = assistant_text_begin(sequence);
  const Position end = kv_.length(sequence);
  if (memory.generation && memory.generation->header == header) {
    if (header >= 0 || memory.generation->begin > memory.given) return *memory.generation;
  }
  if (header < 0) return begin_saying(heard(sequence, end), -1, end);

  const Heard prompt = heard(sequence, header - 1 - static_cast<Position>(kRole.size()));
  const std::string generated = text(sequence, header, end);
  if (think_prefix(generated) == generated.size()) {
    Generation begun = begin_saying(prompt, header, end);
    if (begun.say->starts_with(generated)) begun.begin = header;
    return begun;
  }
  if (auto resumed = resume(header, prompt, generated)) return *resumed;
  return {header, header, std::make_shared<const std::string>(), -1};
}

Wish Speech::wish(SequenceId sequence) {
  Memory& memory = at(sequence);
  memory.generation = generation(sequence);
  const Position end = kv_.length(sequence);
  const Position begin = memory.generation->begin;
  const std::string& say = *memory.generation->say;
  const auto said = static_cast<std::size_t>(end - begin);
  bool as_scripted = said <= say.size();
  for (std::size_t i = 0; as_scripted && i < said; ++i)
    as_scripted = kv_.token(sequence, begin + static_cast<Position>(i)) == static_cast<unsigned char>(say[i]);
  if (said > 0) {
    const std::int32_t counted = std::exchange(memory.generation->counted, -1);
    if (counted >= 0 && !as_scripted && memory.generation->header < 0) --uses_[static_cast<std::size_t>(counted)];
  }
  if (!as_scripted) return {FakeVocab::kMessageEnd, closing_byte(text(sequence, begin, end))};
  if (said == say.size()) return {FakeVocab::kMessageEnd, -1};
  return {static_cast<unsigned char>(say[said]), -1};
}

void Speech::given(SequenceId sequence) { at(sequence).given = kv_.length(sequence); }

void Speech::forked(SequenceId from, SequenceId to, Position end) {
  at(to) = at(from);
  if (at(to).generation) at(to).generation->counted = -1;
  truncated(to, end);
}

void Speech::truncated(SequenceId sequence, Position end) {
  Memory& memory = at(sequence);
  memory.given = std::min(memory.given, end);
  if (memory.generation && memory.generation->begin > end) memory.generation.reset();
}

}  // namespace kvern::engine
