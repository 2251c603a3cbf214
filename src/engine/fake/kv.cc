#include "engine/fake/kv.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "engine/fake/fake_vocab.h"

namespace kvern::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "saved rows are little-endian");

constexpr std::uint32_t kRowsMagic = 0x3152'4b46;   // FKR1
constexpr std::uint32_t kStateMagic = 0x3153'4b46;  // FKS1

struct RowsHeader {
  std::uint32_t magic = kRowsMagic;
  std::int32_t begin = 0;
  std::int32_t end = 0;
  std::int32_t reserved = 0;
};
static_assert(sizeof(RowsHeader) == 16);

struct Row {
  std::int32_t token = 0;
  std::int32_t position = 0;
  std::uint64_t hash = 0;
};
static_assert(sizeof(Row) == Kv::kBytesPerRow);

// Followed by `tokens` token ids: the whole past, where there are no rows to hold it.
struct StateHeader {
  std::uint32_t magic = kStateMagic;
  std::int32_t end = 0;
  std::int32_t low = 0;
  std::int32_t tokens = 0;
  std::uint64_t hash = 0;
};
static_assert(sizeof(StateHeader) == 24);

std::uint64_t chain(std::uint64_t before, TokenId token) {
  std::uint64_t x = before * 0x9e37'79b9'7f4a'7c15 + static_cast<std::uint64_t>(token) + 1;
  x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9;
  x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11eb;
  return x ^ (x >> 31);
}

bool is_token(std::int32_t token) { return token >= 0 && token < FakeVocab::kSize; }

template <typename T>
T read_at(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

template <typename T>
void write_at(Bytes& bytes, std::size_t offset, const T& value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

// The rows of [begin, end) out of bytes that hold these or more.
Result<std::vector<Row>> parse_rows(std::span<const std::byte> bytes, Position begin, Position end) {
  if (bytes.size() < sizeof(RowsHeader)) return fail(Code::corrupt, "the rows are shorter than their header");
  const auto header = read_at<RowsHeader>(bytes, 0);
  if (header.magic != kRowsMagic || header.begin != begin || header.end < end || header.reserved != 0)
    return fail(Code::corrupt,
                fmt::format("the rows are of [{}, {}), not of [{}, {})", header.begin, header.end, begin, end));
  const auto held = static_cast<std::size_t>(std::int64_t{header.end} - header.begin);
  if (bytes.size() != sizeof(RowsHeader) + held * sizeof(Row))
    return fail(Code::corrupt, fmt::format("{} bytes are not the rows of [{}, {})", bytes.size(), begin, header.end));
  std::vector<Row> rows(static_cast<std::size_t>(end - begin));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = read_at<Row>(bytes, sizeof(RowsHeader) + i * sizeof(Row));
    const Position expected = begin + static_cast<Position>(i);
    if (rows[i].position != expected || !is_token(rows[i].token))
      return fail(Code::corrupt, fmt::format("the row of position {} is damaged", expected));
  }
  return rows;
}

}  // namespace

Kv::Kv(const Shape& shape)
    : shape_(shape),
      cells_(static_cast<std::size_t>(shape.cells)),
      sequences_(static_cast<std::size_t>(shape.sequences)) {
  free_.reserve(cells_.size());
  for (std::size_t i = cells_.size(); i > 0; --i) free_.push_back(static_cast<std::uint32_t>(i - 1));
}

const Kv::Cell& Kv::cell(SequenceId sequence, Position position) const {
  return cells_[at(sequence).cells[static_cast<std::size_t>(position)]];
}

std::uint64_t Kv::hash_before(SequenceId sequence, Position position) const {
  return position == 0 ? kSeed : cell(sequence, position - 1).hash;
}

Status Kv::verify(SequenceId sequence) {
  Sequence& s = at(sequence);
  std::uint64_t expected = hash_before(sequence, s.verified);
  for (Position i = s.verified; i < length(sequence); ++i) {
    const Cell& held = cell(sequence, i);
    expected = chain(expected, held.token);
    if (held.position != i || held.hash != expected)
      return fail(Code::corrupt,
                  fmt::format("sequence {}: the cell of position {} holds token {} computed for another prefix",
                              sequence, i, held.token));
  }
  s.verified = length(sequence);
  return verify_state(sequence);
}

