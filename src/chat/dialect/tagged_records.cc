// Families that write each parameter as an element of its own.
#include <array>

#include "chat/dialect/records.h"

namespace kvern::chat {
namespace {

// What several families have in common.
constexpr Dialect kThinking = {
    .reasoning_begin = "<think>", .reasoning_end = "</think>", .reasoning_close = "</think>"};

constexpr std::array<std::string_view, 3> kQwenCoderSigns = {"<tool_call>", "<function=", "<parameter="};

// Qwen3-Coder, and Qwen3.5 and later with their reasoning.
constexpr Dialect qwen_coder() {
  Dialect record = kThinking;
  record.name = "qwen3-coder";
  record.trigger = "<tool_call>";
  record.bare_begin = "<function=";
  record.call_begin = "<tool_call>\n<function=";
  record.name_end = ">\n";
  record.call_end = "</function>\n</tool_call>";
  record.call_separator = "\n";
  record.text_separator = "\n\n";
  record.arguments = ArgumentStyle::tagged;
  record.parameter_begin = "<parameter=";
  record.parameter_name_end = ">\n";
  record.parameter_end = "\n</parameter>\n";
  record.reasoning_close = "\n</think>\n\n";
  record.result_begin = "<tool_response>\n";
  record.result_end = "\n</tool_response>";
  record.signs = kQwenCoderSigns;
  return record;
}

// Every call ends its line, the last one too.
constexpr Dialect nemotron() {
  Dialect record = qwen_coder();
  record.name = "nemotron-3";
  record.call_end = "</function>\n</tool_call>\n";
  record.call_separator = "";
  record.text_separator = "\n";
  record.reasoning_close = "\n</think>\n";
  record.signs = {};
  return record;
}

constexpr Dialect step() {
  Dialect record = qwen_coder();
  record.name = "step3.5";
  record.call_separator = "";
  record.text_separator = "";
  record.reasoning_close = "\n</think>\n";
  record.result_begin = "<tool_response>";
  record.result_end = "</tool_response>";
  record.signs = {};
  return record;
}

constexpr std::array<std::string_view, 2> kSeedSigns = {"<seed:tool_call>", "<parameter="};

constexpr Dialect seed() {
  Dialect record;
  record.name = "seed-oss";
  record.trigger = "<seed:tool_call>";
  record.bare_begin = "<function=";
  record.call_begin = "<seed:tool_call>\n<function=";
  record.name_end = ">\n";
  record.call_end = "</function>\n</seed:tool_call>";
  record.call_separator = "\n";
  record.text_separator = "\n\n";
  record.arguments = ArgumentStyle::tagged;
  record.parameter_begin = "<parameter=";
  record.parameter_name_end = ">";
  record.parameter_end = "</parameter>\n";
  record.reasoning_begin = "<seed:think>";
  record.reasoning_end = "</seed:think>";
  record.reasoning_close = "</seed:think>\n";
  record.signs = kSeedSigns;
  return record;
}

constexpr std::array<std::string_view, 3> kGlmSigns = {"<tool_call>", "<arg_key>", "<arg_value>"};

// GLM 4.7 and 5, Laguna S 2.1, Spark 2.5: no whitespace at all.
constexpr Dialect glm_dense() {
  Dialect record = kThinking;
  record.name = "glm-4.7";
  record.trigger = "<tool_call>";
  record.call_begin = "<tool_call>";
  record.call_end = "</tool_call>";
  record.arguments = ArgumentStyle::tagged;
  record.parameter_begin = "<arg_key>";
  record.parameter_name_end = "</arg_key><arg_value>";
  record.parameter_end = "</arg_value>";
  record.result_begin = "<tool_response>";
  record.result_end = "</tool_response>";
  record.signs = kGlmSigns;
  return record;
}

// GLM 4.5 and 4.6: everything on a line of its own.
constexpr Dialect glm() {
  Dialect record = glm_dense();
  record.name = "glm-4.5";
  record.name_end = "\n";
  record.call_separator = "\n";
  record.text_separator = "\n";
  record.parameter_name_end = "</arg_key>\n<arg_value>";
  record.parameter_end = "</arg_value>\n";
  record.reasoning_close = "</think>\n";
  record.result_begin = "<tool_response>\n";
  record.result_end = "\n</tool_response>";
  record.signs = {};
  return record;
}

// Laguna XS: as GLM 4.5, but every call ends its line.
constexpr Dialect laguna() {
  Dialect record = glm();
  record.name = "laguna-xs.2";
  record.call_end = "</tool_call>\n";
  record.call_separator = "";
  record.reasoning_close = "\n</think>\n";
  return record;
}

constexpr Dialect ling() {
  Dialect record = glm();
  record.name = "ling-3";
  record.call_end = "\n</tool_call>";
  record.parameter_end = "</arg_value>";
  record.reasoning_close = "</think>";
  return record;
}

constexpr std::array<std::string_view, 2> kHunyuanSigns = {"<tool_calls{}>", "<tool_sep{}>"};

constexpr Dialect hunyuan() {
  Dialect record;
  record.name = "hy3";
  record.trigger = "<tool_calls:opensource>";
  record.section_begin = "<tool_calls:opensource>\n";
  record.section_end = "\n</tool_calls:opensource>";
  record.call_begin = "<tool_call:opensource>";
  record.name_end = "<tool_sep:opensource>\n";
  record.call_end = "</tool_call:opensource>";
  record.call_separator = "\n";
  record.arguments = ArgumentStyle::tagged;
  record.parameter_begin = "<arg_key:opensource>";
  record.parameter_name_end = "</arg_key:opensource>\n<arg_value:opensource>";
  record.parameter_end = "</arg_value:opensource>\n";
  record.reasoning_begin = "<think:opensource>";
  record.reasoning_end = "</think:opensource>";
  record.reasoning_close = "</think:opensource>";
  record.signs = kHunyuanSigns;
  return record;
}

constexpr std::array<std::string_view, 2> kMiniMaxSigns = {"<minimax:tool_call>", "<parameter name="};

constexpr Dialect minimax() {
  Dialect record = kThinking;
  record.name = "minimax-m2";
  record.trigger = "<minimax:tool_call>";
  record.section_begin = "<minimax:tool_call>\n";
  record.section_end = "\n</minimax:tool_call>";
  record.call_begin = "<invoke name=\"";
  record.name_end = "\">\n";
  record.call_end = "</invoke>";
  record.call_separator = "\n";
  record.text_separator = "\n";
  record.arguments = ArgumentStyle::tagged;
  record.parameter_begin = "<parameter name=\"";
  record.parameter_name_end = "\">";
  record.parameter_end = "</parameter>\n";
  record.reasoning_close = "\n</think>\n\n";
  record.signs = kMiniMaxSigns;
  return record;
}

constexpr std::array<std::string_view, 2> kDeepSeekV32Signs = {"｜DSML｜", "function_calls>"};

constexpr Dialect deepseek_v32() {
  Dialect record = kThinking;
  record.name = "deepseek-v3.2";
  record.trigger = "<｜DSML｜function_calls>";
  record.section_begin = "<｜DSML｜function_calls>\n";
  record.section_end = "\n</｜DSML｜function_calls>";
  record.call_begin = "<｜DSML｜invoke name=\"";
  record.name_end = "\">\n";
  record.call_end = "</｜DSML｜invoke>";
  record.call_separator = "\n";
  record.text_separator = "\n\n";
  record.arguments = ArgumentStyle::tagged;
  record.parameter_begin = "<｜DSML｜parameter name=\"";
  record.type_word = TypeWord::is_string;
  record.type_begin = "\" string=\"";
  record.parameter_name_end = "\">";
  record.parameter_end = "</｜DSML｜parameter>\n";
  record.signs = kDeepSeekV32Signs;
  return record;
}

constexpr std::array<std::string_view, 2> kDeepSeekV4Signs = {"｜DSML｜", "tool_calls>"};

constexpr Dialect deepseek_v4() {
  Dialect record = deepseek_v32();
  record.name = "deepseek-v4";
  record.trigger = "<｜DSML｜tool_calls>";
  record.section_begin = "<｜DSML｜tool_calls>\n";
  record.section_end = "\n</｜DSML｜tool_calls>";
  record.no_parameters = "\n";
  record.signs = kDeepSeekV4Signs;
  return record;
}

constexpr std::array<std::string_view, 3> kKimiSigns = {"<|open|>", "<|sep|>", "<|close|>"};

constexpr Dialect kimi_k3() {
  Dialect record;
  record.name = "kimi-k3";
  record.trigger = "<|open|>tools<|sep|>";
  record.section_begin = "<|open|>tools<|sep|>";
  record.section_end = "<|close|>tools<|sep|>";
  record.call_begin = "<|open|>call tool=\"";
  record.name_end = "\"<|sep|>";
  record.call_end = "<|close|>call<|sep|>";
  record.id_place = IdPlace::after_name;
  record.id_form = IdForm::number;
  record.id_first = 1;
  record.id_mark = "\" index=\"";
  record.arguments = ArgumentStyle::tagged;
  record.parameter_begin = "<|open|>argument key=\"";
  record.type_word = TypeWord::json_type;
  record.type_begin = "\" type=\"";
  record.parameter_name_end = "\"<|sep|>";
  record.parameter_end = "<|close|>argument<|sep|>";
  record.text_begin = "<|open|>response<|sep|>";
  record.text_end = "<|close|>response<|sep|>";
  record.turn_end = "<|close|>message<|sep|>";
  record.reasoning_begin = "<|open|>think<|sep|>";
  record.reasoning_end = "<|close|>think<|sep|>";
  record.reasoning_close = "<|close|>think<|sep|>";
  record.signs = kKimiSigns;
  return record;
}

// Signs are looked for in this order.
constexpr std::array<Dialect, 13> kRecords = {seed(),    deepseek_v32(), deepseek_v4(), kimi_k3(), minimax(),
                                              hunyuan(), qwen_coder(),   nemotron(),    step(),    glm_dense(),
                                              glm(),     laguna(),       ling()};

}  // namespace

std::span<const Dialect> tagged_records() { return kRecords; }

}  // namespace kvern::chat
