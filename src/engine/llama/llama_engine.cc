#include "engine/llama/llama_engine.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>

#include "base/log.h"
#include "engine/llama/llama_vocab.h"
#include "engine/llama/physical_cores.h"

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

std::string meta(const llama_model* model, const std::string& key) {
  char value[256];
  return llama_model_meta_val_str(model, key.c_str(), value, sizeof value) >= 0 ? std::string(value) : std::string();
}

double bytes_per_element(ggml_type type) {
  return static_cast<double>(ggml_type_size(type)) / static_cast<double>(ggml_blck_size(type));
}

// K and V rows of one token over all layers. An estimate: some architectures have other head sizes
// in some layers.
std::size_t kv_bytes_per_token(const llama_model* model, ggml_type type) {
  const auto layers = static_cast<double>(llama_model_n_layer(model));
  const auto heads_kv = static_cast<double>(std::max(1, llama_model_n_head_kv(model)));
  const std::string key_length = meta(model, meta(model, "general.architecture") + ".attention.key_length");
  const double head = key_length.empty()
                          ? static_cast<double>(llama_model_n_embd(model)) / std::max(1, llama_model_n_head(model))
                          : std::atof(key_length.c_str());
  return static_cast<std::size_t>(layers * heads_kv * head * 2 * bytes_per_element(type));
}

// Thread: engine, except for info(), vocab() and abort().
class LlamaEngine final : public Engine {
 public:
  LlamaEngine(ModelPtr model, ContextPtr context, Info info, std::int32_t sequences)
      : model_(std::move(model)),
        context_(std::move(context)),
        memory_(llama_get_memory(context_.get())),
        vocab_(llama_model_get_vocab(model_.get())),
        info_(std::move(info)),
        scratch_(sequences) {
    llama_set_abort_callback(
        context_.get(),
        [](void* flag) { return static_cast<std::atomic<bool>*>(flag)->load(std::memory_order_relaxed); }, &abort_);
    batch_ = llama_batch_init(info_.batch, 0, 1);
  }

  ~LlamaEngine() override { llama_batch_free(batch_); }
  LlamaEngine(const LlamaEngine&) = delete;
  LlamaEngine& operator=(const LlamaEngine&) = delete;

  const Info& info() const override { return info_; }
  const Vocab& vocab() const override { return vocab_; }

  Result<Decoded> decode(std::span<const BatchToken> batch) override {
    batch_.n_tokens = static_cast<std::int32_t>(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      batch_.token[i] = batch[i].token;
      batch_.pos[i] = batch[i].position;
      batch_.n_seq_id[i] = 1;
      batch_.seq_id[i][0] = batch[i].sequence;
      batch_.logits[i] = batch[i].wants_logits ? 1 : 0;
    }
    const std::int32_t code = llama_decode(context_.get(), batch_);
    if (code == 0) return Decoded::ok;
    if (code == 1) return Decoded::no_room;
    if (code == 2) return Decoded::aborted;
    return fail(Code::failed,
                fmt::format("the model could not process a batch of {} tokens (llama_decode: {})", batch.size(), code));
  }

  std::span<const float> logits(std::size_t row) override {
    const float* values = llama_get_logits_ith(context_.get(), static_cast<std::int32_t>(row));
    return values ? std::span<const float>(values, static_cast<std::size_t>(vocab_.size())) : std::span<const float>();
  }

  Status fork(SequenceId from, SequenceId to, Position end) override {
    if (info_.state != StateKind::attention)
      return fail(Code::failed, "this model's state cannot be shared at a position");
    llama_memory_seq_cp(memory_, from, to, 0, end);
    return {};
  }

  bool truncate(SequenceId sequence, Position end) override {
    if (end >= length(sequence)) return true;
    // On sliding-window memory seq_rm succeeds beyond the window and leaves garbage.
    if (info_.state != StateKind::attention) return false;
    return llama_memory_seq_rm(memory_, sequence, end, -1);
  }

  void drop(SequenceId sequence) override { llama_memory_seq_rm(memory_, sequence, -1, -1); }

  Result<Bytes> save(SequenceId sequence, Position begin, Position end) override {
    if (info_.state != StateKind::attention)
      return fail(Code::failed, "rows of this model cannot be saved apart from its state");
    llama_memory_seq_cp(memory_, sequence, scratch_, begin, end);
    auto bytes = state_of(scratch_, 0);
    drop(scratch_);
    return bytes;
  }

  Status load(SequenceId sequence, Position begin, Position end, std::span<const std::byte> bytes) override {
    if (length(sequence) != begin)
      return fail(Code::failed, fmt::format("sequence {} ends at {}, not at {}", sequence, length(sequence), begin));
    TRY_OK(check_rows(begin, end, bytes));
    // The bytes are rows of this shape, so a refusal means that there are no cells for them.
    if (!set_state(scratch_, bytes, 0)) return fail(Code::busy, "there are no free cells for saved rows");
    llama_memory_seq_cp(memory_, scratch_, sequence, begin, end);
    drop(scratch_);
    return {};
  }

