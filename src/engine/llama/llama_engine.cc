#include "engine/llama/llama_engine.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "base/log.h"
#include "engine/llama/attention_tiles.h"
#include "engine/llama/context_size.h"
#include "engine/llama/llama_vocab.h"
#include "engine/llama/model_facts.h"
#include "engine/llama/physical_cores.h"
#include "engine/llama/sequence_blob.h"

namespace kvern::engine {
namespace {

struct ModelDeleter {
  void operator()(llama_model* model) const { llama_model_free(model); }
};
struct ContextDeleter {
  void operator()(llama_context* context) const { llama_free(context); }
};
using ModelPtr = std::unique_ptr<llama_model, ModelDeleter>;
using ContextPtr = std::unique_ptr<llama_context, ContextDeleter>;

const std::map<std::string, ggml_type, std::less<>> kKvTypes = {
    {"f32", GGML_TYPE_F32},   {"f16", GGML_TYPE_F16},   {"bf16", GGML_TYPE_BF16}, {"q8_0", GGML_TYPE_Q8_0},
    {"q5_1", GGML_TYPE_Q5_1}, {"q5_0", GGML_TYPE_Q5_0}, {"q4_1", GGML_TYPE_Q4_1}, {"q4_0", GGML_TYPE_Q4_0}};

void log_from_llama(ggml_log_level level, const char* text, void*) {
  if (level < GGML_LOG_LEVEL_WARN || level == GGML_LOG_LEVEL_CONT) return;
  std::string line(text);
  while (!line.empty() && line.back() == '\n') line.pop_back();
  if (!line.empty())
    log::write(level >= GGML_LOG_LEVEL_ERROR ? log::Level::warn : log::Level::debug, "libllama", {{"message", line}});
}

void start_backend() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set(log_from_llama, nullptr);
    llama_backend_init();
  });
}

// Thread: engine, except for info(), vocab() and abort().
//
// Lengths are counted here: on sliding-window and recurrent memory seq_pos_max is about the part that
// cannot be cut. That part is `ready` when it belongs to the sequence's end; libllama itself decodes
// without it and gives garbage.
class LlamaEngine final : public Engine {
 public:
  // one_row_by_cells: see lies_apart().
  LlamaEngine(ModelPtr model, ContextPtr context, Info info, bool one_row_by_cells)
      : model_(std::move(model)),
        context_(std::move(context)),
        memory_(llama_get_memory(context_.get())),
        vocab_(llama_model_get_vocab(model_.get())),
        info_(std::move(info)),
        scratch_(info_.sequences),
        sequences_(static_cast<std::size_t>(info_.sequences)),
        one_row_by_cells_(one_row_by_cells) {
    llama_set_abort_callback(
        context_.get(),
        [](void* flag) { return static_cast<std::atomic<bool>*>(flag)->load(std::memory_order_relaxed); }, &abort_);
    batch_ = llama_batch_init(info_.batch, 0, 1);
  }

  ~LlamaEngine() override { llama_batch_free(batch_); }
  LlamaEngine(const LlamaEngine&) = delete;
  LlamaEngine& operator=(const LlamaEngine&) = delete;

  // Decodes one token to see what the model keeps of it. Once, before anything else.
  Status probe() {
    TRY(const Bytes empty_state, read_state(scratch_, kPartial));
    batch_.n_tokens = 1;
    put(0, {.token = std::max(0, vocab_.required_bos()), .sequence = scratch_, .position = 0, .wants_logits = false});
    if (const std::int32_t code = llama_decode(context_.get(), batch_); code != 0)
      return fail(Code::failed, fmt::format("the model could not process its first token (llama_decode: {})", code));
    TRY(const Bytes whole, read_state(scratch_, 0));
    TRY(const Bytes state, read_state(scratch_, kPartial));
    llama_memory_clear(memory_, true);

    const SequenceBlob::Samples samples{empty_state, whole, state};
    SequenceBlob::Parts parts{info_.has_rows, llama_model_n_swa(model_.get()) > 0 && info_.has_rows,
                              keeps_running(model_.get())};
    auto learned = SequenceBlob::learn(parts, samples);
    if (!learned && parts.window) {  // some models name a window and do not use it
      parts.window = false;
      learned = SequenceBlob::learn(parts, samples);
      if (!learned) parts.window = true;
    }
    if (parts.window) info_.state = StateKind::sliding_window;
    if (parts.running) info_.state = StateKind::recurrent;
    info_.takes_back = !parts.running && !(parts.window && window_in_chunks(model_.get()));
    if (!learned) {
      log::warn("no saving of this model's memory", {{"why", learned.error().message}});
      return {};
    }
    blob_ = std::move(*learned);
    empty_state_ = empty_state;
    info_.bytes_per_token = blob_->row_bytes();
    info_.fingerprint_parts.push_back("layout=" + blob_->describe());
    return {};
  }

