// llama-server's flags (tools/server and common/arg.cpp, autumn 2026), in the order of its help.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "cli/foreign_flags.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

using Values = Result<std::vector<std::string>>;

// "-1" is llama-server's "you choose".
Values or_default(const std::string& value) {
  if (value == "-1") return std::vector<std::string>{};
  return std::vector<std::string>{value};
}

Values mebibytes(const std::string& value) {
  if (value == "-1") return fail(Code::invalid, "a cache without a limit is not offered; give --cache-ram 16G or so");
  if (!parse_integer(value, 0, INT64_C(1) << 40))
    return fail(Code::invalid, fmt::format("expected a number of MiB, found '{}'", value));
  return std::vector<std::string>{value == "0" ? value : value + "M"};
}

Values debug_level(const std::string&) { return std::vector<std::string>{"debug"}; }

Values level_of_number(const std::string& value) {
  const auto number = parse_integer(value, -1, 1'000'000'000);
  if (!number) return fail(Code::invalid, fmt::format("expected a number, found '{}'", value));
  static constexpr std::array<const char*, 5> kLevels = {"off", "error", "warn", "info", "debug"};
  return std::vector<std::string>{kLevels[static_cast<std::size_t>(std::clamp<std::int64_t>(*number, 0, 4))]};
}

Values levels_off(const std::string&) { return std::vector<std::string>{"off"}; }

Values json_format(const std::string&) { return std::vector<std::string>{"json"}; }

Values on_switch(const std::string&) { return std::vector<std::string>{"true"}; }

Values only_split_reasoning(const std::string& value) {
  if (value == "auto" || value == "deepseek") return std::vector<std::string>{};
  return fail(
      Code::invalid,
      fmt::format("'{}' is not offered: reasoning always comes as reasoning_content; leave the flag out", value));
}

Values thinking_of_word(const std::string& value) {
  if (value == "auto") return std::vector<std::string>{};
  if (value == "on" || value == "off") return std::vector<std::string>{value == "on" ? "true" : "false"};
  return fail(Code::invalid, fmt::format("expected on, off or auto, found '{}'", value));
}

Values only_flash(const std::string& value) {
  if (value != "off" && value != "0" && value != "false") return std::vector<std::string>{};
  return fail(Code::invalid, "attention without it is not offered; leave the flag out");
}

Values no_context_shift(const std::string& value) {
  if (value == "0") return std::vector<std::string>{};
  return fail(Code::invalid, "a context that is full is an error here, nothing is dropped; leave the flag out");
}

Values keys_in_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(Code::invalid, fmt::format("{} cannot be opened", path));
  std::vector<std::string> keys;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) keys.push_back(line);
  }
  if (keys.empty()) return fail(Code::invalid, fmt::format("{} holds no key", path));
  return keys;
}

constexpr std::string_view kNoTuning = "not needed; threads are one a physical core, or as --threads says";
constexpr std::string_view kFetch = "models are not fetched by name; download the GGUF file and give it with -m";
constexpr std::string_view kAdapter = "adapters are not supported; merge it into the model and serve that";
constexpr std::string_view kVision = "pictures and sound are not supported; leave it out to serve the text model";
constexpr std::string_view kNoTls = "put a proxy that speaks TLS in front, or use --unix-socket";
constexpr std::string_view kSampler = "this sampler is not offered; see docs/api.md for those that are";
constexpr std::string_view kRope = "the model file's own value is used; change it there";
constexpr std::string_view kOneFormat = "for all requests it is not offered; send it in the request";

