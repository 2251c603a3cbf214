// The families whose arguments are a JSON object and whose name stands before it, between marks.
#include <array>

#include "chat/dialect/records.h"

namespace kvern::chat {
namespace {

constexpr std::array<std::string_view, 3> kMistralSmallSigns = {"[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"};
constexpr std::array<std::string_view, 2> kMistralSigns = {"[TOOL_CALLS]", "[ARGS]"};
constexpr std::array<std::string_view, 2> kFencedSigns = {"<｜tool▁calls▁begin｜>", "```json"};
constexpr std::array<std::string_view, 1> kDeepSeekSigns = {"<｜tool▁calls▁begin｜>"};
constexpr std::array<std::string_view, 1> kKimiSigns = {"<|tool_calls_section_begin|>"};
constexpr std::array<std::string_view, 2> kFunctionarySigns = {"'<function='", "<|eom_id|>"};
constexpr std::array<std::string_view, 1> kApertusSigns = {"<|tools_prefix|>"};
constexpr std::array<std::string_view, 2> kSolarSigns = {"<|tool_call:begin|>", "<|tool_call:args|>"};

constexpr std::array<Dialect, 8> kRecords = {
    Dialect{
        .name = "mistral-small-3.2",
        .trigger = "[TOOL_CALLS]",
        .call_begin = "[TOOL_CALLS]",
        .name_end = "[ARGS]",
        .id_place = IdPlace::after_name,
        .id_mark = "[CALL_ID]",
        .result_begin = "[TOOL_RESULTS]",
        .result_end = "[/TOOL_RESULTS]",
        .signs = kMistralSmallSigns,
    },
    Dialect{
        .name = "mistral-v11",
        .trigger = "[TOOL_CALLS]",
        .call_begin = "[TOOL_CALLS]",
        .name_end = "[ARGS]",
        .reasoning_begin = "[THINK]",
        .reasoning_end = "[/THINK]",
        .reasoning_close = "[/THINK]",
        .result_begin = "[TOOL_RESULTS]",
        .result_end = "[/TOOL_RESULTS]",
        .signs = kMistralSigns,
    },
    Dialect{
        .name = "deepseek-r1",
        .trigger = "<｜tool▁calls▁begin｜>",
        .section_begin = "<｜tool▁calls▁begin｜>",
        .section_end = "<｜tool▁calls▁end｜>",
        .call_begin = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
        .name_end = "\n```json\n",
        .call_end = "\n```<｜tool▁call▁end｜>",
        .call_separator = "\n",
        .reasoning_begin = "<think>",
        .reasoning_end = "</think>",
        .reasoning_close = "\n</think>\n\n",
        .result_begin = "<｜tool▁output▁begin｜>",
        .result_end = "<｜tool▁output▁end｜>",
        .signs = kFencedSigns,
    },
    Dialect{
        .name = "deepseek-v3.1",
        .trigger = "<｜tool▁calls▁begin｜>",
        .section_begin = "<｜tool▁calls▁begin｜>",
        .section_end = "<｜tool▁calls▁end｜>",
        .call_begin = "<｜tool▁call▁begin｜>",
        .name_end = "<｜tool▁sep｜>",
        .call_end = "<｜tool▁call▁end｜>",
        .reasoning_begin = "<think>",
        .reasoning_end = "</think>",
        .reasoning_close = "</think>",
        .result_begin = "<｜tool▁output▁begin｜>",
        .result_end = "<｜tool▁output▁end｜>",
        .signs = kDeepSeekSigns,
    },
    Dialect{
        .name = "kimi-k2",
        .trigger = "<|tool_calls_section_begin|>",
        .section_begin = "<|tool_calls_section_begin|>",
        .section_end = "<|tool_calls_section_end|>",
        .call_begin = "<|tool_call_begin|>functions.",
        .name_end = "<|tool_call_argument_begin|>",
        .call_end = "<|tool_call_end|>",
        .id_place = IdPlace::after_name,
        .id_form = IdForm::number,
        .id_mark = ":",
        .id_holds_name = true,
        .id_prefix = "functions.",
        .reasoning_begin = "<think>",
        .reasoning_end = "</think>",
        .reasoning_close = "</think>",
        .result_begin = "<tool_response>\n",
        .result_end = "\n</tool_response>",
        .signs = kKimiSigns,
    },
    Dialect{
        .name = "functionary-v3.1",
        .trigger = "<function=",
        .call_begin = "<function=",
        .name_end = ">",
        .call_end = "</function>",
        .result_begin = "<tool_response>\n",
        .result_end = "\n</tool_response>",
        .signs = kFunctionarySigns,
    },
    Dialect{
        .name = "apertus",
        .trigger = "<|tools_prefix|>",
        .section_begin = "<|tools_prefix|>[",
        .section_end = "]<|tools_suffix|>",
        .call_begin = "{\"",
        .name_end = "\": ",
        .call_end = "}",
        .call_separator = ", ",
        .reasoning_begin = "<|inner_prefix|>",
        .reasoning_end = "<|inner_suffix|>",
        .reasoning_close = "<|inner_suffix|>",
        .result_begin = "<tool_response>\n",
        .result_end = "\n</tool_response>",
        .signs = kApertusSigns,
    },
    Dialect{
        .name = "solar",
        .trigger = "<|tool_calls|>",
        .section_begin = "<|tool_calls|>",
        .call_begin = "<|tool_call:begin|>",
        .name_end = "<|tool_call:args|>",
        .call_end = "<|tool_call:end|>",
        .id_place = IdPlace::before_name,
        .id_form = IdForm::word,
        .id_mark = "<|tool_call:name|>",
        .text_begin = "<|content|>",
        .text_end = "<|end|>",
        .reasoning_begin = "<|think|>",
        .reasoning_end = "<|end|><|begin|>assistant",
        .reasoning_close = "<|end|><|begin|>assistant",
        .result_begin = "<tool_response>\n",
        .result_end = "\n</tool_response>",
        .signs = kSolarSigns,
    },
};

}  // namespace

std::span<const Dialect> marked_json_records() { return kRecords; }

}  // namespace kvern::chat
