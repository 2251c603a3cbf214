// Scheduler: one step on the engine, and what follows from it.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "schedule/scheduler.h"

namespace kvern::schedule {

void Scheduler::decode() {
  batch_.clear();
  for (const PlanShare& share : plan_.shares) {
    const Sequence& sequence = *running_[share.item];
    const engine::SequenceId id = sequence.lease->sequence();
    std::int32_t position = sequence.computed;
    for (std::int32_t i = 0; i < share.tokens; ++i, ++position)
      batch_.push_back(
          {sequence.tokens()[static_cast<std::size_t>(position)], id, position, position + 1 == sequence.size()});
    for (const TokenId token : sequence.draft()) batch_.push_back({token, id, position++, true});
  }
  const std::int64_t begin_us = clock_.now_us();
  const auto decoded = engine_.decode(batch_);
  const std::int64_t took_us = clock_.now_us() - begin_us;
  if (decoded && *decoded == engine::Decoded::ok) {
    settle(took_us);
  } else if (decoded && *decoded == engine::Decoded::no_room) {
    // The ledger never counts too few, so the engine has lost cells to fragmentation at worst.
    if (!cache_.make_room(cache_.free_cells() + 1)) give_way();
  } else if (decoded) {
    for (const PlanShare& share : plan_.shares)
      cache_.cut(*running_[share.item]->lease, running_[share.item]->computed);
    for (const SequencePtr& sequence : running_) sequence->computed = cache_.length(*sequence->lease);
  } else {
    log::error("decode failed", {{"why", decoded.error().message}});
    while (!running_.empty()) {
      Sequence& last = *running_.back();
      cache_.cut(*last.lease, 0);  // nothing computed beside a failure is trusted
      end_running(running_.size() - 1, {FinishReason::failed, {}, decoded.error(), {}});
    }
  }
}

// Before the step's tokens count as computed.
void Scheduler::measure(std::int64_t took_us) {
  StepShape shape;
  std::int64_t depths = 0;
  for (const PlanShare& share : plan_.shares) {
    const Sequence& sequence = *running_[share.item];
    const bool decoding = sequence.decoding();
    shape.decoding += decoding;
    shape.drafted += share.drafted;
    const std::int32_t beside = share.tokens - decoding;
    shape.beside += beside;
    depths += std::int64_t{beside} * (sequence.computed + share.tokens / 2);
  }
  if (shape.beside > 0) shape.depth = static_cast<std::int32_t>(depths / shape.beside);
  count_credit(shape, took_us);
  cost_.measured(shape, took_us);
  if (shape.decoding > 0) step_us_ = blend(step_us_, took_us);
  save_credit_us_ = std::min(save_credit_us_ + kMoveShare * static_cast<double>(took_us), 2 * save_us_);
}

// Guesses are no disturbance: they are there to save steps.
void Scheduler::count_credit(const StepShape& shape, std::int64_t took_us) {
  if (shape.decoding == 0) return credit_.undisturbed();
  const auto took = static_cast<double>(took_us);
  if (const auto decode_us = cost_.decode_us(shape.decoding))
    credit_.decoded(*decode_us, shape.beside > 0 ? took : *decode_us);
}

// Who could have had a part of this step and got none was passed over, if another prompt had one.
void Scheduler::count_passed() {
  const bool somebody = std::any_of(plan_.shares.begin(), plan_.shares.end(),
                                    [this](const PlanShare& share) { return items_[share.item].prefills(); });
  if (!somebody) return;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].prefills()) ++running_[i]->passed;
  }
  for (const PlanShare& share : plan_.shares) running_[share.item]->passed = 0;
}

void Scheduler::settle(std::int64_t took_us) {
  const bool alone = plan_.shares.size() == 1;
  measure(took_us);
  count_passed();
  std::size_t row = 0;
  std::vector<std::pair<std::size_t, Ending>> endings;
  for (const PlanShare& share : plan_.shares) {
    Sequence& sequence = *running_[share.item];
    const auto computed =
        sequence.tokens().subspan(static_cast<std::size_t>(sequence.computed), static_cast<std::size_t>(share.tokens));
    cache_.grew(*sequence.lease, computed, alone ? took_us : 0);
    sequence.computed += share.tokens;
    clients_.computed(*sequence.client, share.tokens + share.drafted);
    if (sequence.at_stop()) cache_.boundary(*sequence.lease);
    sequence.usage.pending_tokens =
        std::clamp(sequence.usage.prompt_tokens - sequence.computed, 0, sequence.usage.pending_tokens);
    row += static_cast<std::size_t>(share.tokens);
    tell_progress(sequence);
    CHECK(share.drafted == 0 || sequence.pending() == 0);
    if (sequence.pending() > 0) continue;
    const bool first = !sequence.started();
    rows_.clear();
    for (std::int32_t i = 0; i <= share.drafted; ++i)
      rows_.push_back(engine_.logits(row - 1 + static_cast<std::size_t>(i)));
    row += static_cast<std::size_t>(share.drafted);
    Progress progress = sequence.advance(rows_);
    settle_draft(sequence, share.drafted);
    if (first) {
      sequence.first_token_us = clock_.now_us();
      sequence.usage.ttft_us = sequence.first_token_us - sequence.submitted_us();
    }
    if (progress.ended) endings.emplace_back(share.item, std::move(progress.ending));
  }
  std::sort(endings.begin(), endings.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (auto& [index, ending] : endings) end_running(index, std::move(ending));
}

void Scheduler::end_running(std::size_t index, Ending ending) {
  SequencePtr sequence = std::move(running_[index]);
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
  crowded_ = false;
  ++changes_;
  end(std::move(sequence), std::move(ending));
}

void Scheduler::end(SequencePtr sequence, Ending ending) {
  const RequestReport report = report_of(*sequence);
  if (sequence->lease) cache_.release(std::move(*sequence->lease));
  sequence->lease.reset();
  if (sequence->client) clients_.leave(*sequence->client);
  if (options_.reuse_log) options_.reuse_log->finish(sequence->request().id, sequence->usage, sequence->tokens());
  if (ending.stop.empty()) sequence->flush();
  Usage& usage = sequence->usage;
  if (sequence->started()) usage.decode_us = clock_.now_us() - sequence->first_token_us;
  const double decode_s = static_cast<double>(usage.decode_us) / 1e6;
  const double rate = decode_s > 0 && usage.completion_tokens > 1 ? (usage.completion_tokens - 1) / decode_s : 0;
  log::info("request", {{"id", sequence->request().id},
                        {"prompt", usage.prompt_tokens},
                        {"reused", usage.reused_tokens()},
                        {"memory", usage.reused_memory_tokens},
                        {"disk", usage.reused_disk_tokens},
                        {"computed", usage.computed_tokens()},
                        {"why", to_string(usage.why)},
                        {"queue_ms", static_cast<double>(usage.queue_us) / 1e3},
                        {"ttft_ms", static_cast<double>(usage.ttft_us) / 1e3},
                        {"out", usage.completion_tokens},
                        {"forced", usage.forced_tokens},
                        {"drafted", usage.drafted_tokens},
                        {"accepted", usage.accepted_tokens},
                        {"tok_s", rate},
                        {"finish", to_string(ending.reason)}});
  ending.usage = usage;
  cache_.count(usage);
  if (options_.on_end) options_.on_end(report, usage, ending.reason);
  changed_ = true;
  submitted_.fetch_sub(1);
  publish_stats();
  sequence->stream().end(std::move(ending));
}

}  // namespace kvern::schedule
