// PrefixCache: bytes into cells.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "cache/prefix_cache.h"
#include "cache/token_spans.h"

namespace kvern::cache {
namespace {

// Read from disk ahead of the piece being loaded, per sequence.
constexpr std::uint64_t kReadAheadBytes = 64ULL << 20;

const engine::Bytes* bytes_of(const Piece& piece) {
  const SharedBytes& ram = piece.node->part(piece.part).ram;
  return ram ? ram.get() : piece.bytes.get();
}

// The tokens from position 0 to the end of node.
std::vector<TokenId> tokens_to(const Node& node) {
  std::vector<const Node*> path;
  for (const Node* up = &node; up->parent; up = up->parent) path.push_back(up);
  std::vector<TokenId> tokens;
  for (auto it = path.rbegin(); it != path.rend(); ++it)
    tokens.insert(tokens.end(), (*it)->tokens.begin(), (*it)->tokens.end());
  return tokens;
}

}  // namespace

PrefixCache::Restore PrefixCache::restore(const Lease& lease, std::uint64_t bytes_max, Reused& reused) {
  Held& h = table_.at(lease.sequence_);
  if (!h.plan) return Restore::done;
  if (h.plan->done() == 0) reused.memory_tokens = reused.disk_tokens = 0;  // acquire() only estimated
  std::uint64_t loaded = 0;
  while (!h.plan->finished()) {
    read_ahead(*h.plan);
    Piece& piece = h.plan->next();
    const engine::Bytes* bytes = bytes_of(piece);
    if (!bytes) {
      if (piece.asked) return Restore::waiting;
      return give_up(h, reused);
    }
    if (loaded > 0 && loaded + bytes->size() > bytes_max) return Restore::more;
    loaded += bytes->size();
    const std::int32_t before = size_of(h.tokens);
    if (const Status done = load_piece(h, lease.sequence_, piece, *bytes); !done) {
      const auto level = done.error().code == Code::busy ? log::Level::debug : log::Level::warn;
      log::write(level, "cache record not loaded", {{"position", piece.begin}, {"why", done.error().message}});
      if (done.error().code == Code::corrupt) {
        h.plan->damaged = true;
        forget(*piece.node, piece.part);
      }
      return give_up(h, reused);
    }
    (piece.bytes ? reused.disk_tokens : reused.memory_tokens) += size_of(h.tokens) - before;
    // What came from disk stays in RAM for the next one.
    if (piece.bytes && !piece.node->part(piece.part).ram) tree_.put(*piece.node, piece.part, piece.bytes, tick());
    h.plan->advance();
  }
  h.plan.reset();
  return Restore::done;
}

void PrefixCache::read_ahead(RestorePlan& plan) {
  std::uint64_t ahead = 0;
  for (std::size_t i = plan.done(); i < plan.pieces().size() && ahead < kReadAheadBytes; ++i) {
    Piece& piece = plan.pieces()[i];
    const Copy& copy = piece.node->part(piece.part);
    if (copy.ram) continue;
    ahead += copy.bytes;
    if (piece.bytes || piece.asked || !copy.on_disk) continue;
    piece.asked = true;
    store_->read(record_id(*piece.node, piece.part));
  }
}

Status PrefixCache::load_piece(Held& h, engine::SequenceId sequence, const Piece& piece, const engine::Bytes& bytes) {
  const auto load = [&] {
    return piece.part == Part::rows ? engine_.load(sequence, piece.begin, piece.end, bytes)
                                    : engine_.load_state(sequence, piece.end, bytes);
  };
  // The engine may have cells the ledger does not know to be free; those are nobody's to take.
  const std::int32_t rows = piece.part == Part::rows ? piece.end - piece.begin : 0;
  if (free_cells() < rows && !evict_until(rows, sequence)) return fail(Code::busy, "there are no free cells");
  Status loaded = load();
  if (!loaded && loaded.error().code == Code::busy && make_room_for(piece, sequence)) loaded = load();
  TRY_OK(std::move(loaded));
  if (piece.part == Part::rows) {
    const auto tokens = first(piece.node->tokens, piece.end - piece.begin);
    h.tokens.insert(h.tokens.end(), tokens.begin(), tokens.end());
    h.cells.append(size_of(tokens));
    if (h.saved >= piece.begin) h.saved = std::max(h.saved, piece.end);
  } else if (!engine_.info().has_rows) {
    h.tokens = tokens_to(*piece.node);
    h.cells.append(piece.end - h.cells.length());
  }
  return {};
}

// A state's own cells are not counted here, so any idle sequence may be the one that holds them.
bool PrefixCache::make_room_for(const Piece& piece, engine::SequenceId sequence) {
  return piece.part == Part::rows ? evict_until(piece.end - piece.begin, sequence) : evict_idle(sequence);
}

// A piece is missing. Rows are good as far as they came; a state is nothing in parts.
PrefixCache::Restore PrefixCache::give_up(Held& h, Reused& reused) {
  reused.why = h.plan->damaged ? ReuseStop::damaged : ReuseStop::evicted;
  h.plan.reset();
  return cuttable() ? Restore::done : Restore::lost;
}

void PrefixCache::forget(Node& node, Part part) {
  tree_.drop_ram(node, part);
  Copy& copy = node.part(part);
  if (store_ && (copy.on_disk || copy.on_way)) store_->remove(record_id(node, part));
  copy.on_disk = copy.on_way = false;
}

void PrefixCache::handle(const StoreEvent& event) {
  Node* node = tree_.at(event.id.key);
  if (!node) return;
  const Part part = event.id.kind == RecordKind::snapshot ? Part::state : Part::rows;
  Copy& copy = node->part(part);
  switch (event.kind) {
    case StoreEvent::Kind::written:
      if (!copy.on_way) return;  // forgotten meanwhile, and removed
      copy.on_disk = true;
      copy.on_way = false;
      return;
    case StoreEvent::Kind::gone: copy.on_disk = copy.on_way = false; return;
    case StoreEvent::Kind::read: break;
  }
  if (event.payload) {
    rates_.read((*event.payload)->size(), event.took_us);
  } else {
    copy.on_disk = false;
  }
  for (engine::SequenceId id = 0; id < table_.size(); ++id) {
    RestorePlan* plan = table_.at(id).plan.get();
    if (!plan) continue;
    for (std::size_t i = plan->done(); i < plan->pieces().size(); ++i) {
      Piece& piece = plan->pieces()[i];
      if (piece.node != node || piece.part != part || !piece.asked) continue;
      piece.asked = false;
      if (event.payload) {
        piece.bytes = *event.payload;
      } else {
        plan->damaged = plan->damaged || event.payload.error().code == Code::corrupt;
      }
    }
  }
}

}  // namespace kvern::cache
