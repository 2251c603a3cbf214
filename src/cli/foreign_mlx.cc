// The flags of MLX-Textgen (`mlx_textgen serve`, 0.2 and its forks, and what 0.1 called otherwise) and of
// mlx_lm.server (0.32).
#include <fmt/format.h>

#include <array>

#include "cli/foreign_flags.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

using Values = Result<std::vector<std::string>>;

Values bytes(const std::string& value) {
  if (!parse_size(value)) return fail(Code::invalid, fmt::format("'{}' is not a number of bytes", value));
  return std::vector<std::string>{value};
}

// mlx-lm's 0 is its word for "off".
Values only_no_quantised_part(const std::string& value) {
  if (value == "0") return std::vector<std::string>{};
  return fail(Code::invalid, "the KV cache has one type from the first token on; leave it out, or see --kv-type");
}

Values kv_type_of_bits(const std::string& value) {
  if (value == "8") return std::vector<std::string>{"q8_0"};
  if (value == "4") return std::vector<std::string>{"q4_0"};
  if (value == "16") return std::vector<std::string>{"f16"};
  return fail(Code::invalid, fmt::format("a KV cache of {} bits is not offered; choose with --kv-type", value));
}

constexpr std::string_view kBudget = "not needed; the cache has a budget of bytes: --cache-ram and --cache-disk";
constexpr std::string_view kRecompute =
    "not needed; a prompt is reused to its last common token and only the rest computed";
constexpr std::string_view kInFile = "the tokenizer is in the GGUF file; leave it out";

constexpr std::array kTextgen = {
    ForeignFlag{"-m", "PATH", Effect::same, "", "a GGUF file"},
    ForeignFlag{"--model-path", "PATH", Effect::maps, "model", "a GGUF file"},
    ForeignFlag{"--model-name", "NAME", Effect::maps, "name", ""},
    ForeignFlag{"--tokenizer-path", "PATH", Effect::refused, "", kInFile},
    ForeignFlag{"--revision", "NAME", Effect::refused, "",
                "models are not fetched by name; give the GGUF file of that revision"},
    ForeignFlag{"-cf, --config-file", "FILE", Effect::maps, "config-file",
                "read as it is, when it names one model; see docs/migrate.md"},
    ForeignFlag{"--host", "ADDRESS", Effect::same, "", ""},
    ForeignFlag{"-p, --port", "N", Effect::same, "", "the default is 8080, not 5001"},
    ForeignFlag{"--api-key", "KEY", Effect::same, "", ""},
    ForeignFlag{"--enable-kv-cache", "", Effect::nothing, "", "not needed, always so"},
    ForeignFlag{"--max-capacity, -mk, --max-keep", "N", Effect::nothing, "", kBudget},
    ForeignFlag{"--min-tokens, --token-threshold", "N", Effect::nothing, "",
                "not needed; short prompts are kept, too, and cost what they weigh"},
    ForeignFlag{"--max-reprocess-tokens", "N", Effect::nothing, "", kRecompute},
    ForeignFlag{"--replace-threshold", "N", Effect::nothing, "",
                "not needed; prompts that part are kept both, and share what they have in common"},
    ForeignFlag{"--use-reasoning-content", "", Effect::nothing, "", "not needed, always so"},
    ForeignFlag{"--prefill-step-size, --preprocess-batch-size", "N", Effect::nothing, "", kChunks},
    ForeignFlag{"-q, --quantize", "TYPE", Effect::refused, "",
                "models are not converted; give a GGUF file of the type you want"},
    ForeignFlag{"--draft-model-path, --draft-model", "PATH", Effect::maps, "draft", "a GGUF file"},
    ForeignFlag{"--num-draft-tokens", "N", Effect::maps, "draft-max", "the most that is guessed ahead in one step"},
};

constexpr std::array kMlxLm = {
    ForeignFlag{"--model", "PATH", Effect::same, "", "a GGUF file"},
    ForeignFlag{"--adapter-path", "PATH", Effect::refused, "",
                "adapters are not supported; fuse it into the model and serve that"},
    ForeignFlag{"--host", "ADDRESS", Effect::same, "", ""},
    ForeignFlag{"--port", "N", Effect::same, "", ""},
    ForeignFlag{"--allowed-origins", "LIST", Effect::nothing, "", "pages of other origins are not let in"},
    ForeignFlag{"--draft-model", "PATH", Effect::maps, "draft", "a GGUF file"},
    ForeignFlag{"--num-draft-tokens", "N", Effect::maps, "draft-max", "the most that is guessed ahead in one step"},
    ForeignFlag{"--trust-remote-code", "", Effect::nothing, "", "not needed, a GGUF file has no code"},
    ForeignFlag{"--log-level", "LEVEL", Effect::same, "", "of either case"},
    ForeignFlag{"--chat-template", "FILE", Effect::same, "", "but the name of a file, not the template's text"},
    ForeignFlag{"--use-default-chat-template", "", Effect::nothing, "",
                "not needed; a model without a template is given ChatML"},
    ForeignFlag{"--chat-template-args", "JSON", Effect::maps, "default", "", nullptr, "chat_template_kwargs"},
    ForeignFlag{"--temp", "N", Effect::maps, "default", "", nullptr, "temperature"},
    ForeignFlag{"--top-p", "N", Effect::maps, "default", "", nullptr, "top_p"},
    ForeignFlag{"--top-k", "N", Effect::maps, "default", "", nullptr, "top_k"},
    ForeignFlag{"--min-p", "N", Effect::maps, "default", "", nullptr, "min_p"},
    ForeignFlag{"--max-tokens", "N", Effect::maps, "default", "", nullptr, "max_tokens"},
    ForeignFlag{"--decode-concurrency", "N", Effect::maps, "parallel", ""},
    ForeignFlag{"--prompt-concurrency", "N", Effect::nothing, "", "not needed; prompts are computed beside each other"},
    ForeignFlag{"--prefill-step-size", "N", Effect::nothing, "", kChunks},
    ForeignFlag{"--prompt-cache-size", "N", Effect::nothing, "", kBudget},
    ForeignFlag{"--prompt-cache-bytes", "BYTES", Effect::maps, "cache-ram", "", bytes},
    ForeignFlag{"--kv-bits", "N", Effect::maps, "kv-type", "", kv_type_of_bits},
    ForeignFlag{"--kv-group-size", "N", Effect::nothing, "", "not needed; a KV type has its own"},
    ForeignFlag{"--quantized-kv-start", "N", Effect::nothing, "", "not needed", only_no_quantised_part},
    ForeignFlag{"--pipeline", "", Effect::refused, "", "other machines cannot share the work; leave it out"},
};

}  // namespace

std::span<const ForeignFlag> mlx_textgen_flags() { return kTextgen; }
std::span<const ForeignFlag> mlx_lm_flags() { return kMlxLm; }

}  // namespace kvern::cli