  const Info& info() const override { return info_; }
  const Vocab& vocab() const override { return vocab_; }

  Result<Decoded> decode(std::span<const BatchToken> batch) override {
    TRY(std::vector<Position> lengths, lengths_after(batch));
    for (std::size_t i = 0; i < batch.size(); ++i) put(i, batch[i]);
    const std::int32_t code = compute(batch);
    if (code == 1) return Decoded::no_room;
    if (code != -1) settle(lengths, code == 0);
    if (code == 0) return Decoded::ok;
    if (code == 2) return Decoded::aborted;
    return fail(Code::failed,
                fmt::format("the model could not process a batch of {} tokens (llama_decode: {})", batch.size(), code));
  }

  std::span<const float> logits(std::size_t row) override {
    const float* values = llama_get_logits_ith(context_.get(), static_cast<std::int32_t>(row));
    return values ? std::span<const float>(values, static_cast<std::size_t>(vocab_.size())) : std::span<const float>();
  }

  // In a sliding window both share the cells until the child's load_state() gives it its own; cells
  // with two owners are never reclaimed by libllama.
  Status fork(SequenceId from, SequenceId to, Position end) override {
    TRY_OK(check_id(from));
    TRY_OK(check_id(to));
    if (from == to || at(to).length != 0)
      return fail(Code::failed, fmt::format("cannot fork sequence {} to {}: it is not empty", from, to));
    if (end < 0 || end > at(from).length)
      return fail(Code::failed,
                  fmt::format("cannot fork sequence {} at {}: it ends at {}", from, end, at(from).length));
    if (!info_.has_rows || end == 0) return {};
    llama_memory_seq_cp(memory_, from, to, 0, end);
    forget_running(to);
    at(to) = {end, info_.state == StateKind::attention, end, std::min(end, at(from).among)};
    return {};
  }

  bool truncate(SequenceId sequence, Position end) override {
    if (!check_id(sequence)) return false;
    if (end >= at(sequence).length) return true;
    if (end <= 0) {
      drop(sequence);
      return true;
    }
    if (!reaches_back_from(sequence, end) || !llama_memory_seq_rm(memory_, sequence, end, -1)) return false;
    at(sequence).length = end;
    at(sequence).shared = std::min(at(sequence).shared, end);
    at(sequence).among = std::min(at(sequence).among, end);
    return true;
  }

  void drop(SequenceId sequence) override {
    if (!check_id(sequence)) return;
    llama_memory_seq_rm(memory_, sequence, -1, -1);
    at(sequence) = {};
  }

  Result<Bytes> save(SequenceId sequence, Position begin, Position end) override {
    TRY_OK(check_id(sequence));
    if (begin < 0 || begin > end || end > at(sequence).length)
      return fail(Code::failed, fmt::format("cannot save [{}, {}) of sequence {}: it ends at {}", begin, end, sequence,
                                            at(sequence).length));
    if (!info_.has_rows) return Bytes{};
    TRY_OK(check_known());
    llama_memory_seq_cp(memory_, sequence, scratch_, begin, end);
    forget_running(scratch_);  // or it would be copied with every block
    auto whole = read_state(scratch_, 0);
    clear_scratch();
    if (!whole) return whole;
    return blob_->rows_of(std::move(*whole), begin, end);
  }

  Status load(SequenceId sequence, Position begin, Position end, std::span<const std::byte> bytes) override {
    TRY_OK(check_id(sequence));
    if (!info_.has_rows)
      return bytes.empty() ? Status{} : Status(fail(Code::corrupt, "these are rows, and this model keeps none"));
    if (at(sequence).length != begin || begin > end || end > info_.context)
      return fail(Code::failed, fmt::format("cannot load [{}, {}) into sequence {}: it ends at {} of {}", begin, end,
                                            sequence, at(sequence).length, info_.context));
    TRY_OK(check_known());
    TRY_OK(blob_->check_rows(bytes, begin, end, vocab_.size()));
    if (begin == end) return {};
    // The bytes are rows of this shape, so a refusal means that there are no cells for them.
    const bool set = blob_->is_whole(bytes, end - begin)
                         ? write_state(scratch_, bytes, 0)
                         : write_state(scratch_, blob_->whole_of(bytes, end - begin), 0);
    if (!set) {
      clear_scratch();
      return fail(Code::busy, "there are no free cells for saved rows");
    }
    llama_memory_seq_cp(memory_, scratch_, sequence, begin, end);
    clear_scratch();
    at(sequence).length = end;
    at(sequence).ready = info_.state == StateKind::attention;
    return {};
  }

