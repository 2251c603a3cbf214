#include "engine/fake/fake_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/limits.h"

namespace kvern::engine {
namespace {

std::string_view name_of(Keeps keeps) {
  switch (keeps) {
    case Keeps::rows: return "attention";
    case Keeps::rows_and_window: return "sliding_window";
    case Keeps::rows_and_state: return "hybrid";
    case Keeps::state: return "recurrent";
  }
  return "";
}

StateKind state_kind(Keeps keeps) {
  if (keeps == Keeps::rows) return StateKind::attention;
  return keeps == Keeps::rows_and_window ? StateKind::sliding_window : StateKind::recurrent;
}

Info info_of(const Script& script) {
  Info info;
  info.name = "fake";
  info.architecture = "fake";
  info.chat_template = script.chat_template;
  info.context = script.context;
  info.context_trained = script.context;
  info.cells = script.cells > 0 ? script.cells : script.context;
  info.sequences = script.sequences;
  info.batch = script.batch;
  info.state = state_kind(script.keeps);
  info.takes_back = script.keeps == Keeps::rows || script.keeps == Keeps::rows_and_window;
  info.has_rows = script.keeps != Keeps::state;
  info.bytes_per_token = script.keeps == Keeps::state ? 0 : Kv::kBytesPerRow;
  // Neither rules nor speed: they change what is said, not the KV of a text.
  info.fingerprint_parts = {"engine=fake", "kv=chain1", fmt::format("vocabulary={}", FakeVocab::kSize),
                            fmt::format("state={}", name_of(script.keeps)), fmt::format("window={}", script.window)};
  info.rows_in_parallel = script.rows_in_parallel;
  info.efficient_batch = script.rows_in_parallel ? info.batch : std::min(info.batch, 128);
  return info;
}

Result<std::unique_ptr<FakeEngine>> make(Result<Script> parsed, const Overrides& overrides) {
  TRY(Script script, std::move(parsed));
  if (overrides.context < 0) return fail(Code::invalid, "the context must be at least 1", "context");
  if (overrides.cells < 0) return fail(Code::invalid, "the cells must be at least 1", "cells");
  if (overrides.sequences < 0 || overrides.sequences > static_cast<std::int32_t>(limits::kSequences))
    return fail(Code::invalid, fmt::format("the sequences must be 1 to {}", limits::kSequences), "sequences");
  if (overrides.context > 0) script.context = overrides.context;
  if (overrides.sequences > 0) script.sequences = overrides.sequences;
  if (overrides.cells > 0) script.cells = overrides.cells;
  script.rows_in_parallel = overrides.rows_in_parallel;
  return std::make_unique<FakeEngine>(std::move(script));
}

}  // namespace

std::atomic<std::uint64_t> FakeEngine::mismatches_ = 0;

FakeEngine::FakeEngine(Script script)
    : script_(std::move(script)),
      info_(info_of(script_)),
      kv_({info_.cells, info_.sequences, script_.keeps, script_.window}),
      speech_(script_.rules, kv_, info_.sequences) {}

Status FakeEngine::check_id(SequenceId sequence) const {
  if (sequence >= 0 && sequence < info_.sequences) return {};
  return fail(Code::failed, fmt::format("there is no sequence {}: ids are 0 to {}", sequence, info_.sequences - 1));
}

Status FakeEngine::check_batch(std::span<const BatchToken> batch) const {
  if (batch.empty() || batch.size() > static_cast<std::size_t>(info_.batch))
    return fail(Code::failed, fmt::format("a batch of {} tokens: 1 to {} can be decoded", batch.size(), info_.batch));
  std::vector<Position> added(static_cast<std::size_t>(info_.sequences), 0);
  for (const BatchToken& token : batch) {
    TRY_OK(check_id(token.sequence));
    if (token.token < 0 || token.token >= vocab_.size())
      return fail(Code::failed, fmt::format("there is no token {}: ids are 0 to {}", token.token, vocab_.size() - 1));
    Position& count = added[static_cast<std::size_t>(token.sequence)];
    const Position expected = kv_.length(token.sequence) + count++;
    if (token.position != expected)
      return fail(Code::failed, fmt::format("sequence {} continues at position {}, not at {}", token.sequence, expected,
                                            token.position));
    if (expected >= info_.context)
      return fail(Code::failed, fmt::format("position {} of sequence {} is outside the context of {}", expected,
                                            token.sequence, info_.context));
  }
  return {};
}

Status FakeEngine::begin_sequences(std::span<const BatchToken> batch) {
  SequenceId last = -1;
  for (const BatchToken& token : batch) {
    if (token.sequence == last) continue;
    last = token.sequence;
    if (Status verified = kv_.verify(last); !verified) {
      ++mismatches_;
      return verified;
    }
    kv_.begin_decode(last);
  }
  return {};
}

// When each token is done: sequences that generate share a step, prompt tokens follow each other. Who looks at
// several guesses in one decode is no faster than one who generates token by token.
std::vector<FakeEngine::Time> FakeEngine::schedule(std::span<const BatchToken> batch) const {
  const auto step = [](double rate) { return std::chrono::duration<double>(rate > 0 ? 1 / rate : 0); };
  std::vector<int> silent(static_cast<std::size_t>(info_.sequences), 0);
  for (const BatchToken& token : batch) silent[static_cast<std::size_t>(token.sequence)] += !token.wants_logits;
  std::vector<int> generated(static_cast<std::size_t>(info_.sequences), 0);
  std::chrono::duration<double> due{0};
  int steps = 0;
  std::vector<Time> times;
  const Time start = std::chrono::steady_clock::now();
  for (const BatchToken& token : batch) {
    const auto sequence = static_cast<std::size_t>(token.sequence);
    if (silent[sequence] > 0) {
      due += step(script_.prefill_tokens_per_second);
    } else if (++generated[sequence] > steps) {
      ++steps;
      due += step(script_.tokens_per_second);
    }
    times.push_back(start + std::chrono::duration_cast<Time::duration>(due));
  }
  return times;
}

// False when aborted.
bool FakeEngine::wait_until(Time due) {
  std::unique_lock lock(abort_mutex_);
  if (due <= std::chrono::steady_clock::now()) return !aborted_;  // no system call where there is no rate
  return !abort_changed_.wait_until(lock, due, [this] { return aborted_; });
}

Result<Decoded> FakeEngine::decode(std::span<const BatchToken> batch) {
  logits_.clear();
  logits_rows_.assign(batch.size(), -1);
  TRY_OK(check_batch(batch));
  if (static_cast<std::size_t>(kv_.cells_free()) < batch.size()) return Decoded::no_room;
  TRY_OK(begin_sequences(batch));
  const std::vector<Time> due = schedule(batch);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!wait_until(due[i])) {
      logits_rows_.assign(batch.size(), -1);
      return Decoded::aborted;
    }
    commit(batch[i], i);
  }
  charge_for(batch);
  return Decoded::ok;
}