Status Kv::verify_state(SequenceId sequence) const {
  if (shape_.keeps == Keeps::rows) return {};
  const State& state = at(sequence).state;
  const Position end = length(sequence);
  if (state.end != end)
    return fail(Code::corrupt,
                fmt::format("sequence {}: its state is of position {}, its rows end at {}; load_state() was missed",
                            sequence, state.end, end));
  if (shape_.keeps == Keeps::rows_and_window && state.low > window_begin(end))
    return fail(Code::corrupt,
                fmt::format("sequence {}: the window at {} lacks the cells of [{}, {}); load_state() was missed",
                            sequence, end, window_begin(end), state.low));
  if (state.hash != hash_before(sequence, end))
    return fail(Code::corrupt,
                fmt::format("sequence {}: its state at {} was computed for another prefix", sequence, end));
  return {};
}

void Kv::take(Sequence& sequence, TokenId token, std::uint64_t hash) {
  CHECK(!free_.empty(), "no free cell");
  const std::uint32_t index = free_.back();
  free_.pop_back();
  cells_[index] = {token, static_cast<Position>(sequence.cells.size()), hash, 1};
  sequence.cells.push_back(index);
}

void Kv::append(SequenceId sequence, TokenId token) {
  Sequence& s = at(sequence);
  take(s, token, chain(hash_before(sequence, length(sequence)), token));
  s.state.hash = chain(s.state.hash, token);
  s.state.end += 1;
}

void Kv::begin_decode(SequenceId sequence) {
  Sequence& s = at(sequence);
  s.state.low = std::max(s.state.low, window_begin(s.state.end));
}

Status Kv::fork(SequenceId from, SequenceId to, Position end) {
  const Sequence& source = at(from);
  Sequence& target = at(to);
  const Position length = this->length(from);
  if (from == to || !target.cells.empty())
    return fail(Code::failed,
                fmt::format("cannot fork sequence {} to {}: it holds {} tokens", from, to, target.cells.size()));
  if (end < 0 || end > length)
    return fail(Code::failed, fmt::format("cannot fork sequence {} at {}: it ends at {}", from, end, length));
  if (shape_.keeps == Keeps::state) return {};
  target.cells.assign(source.cells.begin(), source.cells.begin() + end);
  for (const std::uint32_t index : target.cells) ++cells_[index].owners;
  target.verified = 0;
  target.state = State{};
  return {};
}

bool Kv::truncate(SequenceId sequence, Position end) {
  Sequence& s = at(sequence);
  if (end >= length(sequence)) return true;
  if (end <= 0) {
    drop(sequence);
    return true;
  }
  if (shape_.keeps == Keeps::state || shape_.keeps == Keeps::rows_and_state) return false;
  if (shape_.keeps == Keeps::rows_and_window && s.state.low > window_begin(end)) return false;
  release_from(s, end);
  s.state = {end, s.state.low, hash_before(sequence, end)};
  return true;
}

void Kv::drop(SequenceId sequence) {
  release_from(at(sequence), 0);
  at(sequence).state = State{};
}

void Kv::release_from(Sequence& sequence, Position end) {
  for (std::size_t i = sequence.cells.size(); i > static_cast<std::size_t>(end); --i) {
    const std::uint32_t index = sequence.cells[i - 1];
    if (--cells_[index].owners == 0) free_.push_back(index);
  }
  sequence.cells.resize(static_cast<std::size_t>(end));
  sequence.verified = std::min(sequence.verified, end);
}

Result<Bytes> Kv::save(SequenceId sequence, Position begin, Position end) const {
  if (begin < 0 || begin > end || end > length(sequence))
    return fail(Code::failed, fmt::format("cannot save [{}, {}) of sequence {}: it ends at {}", begin, end, sequence,
                                          length(sequence)));
  if (shape_.keeps == Keeps::state) return Bytes{};
  Bytes bytes(sizeof(RowsHeader) + static_cast<std::size_t>(end - begin) * sizeof(Row));
  write_at(bytes, 0, RowsHeader{kRowsMagic, begin, end, 0});
  for (Position i = begin; i < end; ++i) {
    const Cell& held = cell(sequence, i);
    write_at(bytes, sizeof(RowsHeader) + static_cast<std::size_t>(i - begin) * sizeof(Row),
             Row{held.token, i, held.hash});
  }
  return bytes;
}