  Result<Bytes> save_state(SequenceId sequence) override {
    TRY_OK(check_id(sequence));
    TRY_OK(check_known());
    if (info_.state == StateKind::attention) return fail(Code::failed, "this model has no state beside its rows");
    if (at(sequence).length == 0 || !at(sequence).ready)
      return fail(Code::failed, fmt::format("sequence {} has no state to save", sequence));
    return read_state(sequence, kPartial);
  }

  Status load_state(SequenceId sequence, Position end, std::span<const std::byte> bytes) override {
    TRY_OK(check_id(sequence));
    TRY_OK(check_known());
    if (info_.state == StateKind::attention) return fail(Code::failed, "this model has no state beside its rows");
    if (end < 1 || end > info_.context || at(sequence).length != (info_.has_rows ? end : 0))
      return fail(Code::failed, fmt::format("cannot set a state of position {} where sequence {} ends at {}", end,
                                            sequence, at(sequence).length));
    at(sequence).ready = false;
    TRY_OK(blob_->check_state(bytes, end, llama_model_n_swa(model_.get()), vocab_.size()));
    if (!write_state(sequence, bytes, kPartial)) return fail(Code::busy, "there is no room for a saved state");
    if (llama_memory_seq_pos_max(memory_, sequence) != end - 1)
      return fail(Code::corrupt, fmt::format("a saved state is not of position {}", end));
    at(sequence) = {end, true};
    return {};
  }

  void abort() override { abort_.store(true, std::memory_order_relaxed); }
  void clear_abort() override { abort_.store(false, std::memory_order_relaxed); }

 private:
  static constexpr llama_state_seq_flags kPartial = LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY;

  struct Sequence {
    Position length = 0;
    bool ready = true;
    Position shared = 0;  // of it, with the one it was forked from
    Position among = 0;   // of it, computed in steps with others: its cells lie between theirs
  };

  Sequence& at(SequenceId sequence) { return sequences_[static_cast<std::size_t>(sequence)]; }

  Status check_id(SequenceId sequence) const {
    if (sequence >= 0 && sequence < info_.sequences) return {};
    return fail(Code::failed, fmt::format("there is no sequence {}: ids are 0 to {}", sequence, info_.sequences - 1));
  }

  Status check_known() const {
    if (blob_) return {};
    return fail(Code::failed, "this model keeps its memory in a form that cannot be saved");
  }

  void put(std::size_t row, const BatchToken& token) {
    batch_.token[row] = token.token;
    batch_.pos[row] = token.position;
    batch_.n_seq_id[row] = 1;
    batch_.seq_id[row][0] = token.sequence;
    batch_.logits[row] = token.wants_logits ? 1 : 0;
  }

  // The first of batch_'s rows are those of `batch`. What llama_decode says.
  std::int32_t compute(std::span<const BatchToken> batch) {
    batch_.n_tokens = static_cast<std::int32_t>(batch.size());
    if (batch.size() != 1 || !lies_apart(batch[0].sequence)) return llama_decode(context_.get(), batch_);
    put(1, {.token = batch[0].token, .sequence = scratch_, .position = 0, .wants_logits = false});
    batch_.n_tokens = 2;
    const std::int32_t code = llama_decode(context_.get(), batch_);
    clear_scratch();
    if (code != 1) return code;
    batch_.n_tokens = 1;  // there is no cell for the second row
    return llama_decode(context_.get(), batch_);
  }

