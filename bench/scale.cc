// What kvern's scheduler and cache would do on machines that are not here: a table, or a JSON line a row.
//
//   scale_model [--json] [--only WORD] [--FLAG VALUE]...     scale_model --help names the flags
//
// docs/scale.md says what is modelled and what is not.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"
#include "base/log.h"
#include "scale/projection.h"

namespace kvern::bench {
namespace {

struct Wanted {
  std::vector<Deployment> deployments = known_deployments();
  TrafficShape shape;
  double decode_tokens_s = 0;  // with prefill_tokens_s: rates are fitted to them
  double prefill_tokens_s = 0;
  bool json = false;
  bool traffic = false;  // print the requests instead
};

// A number of every chosen deployment, or of the traffic.
struct Flag {
  std::string_view name;
  std::string_view help;
  std::function<void(Wanted&, double)> set;
};

template <typename T>
std::function<void(Wanted&, double)> machine(T Machine::*field) {
  return [field](Wanted& w, double value) {
    for (Deployment& deployment : w.deployments) deployment.machine.*field = static_cast<T>(value);
  };
}
std::function<void(Wanted&, double)> model(double Model::*field) {
  return [field](Wanted& w, double value) {
    for (Deployment& deployment : w.deployments) deployment.model.*field = value;
  };
}
template <typename T>
std::function<void(Wanted&, double)> traffic(T TrafficShape::*field) {
  return [field](Wanted& w, double value) { w.shape.*field = static_cast<T>(value); };
}

void set_context(Wanted& w, double value) {
  for (Deployment& deployment : w.deployments) deployment.context = static_cast<std::int32_t>(value);
  w.shape.context = static_cast<std::int32_t>(value);
}

const std::vector<Flag>& flags() {
  static const std::vector<Flag> kFlags = {
      {"bandwidth-gbs", "memory bandwidth, GB/s", machine(&Machine::bandwidth_gbs)},
      {"bandwidth-share", "of it that a step reaches", machine(&Machine::bandwidth_share)},
      {"tflops", "arithmetic of prompt work", machine(&Machine::tflops)},
      {"tflops-share", "of it that a full batch reaches", machine(&Machine::tflops_share)},
      {"device-gb", "memory for weights and KV", machine(&Machine::device_gb)},
      {"ram-cache-gb", "RAM tier", machine(&Machine::ram_cache_gb)},
      {"copy-gbs", "KV between device and RAM, GB/s", machine(&Machine::copy_gbs)},
      {"copy-us", "each copy, on top", machine(&Machine::copy_us)},
      {"disk-read-gbs", "GB/s", machine(&Machine::disk_read_gbs)},
      {"disk-write-gbs", "GB/s", machine(&Machine::disk_write_gbs)},
      {"disk-us", "each read or write, on top", machine(&Machine::disk_us)},
      {"step-us", "each step, on top", machine(&Machine::step_us)},
      {"row-us", "each drawn token, on top", machine(&Machine::row_us)},
      {"attends-all", "1: a step attends over all cells in use, 0: over a sequence's own",
       machine(&Machine::attends_all)},
      {"weights-gb", "of the model", model(&Model::weights_gb)},
      {"active-gb", "read for one token", model(&Model::active_gb)},
      {"experts-drawn", "part of the experts one token uses; 1: dense", model(&Model::experts_drawn)},
      {"params-b", "billions of parameters one token uses", model(&Model::active_params_b)},
      {"kv-bytes", "of one token", model(&Model::kv_bytes)},
      {"attention-flops", "4 * layers * heads * head size", model(&Model::attention_flops)},
      {"decode-tps", "measured: one stream, short context; with --prefill-tps in place of the rates",
       [](Wanted& w, double value) { w.decode_tokens_s = value; }},
      {"prefill-tps", "measured: a prompt of 512 tokens", [](Wanted& w, double value) { w.prefill_tokens_s = value; }},
      {"context", "tokens of one conversation", set_context},
      {"parallel", "streams decoding at once",
       [](Wanted& w, double value) {
         for (Deployment& deployment : w.deployments) deployment.parallel = static_cast<std::int32_t>(value);
       }},
      {"agents", "at work", traffic(&TrafficShape::agents)},
      {"turns", "of each agent", traffic(&TrafficShape::turns)},
      {"sub-agents", "of one turn at most", traffic(&TrafficShape::sub_agents)},
      {"head", "tokens of system text and tools", traffic(&TrafficShape::head_tokens)},
      {"own", "tokens a conversation begins with after it", traffic(&TrafficShape::own_tokens)},
      {"new-p50", "tokens a turn adds, median", traffic(&TrafficShape::new_p50)},
      {"new-p90", "and 90th percentile", traffic(&TrafficShape::new_p90)},
      {"answer-p50", "tokens of an answer, median", traffic(&TrafficShape::answer_p50)},
      {"think-s", "between answer and next request, median", traffic(&TrafficShape::think_p50_s)},
      {"seed", "of the traffic", traffic(&TrafficShape::seed)},
  };
  return kFlags;
}

void print_help() {
  fmt::print(
      "scale_model [--json] [--traffic] [--only WORD] [--FLAG NUMBER]...\n\n"
      "--only WORD chooses rows whose machine or model has WORD in its name; the flags after it change them.\n"
      "--traffic prints what the agents ask, for replaying it on a real server.\n\n");
  for (const Flag& flag : flags()) fmt::print("  --{:16} {}\n", flag.name, flag.help);
}

Result<double> number(std::string_view flag, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > 1e9)
    return fail(Code::invalid, fmt::format("{}: '{}' is no number from 0 to 1e9", flag, text));
  return value;
}

Status choose(Wanted& wanted, std::string_view word) {
  std::erase_if(wanted.deployments, [&](const Deployment& deployment) {
    return deployment.machine.name.find(word) == std::string::npos &&
           deployment.model.name.find(word) == std::string::npos;
  });
  if (!wanted.deployments.empty()) return {};
  std::string names;
  for (const Deployment& deployment : known_deployments())
    names += fmt::format("\n  {}, {}", deployment.machine.name, deployment.model.name);
  return fail(Code::invalid, fmt::format("--only {}: no row has it in its names. There are:{}", word, names));
}

Status check(const Wanted& wanted) {
  const TrafficShape& shape = wanted.shape;
  for (const Deployment& deployment : wanted.deployments) {
    if (deployment.parallel < 1 || deployment.parallel > 128) return fail(Code::invalid, "--parallel must be 1 to 128");
    if (deployment.machine.bandwidth_share <= 0 || deployment.machine.tflops_share <= 0)
      return fail(Code::invalid, "shares must be more than 0");
    TRY_OK(cells_of(deployment));
  }
  if (shape.agents < 1 || shape.agents > 1'000 || shape.turns < 1 || shape.turns > 100'000)
    return fail(Code::invalid, "--agents must be 1 to 1000, --turns 1 to 100000");
  if (shape.new_p50 < 1 || shape.new_p90 < shape.new_p50 || shape.answer_p50 < 1 || shape.think_p50_s <= 0)
    return fail(Code::invalid, "medians must be at least 1, a 90th percentile not below its median");
  if (static_cast<double>(shape.head_tokens) + shape.own_tokens > 0.5 * shape.context || shape.context > 1'000'000)
    return fail(Code::invalid, "--head and --own together must be half of --context at most, and that a million");
  return {};
}

Result<Wanted> parse(const std::vector<std::string_view>& words) {
  Wanted wanted;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--json" || word == "--traffic") {
      (word == "--json" ? wanted.json : wanted.traffic) = true;
      continue;
    }
    const auto flag = std::find_if(flags().begin(), flags().end(),
                                   [&](const Flag& f) { return word.starts_with("--") && word.substr(2) == f.name; });
    if (word != "--only" && flag == flags().end())
      return fail(Code::invalid, fmt::format("{} is no flag; --help names them", word));
    if (i + 1 == words.size()) return fail(Code::invalid, fmt::format("{} wants a value", word));
    const std::string_view value = words[++i];
    if (word == "--only") {
      TRY_OK(choose(wanted, value));
    } else {
      TRY(const double set, number(word, value));
      flag->set(wanted, set);
    }
  }
  if ((wanted.decode_tokens_s > 0) != (wanted.prefill_tokens_s > 0))
    return fail(Code::invalid, "--decode-tps and --prefill-tps go together");
  if (wanted.decode_tokens_s > 0) {
    for (Deployment& deployment : wanted.deployments)
      fit_rates(deployment.machine, deployment.model, wanted.decode_tokens_s, wanted.prefill_tokens_s);
  }
  TRY_OK(check(wanted));
  return wanted;
}

