// The families whose calls are JSON objects that hold the name and the arguments.
#include <array>

#include "chat/dialect/records.h"

namespace kvern::chat {
namespace {

constexpr std::array<std::string_view, 2> kHermesSigns = {"<tool_call>", "arguments"};
constexpr std::array<std::string_view, 2> kLlamaSigns = {"<|eom_id|>", "\"parameters\": "};
constexpr std::array<std::string_view, 1> kMistralSigns = {"[TOOL_CALLS]["};
constexpr std::array<std::string_view, 2> kGraniteSigns = {"<|tool_call|>", "available_tools"};
constexpr std::array<std::string_view, 1> kNemotronSigns = {"<TOOLCALL>["};
constexpr std::array<std::string_view, 2> kCommandSigns = {"<|START_ACTION|>", "<|START_RESPONSE|>"};
constexpr std::array<std::string_view, 2> kCommandMoeSigns = {"<|START_ACTION|>", "<|START_TEXT|>"};
constexpr std::array<std::string_view, 1> kGigaChatSigns = {"<|function_call|>"};
constexpr std::array<std::string_view, 1> kFirefunctionSigns = {"functools["};

// Llama 3 was also taught to begin with this token, and to name the kind of a call.
constexpr std::array<std::string_view, 3> kLlamaBegins = {"<|python_tag|>{\"name\": \"",
                                                          "{\"type\": \"function\", \"name\": \"",
                                                          "<|python_tag|>{\"type\": \"function\", \"name\": \""};

// The two Command families differ in the marks around text.
constexpr Dialect command(std::string_view name) {
  return {
      .name = name,
      .trigger = "<|START_ACTION|>",
      .section_begin = "<|START_ACTION|>[\n    ",
      .section_end = "\n]<|END_ACTION|>",
      .frame = CallFrame::envelope,
      .call_begin = "{\"tool_call_id\": \"",
      .name_end = "\", \"parameters\": ",
      .call_end = "}",
      .call_separator = ",\n    ",
      .id_place = IdPlace::before_name,
      .id_form = IdForm::number,
      .id_mark = "\", \"tool_name\": \"",
      .reasoning_begin = "<|START_THINKING|>",
      .reasoning_end = "<|END_THINKING|>",
      .reasoning_close = "<|END_THINKING|>",
      .result_begin = "<tool_response>\n",
      .result_end = "\n</tool_response>",
  };
}

constexpr Dialect command_r7b() {
  Dialect dialect = command("command-r7b");
  dialect.text_begin = "<|START_RESPONSE|>";
  dialect.text_end = "<|END_RESPONSE|>";
  dialect.signs = kCommandSigns;
  return dialect;
}

constexpr Dialect command_moe() {
  Dialect dialect = command("command-moe");
  dialect.text_begin = "<|START_TEXT|>";
  dialect.text_end = "<|END_TEXT|>";
  dialect.signs = kCommandMoeSigns;
  return dialect;
}

constexpr Dialect hermes(std::string_view name, std::string_view call_separator) {
  return {
      .name = name,
      .trigger = "<tool_call>",
      .frame = CallFrame::envelope,
      .call_begin = "<tool_call>\n{\"name\": \"",
      .name_end = "\", \"arguments\": ",
      .call_end = "}\n</tool_call>",
      .call_separator = call_separator,
      .text_separator = "\n",
      .reasoning_begin = "<think>",
      .reasoning_end = "</think>",
      .reasoning_close = "\n</think>\n\n",
      .result_begin = "<tool_response>\n",
      .result_end = "\n</tool_response>",
  };
}

constexpr Dialect hermes_itself() {
  Dialect dialect = hermes("hermes", "\n");
  dialect.signs = kHermesSigns;
  return dialect;
}

// By signs alone, whoever mentions "<tool_call>" may be Hermes: it comes last.
constexpr std::array<Dialect, 12> kRecords = {
    Dialect{
        .name = "llama3",
        .trigger = "{\"name\": \"",
        .whole_turn = true,
        .other_begins = kLlamaBegins,
        .parallel = false,
        .frame = CallFrame::envelope,
        .call_begin = "{\"name\": \"",
        .name_end = "\", \"parameters\": ",
        .call_end = "}",
        .result_begin = "<tool_response>\n",
        .result_end = "\n</tool_response>",
        .signs = kLlamaSigns,
    },
    Dialect{
        .name = "mistral-v3",
        .trigger = "[TOOL_CALLS]",
        .section_begin = "[TOOL_CALLS][",
        .section_end = "]",
        .frame = CallFrame::envelope,
        .call_begin = "{\"name\": \"",
        .name_end = "\", \"arguments\": ",
        .call_end = "\"}",
        .call_separator = ", ",
        .id_place = IdPlace::after_arguments,
        .id_mark = ", \"id\": \"",
        .result_begin = "[TOOL_RESULTS]",
        .result_end = "[/TOOL_RESULTS]",
        .signs = kMistralSigns,
    },
    Dialect{
        .name = "granite-3",
        .trigger = "<|tool_call|>",
        .section_begin = "<|tool_call|>[",
        .section_end = "]",
        .frame = CallFrame::envelope,
        .call_begin = "{\"name\": \"",
        .name_end = "\", \"arguments\": ",
        .call_end = "}",
        .call_separator = ", ",
        .reasoning_begin = "<think>",
        .reasoning_end = "</think>",
        .reasoning_close = "</think>",
        .result_begin = "<tool_response>\n",
        .result_end = "\n</tool_response>",
        .signs = kGraniteSigns,
    },
    Dialect{
        .name = "nemotron-v2",
        .trigger = "<TOOLCALL>",
        .section_begin = "<TOOLCALL>[",
        .section_end = "]</TOOLCALL>",
        .frame = CallFrame::envelope,
        .call_begin = "{\"name\": \"",
        .name_end = "\", \"arguments\": ",
        .call_end = "}",
        .call_separator = ", ",
        .text_separator = "\n",
        .reasoning_begin = "<think>",
        .reasoning_end = "</think>",
        .reasoning_close = "\n</think>\n\n",
        .result_begin = "<TOOL_RESPONSE>[",
        .result_end = "]</TOOL_RESPONSE>",
        .signs = kNemotronSigns,
    },
    command_r7b(),
    command_moe(),
    Dialect{
        .name = "minimax-m1",
        .trigger = "<tool_calls>",
        .section_begin = "<tool_calls>\n",
        .section_end = "\n</tool_calls>",
        .frame = CallFrame::envelope,
        .call_begin = "{\"name\": \"",
        .name_end = "\", \"arguments\": ",
        .call_end = "}",
        .call_separator = "\n",
        .reasoning_begin = "<think>",
        .reasoning_end = "</think>",
        .reasoning_close = "\n</think>\n\n",
        .result_begin = "<tool_response>\n",
        .result_end = "\n</tool_response>",
    },
    Dialect{
        .name = "apriel",
        .trigger = "<tool_calls>",
        .section_begin = "<tool_calls>[",
        .section_end = "]</tool_calls>",
        .frame = CallFrame::envelope,
        .call_begin = "{\"name\": \"",
        .name_end = "\", \"arguments\": ",
        .call_end = "\"}",
        .call_separator = ", ",
        .text_separator = "\n",
        .id_place = IdPlace::after_arguments,
        .id_form = IdForm::word,
        .id_mark = ", \"id\": \"",
        .reasoning_begin = "Here are my reasoning steps:",
        .reasoning_end = "[BEGIN FINAL RESPONSE]",
        .reasoning_close = "\n[BEGIN FINAL RESPONSE]\n",
        .result_begin = "<tool_response>\n",
        .result_end = "\n</tool_response>",
    },
    Dialect{
        .name = "gigachat",
        .trigger = "<|function_call|>",
        .parallel = false,
        .frame = CallFrame::envelope,
        .call_begin = "<|function_call|>{\"name\": \"",
        .name_end = "\", \"arguments\": ",
        .call_end = "}",
        .result_begin = "<tool_response>\n",
        .result_end = "\n</tool_response>",
        .signs = kGigaChatSigns,
    },
    Dialect{
        .name = "firefunction",
        .trigger = "functools[",
        .section_begin = "functools[",
        .section_end = "]",
        .frame = CallFrame::envelope,
        .call_begin = "{\"name\": \"",
        .name_end = "\", \"arguments\": ",
        .call_end = "}",
        .call_separator = ", ",
        .text_separator = " ",
        .result_begin = "<tool_response>\n",
        .result_end = "\n</tool_response>",
        .signs = kFirefunctionSigns,
    },
    hermes_itself(),
    hermes("reka", ""),
};

}  // namespace

std::span<const Dialect> json_records() { return kRecords; }

}  // namespace kvern::chat
