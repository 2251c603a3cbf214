#include "engine/llama/sequence_blob.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>

namespace kvern::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "libllama writes its numbers as the machine has them");

constexpr std::uint32_t kMagic = 0xaf14'3cd8;
constexpr std::size_t kHeaderBytes = 8;
constexpr std::size_t kTensorHeaderBytes = 12;
constexpr std::size_t kPlainCellBytes = 12;
constexpr std::size_t kExtendedCellBytes = 24;  // with 2D positions and a token
constexpr std::uint32_t kLayersMax = 4096;
constexpr std::int32_t kTypesMax = 256;
constexpr std::size_t kCellsMax = std::numeric_limits<std::int32_t>::max();

template <typename T>
T read_at(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

void append_bytes(Bytes& out, std::span<const std::byte> bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

template <typename T>
void write_at(Bytes& bytes, std::size_t offset, const T& value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

// A cell is i32 position, u32 sequences = 1, [i32 x, y, token,] i32 sequence.
bool is_cell(std::span<const std::byte> cell, std::int32_t tokens) {
  if (read_at<std::uint32_t>(cell, 4) != 1) return false;
  if (cell.size() == kPlainCellBytes) return true;
  const auto token = read_at<std::int32_t>(cell, 16);
  return token >= -1 && token < tokens;
}

constexpr std::size_t kFirstCell = kHeaderBytes + 8;  // behind u32 streams, u32 cells

}  // namespace

// Walks over bytes; once something is missing, nothing more can be read.
class SequenceBlob::Reader {
 public:
  explicit Reader(View bytes) : bytes_(bytes) {}

  template <typename T>
  T take() {
    if (bytes_.size() - at_ < sizeof(T)) {
      fail();
      return {};
    }
    at_ += sizeof(T);
    return read_at<T>(bytes_, at_ - sizeof(T));
  }
  View take(std::uint64_t size) {
    if (bytes_.size() - at_ < size) {
      fail();
      return {};
    }
    at_ += size;
    return bytes_.subspan(at_ - size, size);
  }
  // A tensor's header and its rows; false when they are not there or make no sense.
  bool take_tensor(std::uint64_t rows, Tensor& tensor) {
    tensor = {take<std::int32_t>(), take<std::uint64_t>()};
    if (!ok_ || tensor.type < 0 || tensor.type >= kTypesMax) return false;
    if (rows > 0 && tensor.row_bytes > bytes_.size() / rows) return false;
    take(rows * tensor.row_bytes);
    return ok_;
  }
  bool take_header() { return take<std::uint32_t>() == kMagic && (take<std::int32_t>(), ok_); }
  bool at_end() const { return ok_ && at_ == bytes_.size(); }
  bool ok() const { return ok_; }
  std::size_t at() const { return at_; }

 private:
  void fail() {
    ok_ = false;
    at_ = bytes_.size();
  }

  View bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

std::uint64_t SequenceBlob::KvPart::row_bytes() const {
  std::uint64_t sum = 0;
  for (const Tensor& tensor : keys) sum += tensor.row_bytes;
  for (const Tensor& tensor : values) sum += tensor.row_bytes;
  return sum;
}

std::size_t SequenceBlob::KvPart::size(std::uint64_t cells) const {
  if (cells == 0) return 8;
  return 16 + kTensorHeaderBytes * (keys.size() + values.size()) + cells * (cell_bytes + row_bytes());
}

std::size_t SequenceBlob::RunningPart::size() const {
  std::size_t sum = 20;
  for (const Tensor& tensor : tensors) sum += kTensorHeaderBytes + tensor.row_bytes;
  return sum;
}

bool SequenceBlob::learn_part(Reader& reader, const Guess& guess, KvPart& part) {
  part.cell_bytes = guess.cell_bytes;
  if (reader.take<std::uint32_t>() != 1 || reader.take<std::uint32_t>() != 1) return false;
  const View cell = reader.take(part.cell_bytes);
  if (!reader.ok() || read_at<std::int32_t>(cell, 0) != 0 || read_at<std::uint32_t>(cell, 4) != 1) return false;
  const auto transposed = reader.take<std::uint32_t>();
  const auto layers = reader.take<std::uint32_t>();
  if (!reader.ok() || transposed != 0 || layers > kLayersMax) return false;
  part.keys.resize(layers);
  part.values.resize(guess.has_values ? layers : 0);
  for (Tensor& tensor : part.keys) {
    if (!reader.take_tensor(1, tensor)) return false;
  }
  for (Tensor& tensor : part.values) {
    if (!reader.take_tensor(1, tensor)) return false;
  }
  return true;
}

// Always the last part: its tensors are what is left.
bool SequenceBlob::learn_part(Reader& reader, RunningPart& part) {
  const auto cells = reader.take<std::uint32_t>();
  const auto position = reader.take<std::int32_t>();
  const auto sequences = reader.take<std::uint32_t>();
  const auto transposed = reader.take<std::uint32_t>();
  part.layers = reader.take<std::uint32_t>();
  if (!reader.ok() || cells != 1 || position != 0 || sequences != 0 || transposed != 0 || part.layers > kLayersMax)
    return false;
  while (!reader.at_end()) {
    if (!reader.take_tensor(1, part.tensors.emplace_back())) return false;
  }
  return true;
}

std::optional<SequenceBlob> SequenceBlob::parse(const Parts& parts, const Samples& samples, const Guess& guess) {
  SequenceBlob out;
  Reader whole(samples.whole);
  if (!whole.take_header()) return std::nullopt;
  if (parts.rows) out.rows_ = KvPart{};
  if (parts.window) out.window_ = KvPart{};
  if (parts.running) out.running_ = RunningPart{};
  if (out.rows_ && !learn_part(whole, guess, *out.rows_)) return std::nullopt;
  const std::size_t rows_end = whole.at();
  if (out.window_ && !learn_part(whole, guess, *out.window_)) return std::nullopt;
  if (out.running_ && !learn_part(whole, *out.running_)) return std::nullopt;
  if (!whole.at_end()) return std::nullopt;
  if (!parts.window && !parts.running) return out;

  // The state is the whole without its rows, byte for byte; without cells only headers are left.
  if (samples.state.size() < kHeaderBytes || samples.empty_state.size() < kHeaderBytes) return std::nullopt;
  const View behind_rows = samples.whole.subspan(rows_end);
  const View state = samples.state.subspan(kHeaderBytes);
  if (!std::equal(state.begin(), state.end(), behind_rows.begin(), behind_rows.end())) return std::nullopt;
  Reader empty(samples.empty_state);
  empty.take_header();
  if (parts.window && (empty.take<std::uint32_t>() != 1 || empty.take<std::uint32_t>() != 0)) return std::nullopt;
  if (parts.running) {
    if (empty.take<std::uint32_t>() != 0 || empty.take<std::uint32_t>() != 0 ||
        empty.take<std::uint32_t>() != out.running_->layers)
      return std::nullopt;
    for (const Tensor& expected : out.running_->tensors) {
      Tensor tensor;
      if (!empty.take_tensor(0, tensor) || tensor != expected) return std::nullopt;
    }
  }
  if (!empty.at_end()) return std::nullopt;
  out.empty_state_.assign(samples.empty_state.begin() + kHeaderBytes, samples.empty_state.end());
  return out;
}

Result<SequenceBlob> SequenceBlob::learn(const Parts& parts, const Samples& samples) {
  for (const std::size_t cell_bytes : {kPlainCellBytes, kExtendedCellBytes}) {
    for (const bool has_values : {true, false}) {
      if (auto found = parse(parts, samples, {cell_bytes, has_values})) return std::move(*found);
    }
  }
  return fail(Code::failed, "this model keeps its memory in a form that cannot be saved and restored");
}

std::size_t SequenceBlob::row_bytes() const { return rows_ ? rows_->cell_bytes + rows_->row_bytes() : 0; }

std::string SequenceBlob::describe() const {
  std::string out;
  const auto list = [&out](std::string_view name, const std::vector<Tensor>& tensors) {
    out += fmt::format(" {}={}", name, tensors.size());
    for (const Tensor& tensor : tensors) out += fmt::format(",{}:{}", tensor.type, tensor.row_bytes);
  };
  if (rows_) {
    out += fmt::format(" cell={}", rows_->cell_bytes);
    list("k", rows_->keys);
    list("v", rows_->values);
  }
  if (window_) {
    list("window_k", window_->keys);
    list("window_v", window_->values);
  }
  if (running_) list("running", running_->tensors);
  return out.empty() ? out : out.substr(1);
}

// A pool with holes gives cells out of order.
std::vector<std::uint32_t> SequenceBlob::cell_order(View whole, const KvPart& part, std::uint32_t cells) {
  const auto position = [&](std::uint32_t i) { return read_at<std::int32_t>(whole, kFirstCell + i * part.cell_bytes); };
  std::vector<std::uint32_t> order(cells);
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return position(a) < position(b); });
  return order;
}

Result<Bytes> SequenceBlob::rows_of(Bytes whole, Position begin, Position end) const {
  const auto cells = static_cast<std::uint32_t>(end - begin);
  const std::size_t size = kHeaderBytes + (rows_ ? rows_->size(cells) : 0);
  if (!rows_ || whole.size() < size || read_at<std::uint32_t>(whole, kHeaderBytes + 4) != cells)
    return fail(Code::failed, fmt::format("libllama did not give the rows of [{}, {})", begin, end));
  whole.resize(size);
  write_at(whole, 4, std::int32_t{0});
  const std::vector<std::uint32_t> order = cell_order(whole, *rows_, cells);
  for (std::uint32_t i = 0; i < cells; ++i) {
    const std::size_t at = kFirstCell + order[i] * rows_->cell_bytes;
    const Position position = begin + static_cast<Position>(i);
    if (read_at<std::int32_t>(whole, at) != position)
      return fail(Code::failed, fmt::format("position {} of a sequence has no cell", position));
    write_at(whole, at + rows_->cell_bytes - 4, std::int32_t{0});
  }
  return std::is_sorted(order.begin(), order.end()) ? std::move(whole) : in_order(whole, *rows_, order);
}

Bytes SequenceBlob::in_order(View rows, const KvPart& part, std::span<const std::uint32_t> order) {
  Bytes out;
  out.reserve(rows.size());
  append_bytes(out, rows.first(kFirstCell));
  for (const std::uint32_t from : order)
    append_bytes(out, rows.subspan(kFirstCell + from * part.cell_bytes, part.cell_bytes));
  append_bytes(out, rows.subspan(out.size(), 8));
  for (const auto* tensors : {&part.keys, &part.values}) {
    for (const Tensor& tensor : *tensors) {
      append_bytes(out, rows.subspan(out.size(), kTensorHeaderBytes));
      const View data = rows.subspan(out.size(), order.size() * tensor.row_bytes);
      for (const std::uint32_t from : order) append_bytes(out, data.subspan(from * tensor.row_bytes, tensor.row_bytes));
    }
  }
  return out;
}

// Behind the cells: u32 transposed, u32 layers, then the tensors of the learned shape.
bool SequenceBlob::matches(Reader& reader, const KvPart& part, std::uint32_t cells) {
  if (reader.take<std::uint32_t>() != 0 || reader.take<std::uint32_t>() != part.keys.size()) return false;
  for (const auto* tensors : {&part.keys, &part.values}) {
    for (const Tensor& expected : *tensors) {
      const Tensor tensor{reader.take<std::int32_t>(), reader.take<std::uint64_t>()};
      if (tensor != expected) return false;
      reader.take(cells * expected.row_bytes);
    }
  }
  return reader.ok();
}

bool SequenceBlob::matches(Reader& reader, const RunningPart& part, Position end) {
  if (reader.take<std::uint32_t>() != 1 || reader.take<std::int32_t>() != end - 1) return false;
  if (reader.take<std::uint32_t>() != 0 || reader.take<std::uint32_t>() != 0) return false;
  if (reader.take<std::uint32_t>() != part.layers) return false;
  for (const Tensor& expected : part.tensors) {
    const Tensor tensor{reader.take<std::int32_t>(), reader.take<std::uint64_t>()};
    if (tensor != expected) return false;
    reader.take(expected.row_bytes);
  }
  return reader.ok();
}

Status SequenceBlob::check_rows(View rows, Position begin, Position end, std::int32_t tokens) const {
  const auto damaged = [](std::string_view what) { return fail(Code::corrupt, fmt::format("saved rows {}", what)); };
  if (!rows_) return fail(Code::failed, "this model has no rows");
  Reader reader(rows);
  if (!reader.take_header() || reader.take<std::uint32_t>() != 1) return damaged("have no header");
  const auto cells = reader.take<std::uint32_t>();
  if (!reader.ok() || cells > kCellsMax || rows.size() != kHeaderBytes + rows_->size(cells))
    return damaged(fmt::format("are {} bytes, which {} cells of this model are not", rows.size(), cells));
  if (cells < static_cast<std::uint32_t>(end - begin))
    return damaged(fmt::format("are {} cells from {}, too few for an end at {}", cells, begin, end));
  if (cells == 0) return {};
  for (std::uint32_t i = 0; i < cells; ++i) {
    const View cell = reader.take(rows_->cell_bytes);
    const std::int64_t expected = std::int64_t{begin} + i;
    if (read_at<std::int32_t>(cell, 0) != expected || !is_cell(cell, tokens))
      return damaged(fmt::format("are not of position {}", expected));
  }
  if (!matches(reader, *rows_, cells)) return damaged("are of other layers or types");
  return {};
}

bool SequenceBlob::is_whole(View rows, Position count) const {
  return empty_state_.empty() && read_at<std::uint32_t>(rows, kHeaderBytes + 4) == static_cast<std::uint32_t>(count);
}

Bytes SequenceBlob::whole_of(View rows, Position count) const {
  const auto keep = static_cast<std::uint32_t>(count);
  const auto cells = read_at<std::uint32_t>(rows, kHeaderBytes + 4);
  Bytes out;
  out.reserve(kHeaderBytes + rows_->size(keep) + empty_state_.size());
  append_bytes(out, rows.first(kHeaderBytes + 4));
  append_bytes(out, std::as_bytes(std::span(&keep, 1)));
  if (keep > 0) {
    append_bytes(out, rows.subspan(kFirstCell, keep * rows_->cell_bytes));
    std::size_t at = kFirstCell + cells * rows_->cell_bytes;
    append_bytes(out, rows.subspan(at, 8));
    at += 8;
    for (const auto* tensors : {&rows_->keys, &rows_->values}) {
      for (const Tensor& tensor : *tensors) {
        append_bytes(out, rows.subspan(at, kTensorHeaderBytes + keep * tensor.row_bytes));
        at += kTensorHeaderBytes + cells * tensor.row_bytes;
      }
    }
  }
  append_bytes(out, empty_state_);
  return out;
}

Status SequenceBlob::check_state(View state, Position end, Position window, std::int32_t tokens) const {
  const auto damaged = [](std::string_view what) { return fail(Code::corrupt, fmt::format("a saved state {}", what)); };
  Reader reader(state);
  if (!reader.take_header()) return damaged("has no header");
  if (window_) {
    const auto streams = reader.take<std::uint32_t>();
    const auto cells = reader.take<std::uint32_t>();
    if (!reader.ok() || streams != 1 || cells == 0 || cells > static_cast<std::uint32_t>(end))
      return damaged(fmt::format("has {} cells in its window at {}", cells, end));
    const Position first = end - static_cast<Position>(cells);
    std::vector<bool> seen(cells, false);
    for (std::uint32_t i = 0; i < cells; ++i) {
      const View cell = reader.take(window_->cell_bytes);
      if (!reader.ok() || !is_cell(cell, tokens)) return damaged("has a damaged cell in its window");
      const auto position = read_at<std::int32_t>(cell, 0);
      if (position < first || position >= end || seen[static_cast<std::size_t>(position - first)])
        return damaged(fmt::format("is not of position {}: its window holds {}", end, position));
      seen[static_cast<std::size_t>(position - first)] = true;
    }
    const Position chunk = window > 0 ? (end - 1) / window * window : 0;
    if (first > std::max({0, end - window, chunk}))
      return damaged(fmt::format("at {} has a window from {} only", end, first));
    if (!matches(reader, *window_, cells)) return damaged("is of other layers or types");
  }
  if (running_ && !matches(reader, *running_, end)) return damaged(fmt::format("is not of position {}", end));
  if (!reader.at_end()) return damaged("has bytes too many or too few");
  return {};
}

}  // namespace kvern::engine