Status Kv::load(SequenceId sequence, Position begin, Position end, std::span<const std::byte> bytes) {
  if (shape_.keeps == Keeps::state)
    return bytes.empty() ? Status{} : Status(fail(Code::corrupt, "these are rows, and a recurrent model keeps none"));
  if (begin > end || begin != length(sequence))
    return fail(Code::failed, fmt::format("cannot load [{}, {}) into sequence {}: it ends at {}", begin, end, sequence,
                                          length(sequence)));
  TRY(const std::vector<Row> rows, parse_rows(bytes, begin, end));
  if (static_cast<std::size_t>(cells_free()) < rows.size())
    return fail(Code::busy, fmt::format("{} rows do not fit the {} free cells", rows.size(), cells_free()));
  for (const Row& row : rows) take(at(sequence), row.token, row.hash);
  at(sequence).verified = 0;
  return {};
}

Result<Bytes> Kv::save_state(SequenceId sequence) const {
  if (shape_.keeps == Keeps::rows) return Bytes{};
  const State& state = at(sequence).state;
  if (state.end != length(sequence) || state.end == 0)
    return fail(Code::failed,
                fmt::format("sequence {} ends at {} and has no state for it", sequence, length(sequence)));
  const Position tokens = shape_.keeps == Keeps::state ? length(sequence) : 0;
  Bytes bytes(sizeof(StateHeader) + static_cast<std::size_t>(tokens) * sizeof(TokenId));
  const Position low = std::max(state.low, window_begin(state.end));
  write_at(bytes, 0, StateHeader{kStateMagic, state.end, low, tokens, state.hash});
  for (Position i = 0; i < tokens; ++i)
    write_at(bytes, sizeof(StateHeader) + static_cast<std::size_t>(i) * sizeof(TokenId), token(sequence, i));
  return bytes;
}

Status Kv::load_state(SequenceId sequence, Position end, std::span<const std::byte> bytes) {
  if (shape_.keeps == Keeps::rows)
    return bytes.empty() ? Status{} : Status(fail(Code::corrupt, "an attention model has no state beside its rows"));
  if (bytes.size() < sizeof(StateHeader)) return fail(Code::corrupt, "the state is shorter than its header");
  const auto header = read_at<StateHeader>(bytes, 0);
  const bool carries_past = shape_.keeps == Keeps::state;
  const std::size_t tokens = (bytes.size() - sizeof(StateHeader)) / sizeof(TokenId);
  if (header.magic != kStateMagic || header.end < 0 || header.low < 0 || header.low > header.end ||
      header.tokens != (carries_past ? header.end : 0) ||
      bytes.size() != sizeof(StateHeader) + tokens * sizeof(TokenId) ||
      tokens != static_cast<std::size_t>(header.tokens))
    return fail(Code::corrupt, "the state is damaged");
  if (header.end != end)
    return fail(Code::corrupt, fmt::format("the state is of position {}, not of {}", header.end, end));
  if (length(sequence) != (carries_past ? 0 : end))
    return fail(Code::failed, fmt::format("cannot set a state of position {} where sequence {} ends at {}", end,
                                          sequence, length(sequence)));
  if (static_cast<std::size_t>(cells_free()) < tokens)
    return fail(Code::busy, fmt::format("{} positions do not fit the {} free cells", tokens, cells_free()));
  std::vector<TokenId> past(tokens);
  if (tokens > 0) std::memcpy(past.data(), bytes.data() + sizeof(StateHeader), tokens * sizeof(TokenId));
  if (!std::all_of(past.begin(), past.end(), is_token)) return fail(Code::corrupt, "the state is damaged");
  for (const TokenId token : past) take(at(sequence), token, chain(hash_before(sequence, length(sequence)), token));
  at(sequence).state = {header.end, header.low, header.hash};
  at(sequence).verified = 0;
  return {};
}

}  // namespace kvern::engine