struct ModeName {
  cache::Mode mode;
  std::string_view name;
};
constexpr std::array kModes = {ModeName{cache::Mode::full, "kvern"},
                               ModeName{cache::Mode::whole_sequences, "own sequence only"},
                               ModeName{cache::Mode::off, "no reuse"}};

void print_row(const Wanted& wanted, const Deployment& deployment, std::string_view mode, const Projection& p) {
  if (!wanted.json) {
    fmt::print("| {} | {} | {} | {} | {:.2f} | {:.2f} | {:.1f} | {:.1f} % | {:.1f} | {:.1f} | {:.1f} |\n",
               deployment.machine.name, deployment.model.name, mode, p.requests, p.ttft_p50_s, p.ttft_p95_s,
               p.stream_tokens_s, 100 * p.computed_share, p.prompt_tokens / 1e6, p.hours, p.disk_written_gb);
    return;
  }
  std::string line = "{\"machine\": ";
  append_json_string(line, deployment.machine.name);
  line += ", \"model\": ";
  append_json_string(line, deployment.model.name);
  fmt::print(
      "{}, \"mode\": \"{}\", \"requests\": {}, \"ttft_p50_s\": {:.4f}, \"ttft_p95_s\": {:.4f}, "
      "\"stream_tokens_s\": {:.3f}, \"prompt_tokens\": {}, \"computed_share\": {:.5f}, \"ram_share\": {:.5f}, "
      "\"disk_share\": {:.5f}, \"hours\": {:.3f}, \"disk_written_gb\": {:.2f}, \"steps\": {}}}\n",
      line, mode, p.requests, p.ttft_p50_s, p.ttft_p95_s, p.stream_tokens_s, p.prompt_tokens, p.computed_share,
      p.from_ram_share, p.from_disk_share, p.hours, p.disk_written_gb, p.steps);
}