  Result<Bytes> save_state(SequenceId sequence) override {
    return state_of(sequence, LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY);
  }

  Status load_state(SequenceId sequence, std::span<const std::byte> bytes) override {
    return set_state(sequence, bytes, LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY);
  }

  void abort() override { abort_.store(true, std::memory_order_relaxed); }
  void clear_abort() override { abort_.store(false, std::memory_order_relaxed); }

 private:
  Position length(SequenceId sequence) const { return llama_memory_seq_pos_max(memory_, sequence) + 1; }

  Result<Bytes> state_of(SequenceId sequence, llama_state_seq_flags flags) {
    Bytes bytes(llama_state_seq_get_size_ext(context_.get(), sequence, flags));
    const std::size_t written = llama_state_seq_get_data_ext(
        context_.get(), reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size(), sequence, flags);
    if (written != bytes.size()) return fail(Code::failed, "libllama could not copy a sequence's state");
    return bytes;
  }

  Status set_state(SequenceId sequence, std::span<const std::byte> bytes, llama_state_seq_flags flags) {
    const std::size_t read = llama_state_seq_set_data_ext(
        context_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), sequence, flags);
    if (read == bytes.size()) return {};
    drop(sequence);
    return fail(Code::corrupt, "libllama refused saved state");
  }

  // libllama's layout (little endian): u32 magic, i32 sequence, u32 streams, u32 cells, then per
  // cell i32 position first. A wrong blob is refused here before it replaces anything.
  static Status check_rows(Position begin, Position end, std::span<const std::byte> bytes) {
    std::uint32_t cells = 0;
    std::int32_t first = 0;
    if (bytes.size() < 20) return fail(Code::corrupt, "saved rows are shorter than their header");
    std::memcpy(&cells, bytes.data() + 12, sizeof cells);
    std::memcpy(&first, bytes.data() + 16, sizeof first);
    if (cells != static_cast<std::uint32_t>(end - begin) || first != begin)
      return fail(Code::corrupt,
                  fmt::format("saved rows are {} cells from {}, wanted {} from {}", cells, first, end - begin, begin));
    return {};
  }

  ModelPtr model_;
  ContextPtr context_;
  llama_memory_t memory_;
  LlamaVocab vocab_;
  Info info_;
  SequenceId scratch_;
  llama_batch batch_{};
  std::atomic<bool> abort_{false};
};

StateKind state_kind(const llama_model* model) {
  if (llama_model_is_recurrent(model) || llama_model_is_hybrid(model)) return StateKind::recurrent;
  return llama_model_n_swa(model) > 0 ? StateKind::sliding_window : StateKind::attention;
}

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

// The context to use: what was asked for, else what the model was trained for, cut to what the
// memory bound allows.
std::int32_t choose_context(const LlamaOptions& options, std::int32_t trained, std::size_t token_bytes) {
  if (options.context > 0) {
    if (trained > 0 && options.context > trained)
      log::warn("context exceeds training", {{"context", options.context}, {"trained", trained}});
    return options.context;
  }
  std::int32_t context = trained > 0 ? trained : 4096;
  if (options.kv_bytes_max > 0 && token_bytes > 0) {
    const auto fits = static_cast<std::int64_t>(options.kv_bytes_max / token_bytes);
    if (fits < context) {
      context = static_cast<std::int32_t>(std::clamp<std::int64_t>(fits / 256 * 256, std::min(2048, context), context));
      log::warn("context reduced to fit memory",
                {{"context", context}, {"trained", trained}, {"hint", "set --context or --kv-type q8_0"}});
    }
  }
  return context;
}

// Cells of the shared pool: pool_factor contexts if memory allows, never less than one.
std::int32_t pool_cells(const LlamaOptions& options, std::int32_t context, std::size_t token_bytes) {
  std::int64_t cells = std::int64_t{context} * std::max(1, options.pool_factor);
  if (options.kv_bytes_max > 0 && token_bytes > 0)
    cells = std::min(cells, static_cast<std::int64_t>(options.kv_bytes_max / token_bytes) / 256 * 256);
  return static_cast<std::int32_t>(std::max<std::int64_t>(cells, context));
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
  info.state = state_kind(model);
  info.parameters = llama_model_n_params(model);
  info.model_bytes = llama_model_size(model);
  char description[128];
  llama_model_desc(model, description, sizeof description);
  info.fingerprint_parts = {"engine=llama.cpp-de3ff815",
                            fmt::format("description={}", description),
                            fmt::format("bytes={}", info.model_bytes),
                            fmt::format("parameters={}", info.parameters),
                            "kv=" + options.kv_type,
                            "flash_attention=on"};
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

  Info info = describe(model.get(), context.get(), options);
  info.context = std::min(context_tokens, info.cells);
  info.bytes_per_token = token_bytes;
  return std::make_unique<LlamaEngine>(std::move(model), std::move(context), std::move(info), options.sequences);
}

std::string llama_build() { return fmt::format("llama.cpp v0.5.0 (de3ff815) {}", llama_print_system_info()); }

}  // namespace kvern::engine