  // Whether a second row, of nothing, makes a step of one faster. A CPU's attention (ggml's, with flash attention on
  // rows of f16 or f32) divides one row among its threads by cells, as many for each, whoever they belong to; two rows
  // it divides by heads. So where others keep most of the cells in use, some threads would have all the work, unless
  // the sequence's cells lie between theirs. A row costs reading the weights once more at worst: it pays where the rows
  // attended to weigh about as much (0.35 of them was a tie in engine_micro, with two threads).
  bool lies_apart(SequenceId sequence) const {
    static constexpr double kShareOfWeights = 0.4;
    if (!one_row_by_cells_ || info_.state != StateKind::attention) return false;
    const Position own = sequences_[static_cast<std::size_t>(sequence)].length;
    if (sequences_[static_cast<std::size_t>(sequence)].among * 2 > own) return false;
    const double own_bytes = static_cast<double>(own) * static_cast<double>(info_.bytes_per_token);
    if (own_bytes < kShareOfWeights * static_cast<double>(info_.model_bytes)) return false;
    std::int64_t used = 0;  // too few where the parent of a fork is gone: then nothing is done
    for (const Sequence& other : sequences_) used += other.length - other.shared;
    return std::int64_t{own} * 5 < used * 3;
  }

  // Of all sequences, when `batch` is decoded.
  Result<std::vector<Position>> lengths_after(std::span<const BatchToken> batch) const {
    if (batch.empty() || batch.size() > static_cast<std::size_t>(info_.batch))
      return fail(Code::failed, fmt::format("a batch of {} tokens: 1 to {} can be decoded", batch.size(), info_.batch));
    std::vector<Position> lengths;
    lengths.reserve(sequences_.size());
    for (const Sequence& sequence : sequences_) lengths.push_back(sequence.length);
    for (const BatchToken& token : batch) {
      TRY_OK(check_id(token.sequence));
      const auto index = static_cast<std::size_t>(token.sequence);
      if (token.position != lengths[index])
        return fail(Code::failed, fmt::format("sequence {} continues at position {}, not at {}", token.sequence,
                                              lengths[index], token.position));
      if (!sequences_[index].ready)
        return fail(Code::failed, fmt::format("sequence {} has rows up to {} but no state for them; load_state() was "
                                              "missed",
                                              token.sequence, sequences_[index].length));
      ++lengths[index];
    }
    return lengths;
  }

  // After a decode that ended early some of the batch may be in the memory: how much can be asked only
  // where there is no state beside the rows.
  void settle(const std::vector<Position>& lengths, bool complete) {
    Position added = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) added += lengths[i] - sequences_[i].length;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      const Position own = lengths[i] - sequences_[i].length;
      if (own == 0) continue;
      if (own < added) sequences_[i].among += own;
      if (complete)
        sequences_[i].length = lengths[i];
      else if (info_.state == StateKind::attention)
        sequences_[i].length = llama_memory_seq_pos_max(memory_, static_cast<SequenceId>(i)) + 1;
      else
        sequences_[i] = {lengths[i], false};
    }
  }

  // Leaves the rows. A window cannot be forgotten this way: libllama skips a window without cells.
  void forget_running(SequenceId sequence) {
    if (info_.state == StateKind::recurrent) write_state(sequence, empty_state_, kPartial);
  }

  // Whether a sequence cut at `end` can be decoded: on sliding-window memory seq_rm succeeds beyond the window and
  // leaves garbage. Cells leave the window when a decode begins whose first token does not see them, so what a decode
  // has added after that token can be taken back (llama_kv_cache::find_slot and apply_ubatch; all of a step with
  // guesses is one micro-batch).
  bool reaches_back_from(SequenceId sequence, Position end) const {
    if (info_.state == StateKind::attention) return true;
    if (!info_.takes_back || !sequences_[static_cast<std::size_t>(sequence)].ready) return false;
    const Position needed = std::max(0, end - llama_model_n_swa(model_.get()) + 1);
    return llama_memory_seq_pos_min(memory_, sequence) <= needed;
  }

  void clear_scratch() { llama_memory_seq_rm(memory_, scratch_, -1, -1); }

  Result<Bytes> read_state(SequenceId sequence, llama_state_seq_flags flags) {
    Bytes bytes(llama_state_seq_get_size_ext(context_.get(), sequence, flags));
    const std::size_t written = llama_state_seq_get_data_ext(
        context_.get(), reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size(), sequence, flags);
    if (written != bytes.size()) return fail(Code::failed, "libllama could not copy a sequence's state");
    return bytes;
  }

  bool write_state(SequenceId sequence, std::span<const std::byte> bytes, llama_state_seq_flags flags) {
    return llama_state_seq_set_data_ext(context_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                        bytes.size(), sequence, flags) == bytes.size();
  }

  ModelPtr model_;
  ContextPtr context_;
  llama_memory_t memory_;
  LlamaVocab vocab_;
  Info info_;
  SequenceId scratch_;
  std::vector<Sequence> sequences_;
  bool one_row_by_cells_;
  std::optional<SequenceBlob> blob_;  // unset: this model's memory has a form we do not know
  Bytes empty_state_;
  llama_batch batch_{};
  std::atomic<bool> abort_{false};
};

