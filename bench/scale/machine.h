// What a step, a copy and a read take on a machine that is described by its rates, not measured here.
//
// A step is limited by memory or by arithmetic, whichever takes longer: the weights it touches and the KV it
// attends to are read once, and every token of the batch costs its multiplications. A fixed part and a part for
// each drawn token come on top. Pure; thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"

namespace kvern::bench {

struct Machine {
  std::string name;
  double bandwidth_gbs = 0;      // of the memory weights and KV are in, as its data sheet says
  double bandwidth_share = 0.7;  // of it that a step reaches
  double tflops = 0;             // multiplications and additions of prompt work, as its data sheet says
  double tflops_share = 0.4;     // of them that a full batch reaches
  double device_gb = 0;          // for weights and KV
  double ram_cache_gb = 8;       // RAM tier
  double copy_gbs = 10;          // KV between device and RAM
  double copy_us = 100;          // each copy, on top
  double disk_read_gbs = 5;
  double disk_write_gbs = 3;
  double disk_us = 300;  // each read, on top
  double step_us = 500;  // each step: launches, the scheduler, what waits for it
  double row_us = 200;   // each drawn token: its sampler (bench/core_micro.cc) and grammar
  // A step attends over all cells in use (CUDA), not only over a sequence's own (Metal, Vulkan, CPU).
  bool attends_all = true;
};

struct Model {
  std::string name;
  double weights_gb = 0;
  double active_gb = 0;        // read for one token; less than weights_gb: experts
  double experts_drawn = 1;    // part of the experts that one token uses
  double active_params_b = 0;  // billions, of one token
  double kv_bytes = 0;         // of one token's cells
  double attention_flops = 0;  // of one token for each position it attends to: 4 * layers * heads * head size
};

struct Deployment {
  Machine machine;
  Model model;
  std::int32_t context = 65'536;
  std::int32_t parallel = 4;
};

// The cells there is room for beside the weights, two contexts at most, as kvern takes them. Code::invalid when
// one context does not fit, or a rate is missing.
Result<std::int32_t> cells_of(const Deployment& deployment);

struct StepLoad {
  std::int32_t tokens = 0;
  std::int32_t rows = 0;  // tokens drawn from
  double attended = 0;    // positions, over all tokens
  double cells_read = 0;  // whose KV is read
};

double step_us(const Machine& machine, const Model& model, const StepLoad& load);
double copy_us(const Machine& machine, const Model& model, std::int32_t tokens);

// What a step of this batch has to do; cells_in_use: of all sequences.
StepLoad load_of(const Machine& machine, std::span<const engine::BatchToken> batch, std::int32_t cells_in_use);

// Sets the rates so that one stream decodes, and a batch of 512 is computed, at these speeds near position 0: for a
// machine that was measured.
void fit_rates(Machine& machine, const Model& model, double decode_tokens_s, double prefill_tokens_s);

// The pairs of the table.
std::vector<Deployment> known_deployments();

}  // namespace kvern::bench