void FakeEngine::charge_for(std::span<const BatchToken> batch) const {
  if (!clock_) return;
  static constexpr std::size_t kFew = 64;
  const double token_us = cost_.token_us + (batch.size() < kFew ? cost_.few_us : 0);
  double us = static_cast<double>(cost_.step_us);
  for (const BatchToken& token : batch) us += token_us + cost_.position_us * token.position;
  clock_->advance_us(static_cast<std::int64_t>(us));
}

void FakeEngine::commit(const BatchToken& token, std::size_t row) {
  kv_.append(token.sequence, token.token);
  if (!token.wants_logits) {
    speech_.given(token.sequence);
    return;
  }
  const auto width = static_cast<std::size_t>(vocab_.size());
  logits_rows_[row] = static_cast<std::int32_t>(logits_.size() / width);
  logits_.resize(logits_.size() + width);
  fill_logits(std::span(logits_).last(width), speech_.wish(token.sequence), token.position, token.token);
}

std::span<const float> FakeEngine::logits(std::size_t row) {
  CHECK(row < logits_rows_.size() && logits_rows_[row] >= 0, fmt::format("row={} rows={}", row, logits_rows_.size()));
  const auto width = static_cast<std::size_t>(vocab_.size());
  return std::span(logits_).subspan(static_cast<std::size_t>(logits_rows_[row]) * width, width);
}

std::vector<TokenId> FakeEngine::tokens(SequenceId sequence) const {
  CHECK(check_id(sequence), fmt::format("sequence={}", sequence));
  std::vector<TokenId> out;
  for (Position i = 0; i < kv_.length(sequence); ++i) out.push_back(kv_.token(sequence, i));
  return out;
}

Status FakeEngine::fork(SequenceId from, SequenceId to, Position end) {
  TRY_OK(check_id(from));
  TRY_OK(check_id(to));
  TRY_OK(kv_.fork(from, to, end));
  if (info_.has_rows) speech_.forked(from, to, end);
  return {};
}

bool FakeEngine::truncate(SequenceId sequence, Position end) {
  CHECK(check_id(sequence) && end >= 0, fmt::format("sequence={} end={}", sequence, end));
  if (!kv_.truncate(sequence, end)) return false;
  speech_.truncated(sequence, end);
  return true;
}

void FakeEngine::drop(SequenceId sequence) {
  CHECK(check_id(sequence), fmt::format("sequence={}", sequence));
  kv_.drop(sequence);
  speech_.truncated(sequence, -1);
}

Result<Bytes> FakeEngine::save(SequenceId sequence, Position begin, Position end) {
  TRY_OK(check_id(sequence));
  return kv_.save(sequence, begin, end);
}

Status FakeEngine::load(SequenceId sequence, Position begin, Position end, std::span<const std::byte> bytes) {
  TRY_OK(check_id(sequence));
  if (end > info_.context)
    return fail(Code::failed, fmt::format("cannot load [{}, {}) into a context of {}", begin, end, info_.context));
  TRY_OK(kv_.load(sequence, begin, end, bytes));
  speech_.given(sequence);
  return {};
}

Result<Bytes> FakeEngine::save_state(SequenceId sequence) {
  TRY_OK(check_id(sequence));
  return kv_.save_state(sequence);
}

Status FakeEngine::load_state(SequenceId sequence, Position end, std::span<const std::byte> bytes) {
  TRY_OK(check_id(sequence));
  TRY_OK(kv_.load_state(sequence, end, bytes));
  speech_.given(sequence);
  return {};
}

void FakeEngine::abort() {
  {
    const std::lock_guard lock(abort_mutex_);
    aborted_ = true;
  }
  abort_changed_.notify_all();
}

void FakeEngine::clear_abort() {
  const std::lock_guard lock(abort_mutex_);
  aborted_ = false;
}

Result<std::unique_ptr<FakeEngine>> make_fake_engine(const std::string& script_path, Overrides overrides) {
  return make(read_script(script_path), overrides);
}

Result<std::unique_ptr<FakeEngine>> make_fake_engine_from_text(std::string_view json_text, Overrides overrides) {
  return make(parse_script(json_text, ""), overrides);
}

}  // namespace kvern::engine
