#include "scale/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvern::bench {
namespace {

// Of the device's memory; the rest is for activations and what else runs there.
constexpr double kUsable = 0.9;
constexpr double kGB = 1e9;
constexpr double kBatch = 512;

// Bytes of weights that so many tokens touch: their experts overlap, more so the more tokens there are.
double weights_read(const Model& model, double tokens) {
  if (model.experts_drawn >= 1) return model.weights_gb * kGB;
  const double experts_gb = (model.weights_gb - model.active_gb) / (1 - model.experts_drawn);
  const double touched = 1 - std::pow(1 - model.experts_drawn, tokens);
  return (model.weights_gb - experts_gb * (1 - touched)) * kGB;
}

Machine machine(std::string name, double bandwidth_gbs, double tflops, double tflops_share, double device_gb) {
  Machine m;
  m.name = std::move(name);
  m.bandwidth_gbs = bandwidth_gbs;
  m.tflops = tflops;
  m.tflops_share = tflops_share;
  m.device_gb = device_gb;
  return m;
}

struct Heads {
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;
  int size = 128;
};

Model model(std::string name, double weights_gb, double params_b, const Heads& heads) {
  Model m;
  m.name = std::move(name);
  m.weights_gb = weights_gb;
  m.active_gb = weights_gb;
  m.active_params_b = params_b;
  m.kv_bytes = 2.0 * 2.0 * heads.layers * heads.kv_heads * heads.size;  // K and V, f16
  m.attention_flops = 4.0 * heads.layers * heads.heads * heads.size;
  return m;
}

}  // namespace

Result<std::int32_t> cells_of(const Deployment& deployment) {
  const Machine& m = deployment.machine;
  const Model& of = deployment.model;
  if (std::min({m.bandwidth_gbs, m.tflops, m.device_gb, m.copy_gbs, m.disk_read_gbs, m.disk_write_gbs}) <= 0)
    return fail(Code::invalid, "every rate and size of a machine must be more than 0");
  if (std::min({of.weights_gb, of.active_gb, of.active_params_b, of.kv_bytes}) <= 0)
    return fail(Code::invalid, "every size of a model must be more than 0");
  const double room = (m.device_gb * kUsable - of.weights_gb) * kGB / of.kv_bytes;
  if (room < deployment.context)
    return fail(Code::invalid,
                fmt::format("{} on {}: {} GB hold {:.1f} GB of weights and {:.0f} tokens, not {}", of.name, m.name,
                            m.device_gb, of.weights_gb, std::max(room, 0.0), deployment.context));
  return static_cast<std::int32_t>(std::min(room, 2.0 * deployment.context));
}

double step_us(const Machine& machine, const Model& model, const StepLoad& load) {
  const double bytes = weights_read(model, load.tokens) + load.cells_read * model.kv_bytes;
  const double flops = 2e9 * model.active_params_b * load.tokens + load.attended * model.attention_flops;
  const double read_s = bytes / (machine.bandwidth_gbs * kGB * machine.bandwidth_share);
  const double compute_s = flops / (machine.tflops * 1e12 * machine.tflops_share);
  return machine.step_us + machine.row_us * load.rows + 1e6 * std::max(read_s, compute_s);
}

double copy_us(const Machine& machine, const Model& model, std::int32_t tokens) {
  return machine.copy_us + 1e6 * tokens * model.kv_bytes / (machine.copy_gbs * kGB);
}

StepLoad load_of(const Machine& machine, std::span<const engine::BatchToken> batch, std::int32_t cells_in_use) {
  StepLoad load;
  load.tokens = static_cast<std::int32_t>(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    load.rows += batch[i].wants_logits;
    load.attended += machine.attends_all ? cells_in_use : batch[i].position + 1;
    const bool last = i + 1 == batch.size() || batch[i + 1].sequence != batch[i].sequence;
    if (!machine.attends_all && last) load.cells_read += batch[i].position + 1;
  }
  if (machine.attends_all) load.cells_read = cells_in_use;
  return load;
}

void fit_rates(Machine& machine, const Model& model, double decode_tokens_s, double prefill_tokens_s) {
  const double decode_s = 1 / decode_tokens_s - (machine.step_us + machine.row_us) / 1e6;
  const double batch_s = kBatch / prefill_tokens_s - machine.step_us / 1e6;
  machine.bandwidth_share = 1;
  machine.tflops_share = 1;
  machine.bandwidth_gbs = weights_read(model, 1) / kGB / std::max(decode_s, 1e-9);
  const double attended = kBatch * kBatch / 2;
  machine.tflops =
      (2e9 * model.active_params_b * kBatch + attended * model.attention_flops) / 1e12 / std::max(batch_s, 1e-9);
}

// Bandwidths, memory sizes and arithmetic are those of public data sheets; Apple publishes no arithmetic, and a CPU's
// is cores * clock * 32 (two 8-wide multiply-adds). The shares are assumptions.
std::vector<Deployment> known_deployments() {
  Machine mac = machine("Apple M4 Max, 128 GB", 546, 34, 0.5, 96);
  mac.copy_gbs = 50;  // one memory
  mac.copy_us = 50;
  mac.attends_all = false;
  Machine cpu = machine("8-core CPU, DDR5-5600", 89.6, 1.0, 0.5, 28);
  cpu.copy_gbs = 10;
  cpu.step_us = 200;
  cpu.attends_all = false;
  Model coder = model("30B-A3B Q4_K_M", 18.6, 3.3, {48, 32, 4});
  coder.active_gb = 2.0;
  coder.experts_drawn = 8.0 / 128;
  return {
      {mac, coder},
      {machine("RTX 4090, 24 GB", 1008, 330, 0.4, 24), model("8B Q8_0", 8.5, 8.0, {32, 32, 8})},
      {machine("RTX 6000 Ada, 48 GB", 960, 364, 0.4, 48), model("32B Q4_K_M", 19.8, 32.8, {64, 64, 8})},
      {machine("H200, 141 GB", 4800, 989, 0.35, 141), model("70B Q8_0", 75.0, 70.6, {80, 64, 8})},
      {cpu, model("4B Q4_K_M", 2.5, 4.0, {36, 32, 8})},
  };
}

}  // namespace kvern::bench
