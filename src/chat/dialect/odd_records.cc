// Families whose arguments are neither JSON nor one element a parameter.
#include <array>

#include "chat/dialect/records.h"

namespace kvern::chat {
namespace {

constexpr std::array<std::string_view, 1> kPythonicSigns = {"[func_name1("};
constexpr std::array<std::string_view, 1> kPythonicBegins = {"<|python_start|>["};
constexpr std::array<std::string_view, 2> kLfmSigns = {"\"List of tools: ", "<|im_start|>"};
constexpr std::array<std::string_view, 2> kOlmoSigns = {"'<function_calls>'", "<functions>"};
constexpr std::array<std::string_view, 2> kGemmaSigns = {"<|tool_call>call:", "<|\"|>"};
constexpr std::array<std::string_view, 2> kFunctionGemmaSigns = {"<start_function_call>call:", "<escape>"};
constexpr std::array<std::string_view, 2> kMiniMaxSigns = {"]<]minimax[>[", "<invoke name="};

constexpr std::array<Dialect, 6> kRecords = {
    Dialect{
        .name = "llama4-pythonic",
        .trigger = "[",
        .whole_turn = true,
        .other_begins = kPythonicBegins,
        .section_begin = "[",
        .section_end = "]",
        .name_end = "(",
        .call_end = ")",
        .call_separator = ", ",
        .arguments = ArgumentStyle::pythonic,
        .quote = "'",
        .turn_end = "<|python_end|>",
        .signs = kPythonicSigns,
    },
    Dialect{
        .name = "lfm2",
        .trigger = "<|tool_call_start|>",
        .section_begin = "<|tool_call_start|>[",
        .section_end = "]<|tool_call_end|>",
        .name_end = "(",
        .call_end = ")",
        .call_separator = ", ",
        .arguments = ArgumentStyle::pythonic,
        .quote = "'",
        .reasoning_begin = "<think>",
        .reasoning_end = "</think>",
        .reasoning_close = "</think>",
        .result_begin = "<|tool_response_start|>",
        .result_end = "<|tool_response_end|>",
        .signs = kLfmSigns,
    },
    Dialect{
        .name = "olmo3",
        .trigger = "<function_calls>",
        .section_begin = "<function_calls>",
        .section_end = "</function_calls>",
        .name_end = "(",
        .call_end = ")",
        .call_separator = "\n",
        .arguments = ArgumentStyle::pythonic,
        .quote = "\"",
        .reasoning_begin = "<think>",
        .reasoning_end = "</think>",
        .reasoning_close = "</think>",
        .signs = kOlmoSigns,
    },
    // After its calls the model hands over with the token that a result begins with.
    Dialect{
        .name = "gemma4",
        .trigger = "<|tool_call>",
        .call_begin = "<|tool_call>call:",
        .call_end = "<tool_call|>",
        .arguments = ArgumentStyle::object,
        .quote = "<|\"|>",
        .turn_end = "<|tool_response>",
        .reasoning_begin = "<|channel>thought\n",
        .reasoning_end = "<channel|>",
        .reasoning_close = "\n<channel|>",
        .signs = kGemmaSigns,
    },
    Dialect{
        .name = "functiongemma",
        .trigger = "<start_function_call>",
        .call_begin = "<start_function_call>call:",
        .call_end = "<end_function_call>",
        .arguments = ArgumentStyle::object,
        .quote = "<escape>",
        .turn_end = "<start_function_response>",
        .signs = kFunctionGemmaSigns,
    },
    Dialect{
        .name = "minimax-m3",
        .trigger = "]<]minimax[>[<tool_call>",
        .section_begin = "]<]minimax[>[<tool_call>\n",
        .section_end = "\n]<]minimax[>[</tool_call>",
        .call_begin = "]<]minimax[>[<invoke name=\"",
        .name_end = "\">",
        .call_end = "]<]minimax[>[</invoke>",
        .call_separator = "\n",
        .arguments = ArgumentStyle::elements,
        .parameter_begin = "]<]minimax[>[",
        .reasoning_begin = "<mm:think>",
        .reasoning_end = "</mm:think>",
        .reasoning_close = "</mm:think>",
        .no_reasoning = "</mm:think>",
        .result_begin = "<response>",
        .result_end = "</response>",
        .signs = kMiniMaxSigns,
    },
};

}  // namespace

std::span<const Dialect> odd_records() { return kRecords; }

}  // namespace kvern::chat