constexpr std::array kFlags = {
    ForeignFlag{"-m, --model", "FNAME", Effect::same, "", ""},
    ForeignFlag{"-mu, --model-url", "URL", Effect::refused, "", kFetch},
    ForeignFlag{"-hf, -hfr, --hf-repo", "USER/MODEL[:QUANT]", Effect::maps, "model",
                "found where it was downloaded before, never fetched"},
    ForeignFlag{"-hff, --hf-file", "FILE", Effect::refused, "", kFetch},
    ForeignFlag{"-hft, --hf-token", "TOKEN", Effect::refused, "", kFetch},
    ForeignFlag{"-dr, --docker-repo", "REPO", Effect::refused, "", kFetch},
    ForeignFlag{"--offline", "", Effect::nothing, "", "not needed; a model that is named is never fetched"},
    ForeignFlag{"-a, --alias", "STRING", Effect::maps, "name", ""},
    ForeignFlag{"--tags", "STRING", Effect::nothing, "", "not shown anywhere here"},
    ForeignFlag{"-c, --ctx-size", "N", Effect::maps, "context",
                "what one conversation may hold, not a total to be divided by --parallel"},
    ForeignFlag{"-np, --parallel", "N", Effect::maps, "parallel", "", or_default},
    ForeignFlag{"-t, --threads", "N", Effect::same, "", ""},
    ForeignFlag{"-tb, --threads-batch", "N", Effect::nothing, "", kNoTuning},
    ForeignFlag{"--threads-http", "N", Effect::nothing, "", "not needed; one thread serves all sockets"},
    ForeignFlag{"-C, --cpu-mask, -Cr, --cpu-range, -Cb, --cpu-mask-batch, -Crb, --cpu-range-batch", "M",
                Effect::refused, "", "start kvern under taskset instead"},
    ForeignFlag{"--cpu-strict, --cpu-strict-batch, --poll, --poll-batch", "N", Effect::nothing, "", kNoTuning},
    ForeignFlag{"--prio, --prio-batch", "N", Effect::refused, "", "start kvern under nice instead"},
    ForeignFlag{"--numa", "TYPE", Effect::refused, "", "start kvern under numactl instead"},
    ForeignFlag{"-b, --batch-size, -ub, --ubatch-size", "N", Effect::nothing, "", kChunks},
    ForeignFlag{"-ngl, --gpu-layers, --n-gpu-layers", "N", Effect::nothing, "",
                "not needed; a build with a GPU backend puts every layer there"},
    ForeignFlag{"-sm, --split-mode, -ts, --tensor-split, -mg, --main-gpu, -dev, --device, -ot, --override-tensor, "
                "-ncmoe, --n-cpu-moe, -ncffn, --n-cpu-ffn",
                "VALUE", Effect::refused, "", "where layers go cannot be chosen; leave it out"},
    ForeignFlag{"-cmoe, --cpu-moe", "", Effect::refused, "", "where layers go cannot be chosen; leave it out"},
    ForeignFlag{"--rpc", "SERVERS", Effect::refused, "", "other machines cannot share the work; leave it out"},
    ForeignFlag{"-fa, --flash-attn", "on|off|auto", Effect::nothing, "", "not needed, always on", only_flash},
    ForeignFlag{"-ctk, --cache-type-k", "TYPE", Effect::maps, "kv-type", "one type for keys and values"},
    ForeignFlag{"-ctv, --cache-type-v", "TYPE", Effect::maps, "kv-type", "one type for keys and values"},
    ForeignFlag{"-kvo, --kv-offload, -kvu, --kv-unified", "", Effect::nothing, "", "not needed, always so"},
    ForeignFlag{"-nkvo, --no-kv-offload", "", Effect::refused, "",
                "the KV cache lies where the layers are; leave it out"},
    ForeignFlag{"-no-kvu, --no-kv-unified", "", Effect::refused, "", "all conversations share one pool; leave it out"},
    ForeignFlag{"--kv-unified-per-slot", "N", Effect::maps, "context", ""},
    ForeignFlag{"-dt, --defrag-thold", "N", Effect::nothing, "", "not needed"},
    ForeignFlag{"--mlock", "", Effect::nothing, "", "not needed; weights are mapped, and stay while memory lasts"},
    ForeignFlag{"--no-mmap", "", Effect::nothing, "", "weights are mapped all the same"},
    ForeignFlag{"--mmap", "", Effect::nothing, "", "not needed, always so"},
    ForeignFlag{"-lm, --load-mode, -lzm, --lazy-mode", "MODE", Effect::nothing, "", "weights are always mapped"},
    ForeignFlag{"--repack, --no-host, --check-tensors, --op-offload, --no-op-offload, -nr, --no-repack", "",
                Effect::nothing, "", "not needed; the build chooses"},
    ForeignFlag{"-fit, --fit, -fitt, --fit-target, -fitc, --fit-ctx", "VALUE", Effect::nothing, "",
                "not needed; without --context it is chosen by the memory there is"},
    ForeignFlag{"--override-kv", "KEY=TYPE:VALUE", Effect::refused, "", "change it in the model file"},
    ForeignFlag{"--rope-scaling, --rope-scale, --rope-freq-base, --rope-freq-scale, --yarn-orig-ctx, "
                "--yarn-ext-factor, --yarn-attn-factor, --yarn-beta-slow, --yarn-beta-fast",
                "N", Effect::refused, "", kRope},
    ForeignFlag{"--lora, --lora-scaled, --control-vector, --control-vector-scaled", "FNAME", Effect::refused, "",
                kAdapter},
    ForeignFlag{"--lora-init-without-apply", "", Effect::refused, "", kAdapter},
    ForeignFlag{"-mm, --mmproj, -mmu, --mmproj-url, --image-min-tokens, --image-max-tokens, --media-path", "FILE",
                Effect::refused, "", kVision},
    ForeignFlag{"--no-mmproj, --no-mmproj-auto, --mmproj-auto, --no-mmproj-offload", "", Effect::nothing, "",
                "not needed; text only"},

    ForeignFlag{"--cache-prompt", "", Effect::nothing, "", "not needed, always so"},
    ForeignFlag{"--no-cache-prompt", "", Effect::maps, "no-cache", "", on_switch},
    ForeignFlag{"--cache-reuse", "N", Effect::nothing, "", "not needed, any common prefix is reused"},
    ForeignFlag{"-cram, --cache-ram", "MiB", Effect::maps, "cache-ram", "", mebibytes},
    ForeignFlag{"--cache-idle-slots, --no-cache-idle-slots", "", Effect::nothing, "",
                "not needed; what is idle is kept on the device, then in memory, then on disk"},
    ForeignFlag{"-ctxcp, --ctx-checkpoints, --swa-checkpoints, -cms, --checkpoint-min-step", "N", Effect::nothing, "",
                "not needed; snapshots are taken where prompts part, within --cache-ram"},
    ForeignFlag{"--swa-full", "", Effect::nothing, "", "not needed; a sliding window is kept by snapshots"},
    ForeignFlag{"--slot-save-path", "PATH", Effect::nothing, "",
                "not needed, sessions reach the disk by themselves; see --cache-disk and --cache-dir"},
    ForeignFlag{"-sps, --slot-prompt-similarity", "N", Effect::nothing, "",
                "not needed; a prompt shares the longest prefix there is, whoever computed it"},
    ForeignFlag{"--context-shift", "", Effect::nothing, "", "", no_context_shift},
    ForeignFlag{"--no-context-shift", "", Effect::nothing, "", "not needed, always so"},
    ForeignFlag{"--keep", "N", Effect::nothing, "", "not needed; nothing is ever dropped from a prompt"},
    ForeignFlag{"-cb, --cont-batching", "", Effect::nothing, "", "not needed, always so"},
    ForeignFlag{"-nocb, --no-cont-batching", "", Effect::maps, "parallel", "",
                [](const std::string&) -> Values { return std::vector<std::string>{"1"}; }},
    ForeignFlag{"--warmup, --no-warmup", "", Effect::nothing, "",
                "not needed; see --warm for prompts computed at start"},

    ForeignFlag{"--temp, --temperature", "N", Effect::maps, "default", "", nullptr, "temperature"},
    ForeignFlag{"--top-k", "N", Effect::maps, "default", "", nullptr, "top_k"},
    ForeignFlag{"--top-p", "N", Effect::maps, "default", "", nullptr, "top_p"},
    ForeignFlag{"--min-p", "N", Effect::maps, "default", "", nullptr, "min_p"},
    ForeignFlag{"--repeat-penalty", "N", Effect::maps, "default", "", nullptr, "repeat_penalty"},
    ForeignFlag{"--repeat-last-n", "N", Effect::maps, "default", "", nullptr, "repeat_last_n"},
    ForeignFlag{"--presence-penalty", "N", Effect::maps, "default", "", nullptr, "presence_penalty"},
    ForeignFlag{"--frequency-penalty", "N", Effect::maps, "default", "", nullptr, "frequency_penalty"},
    ForeignFlag{"-s, --seed", "N", Effect::maps, "default", "", or_default, "seed"},
    ForeignFlag{"-n, --predict, --n-predict", "N", Effect::maps, "default", "", or_default, "max_tokens"},
    ForeignFlag{"--samplers, --sampler-seq, --sampling-seq", "LIST", Effect::refused, "",
                "the order of samplers is llama-server's default and cannot be changed"},
    ForeignFlag{"--top-nsigma, --top-n-sigma, --xtc-probability, --xtc-threshold, --typical, --typical-p, "
                "--dry-multiplier, --dry-base, --dry-allowed-length, --dry-penalty-last-n, --dry-sequence-breaker, "
                "--dynatemp-range, --dynatemp-exp, --mirostat, --mirostat-lr, --mirostat-ent, --adaptive-target, "
                "--adaptive-decay",
                "N", Effect::refused, "", kSampler},
    ForeignFlag{"--ignore-eos", "", Effect::refused, "", "a turn ends where the model ends it; leave it out"},
    ForeignFlag{"-l, --logit-bias, --grammar, --grammar-file, -j, --json-schema, -jf, --json-schema-file", "VALUE",
                Effect::refused, "", kOneFormat},
    ForeignFlag{"-r, --reverse-prompt", "PROMPT", Effect::refused, "", "for all requests it is not offered; send stop"},
    ForeignFlag{"-e, --escape, --no-escape, -sp, --special", "", Effect::nothing, "",
                "without effect on a server's answers"},
    ForeignFlag{"-bs, --backend-sampling", "", Effect::nothing, "", "not needed"},

    ForeignFlag{"--jinja", "", Effect::nothing, "", "not needed, always so"},
    ForeignFlag{"--no-jinja", "", Effect::refused, "",
                "chat prompts come from the model's Jinja template; leave it out"},
    ForeignFlag{"--chat-template", "FILE", Effect::same, "", "but the name of a Jinja file, not of a built-in one"},
    ForeignFlag{"--chat-template-file", "FILE", Effect::maps, "chat-template", ""},
    ForeignFlag{"--chat-template-kwargs", "JSON", Effect::maps, "default", "", nullptr, "chat_template_kwargs"},
    ForeignFlag{"--reasoning-format", "FORMAT", Effect::nothing, "",
                "not needed, reasoning always comes as reasoning_content", only_split_reasoning},
    ForeignFlag{"-rea, --reasoning", "on|off|auto", Effect::maps, "default", "", thinking_of_word, "enable_thinking"},
    ForeignFlag{"--reasoning-effort", "LEVEL", Effect::maps, "default", "", nullptr, "reasoning_effort"},
    ForeignFlag{"--reasoning-budget", "N", Effect::maps, "default", "", or_default, "reasoning_budget"},
    ForeignFlag{"--reasoning-budget-message", "TEXT", Effect::refused, "",
                "a block that is cut short is closed without a text; leave it out"},
    ForeignFlag{"--reasoning-preserve, --no-reasoning-preserve", "", Effect::nothing, "",
                "not needed; the template decides what of former reasoning it shows"},
    ForeignFlag{"--skip-chat-parsing", "", Effect::refused, "", "use /v1/completions for text as it comes"},
    ForeignFlag{"--no-skip-chat-parsing", "", Effect::nothing, "", "not needed, always so"},
    ForeignFlag{"--prefill-assistant", "", Effect::refused, "",
                "an answer is always a turn of its own, a last assistant message is not continued; leave it out"},
    ForeignFlag{"--no-prefill-assistant", "", Effect::nothing, "", "not needed, always so"},

    ForeignFlag{"--host", "HOST", Effect::same, "", "other addresses than this machine's need --api-key or --no-auth"},
    ForeignFlag{"--port", "PORT", Effect::same, "", ""},
    ForeignFlag{"--reuse-port", "", Effect::refused, "", "two servers cannot share a port; leave it out"},
    ForeignFlag{"--api-key", "KEY", Effect::same, "", "repeat it for several keys"},
    ForeignFlag{"--api-key-file", "FNAME", Effect::maps, "api-key", "one key a line", keys_in_file},
    ForeignFlag{"--ssl-key-file, --ssl-cert-file", "FNAME", Effect::refused, "", kNoTls},
    ForeignFlag{"--cors-origins, --cors-methods, --cors-headers", "LIST", Effect::refused, "",
                "pages of other origins are not let in; leave it out"},
    ForeignFlag{"--cors-credentials", "", Effect::refused, "", "pages of other origins are not let in; leave it out"},
    ForeignFlag{"--no-cors-credentials", "", Effect::nothing, "", "not needed, always so"},
    ForeignFlag{"--api-prefix", "PREFIX", Effect::refused, "", "put a proxy in front that takes the prefix off"},
    ForeignFlag{"-to, --timeout", "N", Effect::nothing, "",
                "not needed; a slow prompt is kept alive by pings, a silent client is let go after a minute"},
    ForeignFlag{"--sse-ping-interval", "N", Effect::nothing, "", "a stream that is silent is pinged every ten seconds"},
    ForeignFlag{"--metrics", "", Effect::nothing, "", "not needed, GET /metrics is always there"},
    ForeignFlag{"--props", "", Effect::nothing, "", "GET /props is always there, and nothing can be changed by it"},
    ForeignFlag{"--slots", "", Effect::nothing, "", "not needed, GET /slots is always there"},
    ForeignFlag{"--no-slots", "", Effect::nothing, "", "GET /slots stays: it has numbers only, no text"},
    ForeignFlag{"--no-ui, --no-webui", "", Effect::nothing, "", "not needed, there is no page for chats"},
    ForeignFlag{"--ui, --webui", "", Effect::refused, "", "there is no page for chats; try kvern chat"},
    ForeignFlag{"--ui-config, --webui-config, --ui-config-file, --webui-config-file, --path", "VALUE", Effect::refused,
                "", "no page is served; leave it out"},
    ForeignFlag{"--tools, --mcp-servers-config, --mcp-servers-json", "VALUE", Effect::refused, "",
                "tools are run by the client; leave it out"},
    ForeignFlag{"-ag, --agent", "", Effect::refused, "", "tools are run by the client; leave it out"},
    ForeignFlag{"-no-ag, --no-agent", "", Effect::nothing, "", "not needed, always so"},
    ForeignFlag{"--embedding, --embeddings, --rerank, --reranking", "", Effect::refused, "",
                "kvern generates text only; run another server for embeddings"},
    ForeignFlag{"--pooling", "TYPE", Effect::refused, "",
                "kvern generates text only; run another server for embeddings"},
    ForeignFlag{"--models-dir, --models-preset, --models-max", "VALUE", Effect::refused, "",
                "one server serves one model; start one for each, on ports of their own"},
    ForeignFlag{"--models-autoload, --no-models-autoload", "", Effect::nothing, "", "one server serves one model"},
    ForeignFlag{"--sleep-idle-seconds", "N", Effect::nothing, "", "the model stays loaded"},
    ForeignFlag{"--draft-max", "N", Effect::same, "", "the most that is guessed ahead in one step"},
    ForeignFlag{"--draft", "N", Effect::same, "", "a number is --draft-max, anything else a draft model"},
    ForeignFlag{"--draft-n, --spec-draft-n-max", "N", Effect::maps, "draft-max",
                "the most that is guessed ahead in one step"},
    ForeignFlag{"-md, --model-draft, --spec-draft-model", "FNAME", Effect::maps, "draft", ""},
    ForeignFlag{"-hfd, --hf-repo-draft", "REPO", Effect::maps, "draft", "looked for among downloaded models"},
    ForeignFlag{"--spec-type, --draft-min, --draft-n-min, --spec-draft-n-min, --draft-p-min, "
                "--spec-draft-p-min, -ngld, --gpu-layers-draft, --n-gpu-layers-draft, -cd, --ctx-size-draft, -td, "
                "--threads-draft, -devd, --device-draft, -ctkd, --cache-type-k-draft, -ctvd, --cache-type-v-draft, "
                "-lcs, --lookup-cache-static, -lcd, --lookup-cache-dynamic",
                "VALUE", Effect::nothing, "", kDraftTuned},
    ForeignFlag{"--spec-default", "", Effect::nothing, "", kDraftTuned},

    ForeignFlag{"-v, --verbose, --log-verbose", "", Effect::maps, "log-level", "", debug_level},
    ForeignFlag{"-lv, --verbosity, --log-verbosity", "N", Effect::maps, "log-level", "", level_of_number},
    ForeignFlag{"--log-disable", "", Effect::maps, "log-level", "", levels_off},
    ForeignFlag{"--log-jsonl", "", Effect::maps, "log-format", "", json_format},
    ForeignFlag{"--log-file", "FNAME", Effect::refused, "", "the log goes to stderr: write 2> FILE behind the command"},
    ForeignFlag{"--log-prompts-dir", "PATH", Effect::refused, "", "prompts are never logged; leave it out"},
    ForeignFlag{"--log-colors", "on|off|auto", Effect::nothing, "", "not needed; NO_COLOR turns colours off"},
    ForeignFlag{"--log-prefix, --no-log-prefix, --log-timestamps, --no-log-timestamps, --no-log-jsonl, --perf, "
                "--no-perf",
                "", Effect::nothing, "", "not needed; every line has its time and level"},
};

}  // namespace

std::span<const ForeignFlag> llama_server_flags() { return kFlags; }

}  // namespace kvern::cli