Result<ModelPtr> load_model(const LlamaOptions& options) {
  llama_model_params params = llama_model_default_params();
  auto progress = options.load_progress;
  if (progress) {
    params.progress_callback_user_data = &progress;
    params.progress_callback = [](float fraction, void* data) {
      return (*static_cast<std::function<bool(float)>*>(data))(fraction);
    };
  }
  ModelPtr model(llama_model_load_from_file(options.model_path.c_str(), params));
  if (!model)
    return fail(Code::failed,
                fmt::format("{} cannot be loaded as a GGUF model: it is damaged, incomplete, or of an architecture "
                            "this build does not know",
                            options.model_path),
                "--model");
  return model;
}

Info describe(const llama_model* model, const llama_context* context, const LlamaOptions& options) {
  Info info;
  info.architecture = meta(model, "general.architecture");
  info.name = meta(model, "general.name");
  if (const char* source = llama_model_chat_template(model, nullptr)) info.chat_template = source;
  info.context_trained = llama_model_n_ctx_train(model);
  info.cells = static_cast<std::int32_t>(llama_n_ctx(context));
  info.sequences = options.sequences;
  info.batch = options.batch;
  info.has_rows = keeps_rows(model);
  info.rows_in_parallel = llama_supports_gpu_offload();  // a CPU computes fewer than 64 one after the other
  info.parameters = llama_model_n_params(model);
  info.model_bytes = llama_model_size(model);
  info.fingerprint_parts = fingerprint_parts(model, context, options.kv_type, options.weights_hash);
  return info;
}

}  // namespace

Result<std::unique_ptr<Engine>> make_llama_engine(const LlamaOptions& options) {
  const auto type = kKvTypes.find(options.kv_type);
  if (type == kKvTypes.end())
    return fail(
        Code::invalid,
        fmt::format("'{}' is no KV type; choose f32, f16, bf16, q8_0, q5_1, q5_0, q4_1 or q4_0", options.kv_type),
        "--kv-type");
  start_backend();
  TRY(ModelPtr model, load_model(options));

  const std::size_t token_bytes = kv_bytes_per_token(model.get(), type->second);
  const std::int32_t context_tokens = choose_context(options, llama_model_n_ctx_train(model.get()), token_bytes);
  const std::int32_t threads = options.threads > 0 ? options.threads : physical_cores();

  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(pool_cells(options, context_tokens, token_bytes));
  params.n_batch = static_cast<std::uint32_t>(options.batch);
  params.n_ubatch = static_cast<std::uint32_t>(std::min(options.batch, 512));
  params.n_seq_max = static_cast<std::uint32_t>(options.sequences) + 1;  // the last one is scratch
  params.n_threads = threads;
  params.n_threads_batch = threads;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
  params.type_k = type->second;
  params.type_v = type->second;
  params.kv_unified = true;  // partial seq_cp between separate streams aborts the process
  params.swa_full = false;
  params.no_perf = true;
  ContextPtr context(llama_init_from_model(model.get(), params));
  if (!context)
    return fail(Code::failed,
                fmt::format("the model's context of {} tokens could not be made (about {} MiB of KV cache; the log at "
                            "--log-level debug has libllama's words); choose a smaller --context or another --kv-type",
                            params.n_ctx, token_bytes * params.n_ctx >> 20),
                "--context");

  if (llama_get_memory(context.get()) == nullptr)
    return fail(Code::failed, fmt::format("{} does not generate text: it is an encoder", options.model_path),
                "--model");

  Info info = describe(model.get(), context.get(), options);
  info.context = std::min(context_tokens, info.cells);
  info.bytes_per_token = token_bytes;
  info.efficient_batch = info.batch;
  if (!info.rows_in_parallel)
    info.efficient_batch = std::min(info.batch, efficient_batch(llama_model_n_head(model.get()), threads));
  const bool one_row_by_cells = !info.rows_in_parallel && threads > 1 && options.batch > 1 &&
                                (type->second == GGML_TYPE_F16 || type->second == GGML_TYPE_F32);
  auto engine = std::make_unique<LlamaEngine>(std::move(model), std::move(context), std::move(info), one_row_by_cells);
  TRY_OK(engine->probe());
  return engine;
}

std::string llama_build() { return fmt::format("llama.cpp v0.5.0 (de3ff815) {}", llama_print_system_info()); }

}  // namespace kvern::engine