// An agent a line, its requests as [prompt tokens kept of what was said, new tokens, answer tokens, pause in us].
void print_traffic(const TrafficShape& shape) {
  for (Agent& agent : make_agents(shape)) {
    fmt::print("{{\"agent\": \"{}\", \"requests\": [", agent.name());
    std::vector<TokenId> before;
    for (bool first = true; !agent.finished(); first = false) {
      const Request request = agent.next();
      const std::int32_t kept = cache::common_prefix(before, request.prompt);
      fmt::print("{}[{}, {}, {}, {}]", first ? "" : ", ", kept, static_cast<std::int32_t>(request.prompt.size()) - kept,
                 request.answer_tokens, request.think_us);
      before = request.prompt;
      const std::vector<TokenId> answer(static_cast<std::size_t>(request.answer_tokens), '.');
      before.insert(before.end(), answer.begin(), answer.end());
      agent.answered(answer);
    }
    fmt::print("]}}\n");
  }
}

int run(const std::vector<std::string_view>& words) {
  log::configure(log::Level::off, log::Format::text);
  if (std::find(words.begin(), words.end(), "--help") != words.end()) {
    print_help();
    return 0;
  }
  const auto wanted = parse(words);
  if (!wanted) {
    fmt::print(stderr, "scale_model: {}\n", wanted.error().message);
    return 2;
  }
  if (wanted->traffic) {
    print_traffic(wanted->shape);
    return 0;
  }
  if (!wanted->json)
    fmt::print(
        "| machine | model | reuse | requests | TTFT p50 s | TTFT p95 s | tokens/s a stream | computed | "
        "prompt tokens, millions | hours | GB to disk |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n");
  for (const Deployment& deployment : wanted->deployments) {
    for (const ModeName& mode : kModes) {
      const auto projection = project(deployment, wanted->shape, mode.mode);
      if (!projection) {
        fmt::print(stderr, "scale_model: {}, {}: {}\n", deployment.machine.name, mode.name, projection.error().message);
        return 1;
      }
      print_row(*wanted, deployment, mode.name, *projection);
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace kvern::bench

int main(int count, char** arguments) { return kvern::bench::run({arguments + 1, arguments + count}); }
