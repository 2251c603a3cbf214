#include <array>

#include "chat/dialect/records.h"

namespace kvern::chat {
namespace {

constexpr std::array<std::string_view, 2> kHarmonySigns = {"<|channel|>analysis<|message|>", "to=functions."};

constexpr std::array<Dialect, 1> kRecords = {
    Dialect{
        .name = "harmony",
        .layout = Layout::channels,
        .trigger = "<|channel|>commentary to=functions.",
        .parallel = false,  // the token that ends a call ends the turn
        .call_begin = "<|channel|>commentary to=functions.",
        .name_end = " <|constrain|>json<|message|>",
        .call_separator = "<|call|><|start|>assistant",
        .arguments = ArgumentStyle::json,
        .reasoning_begin = "<|channel|>analysis<|message|>",
        .reasoning_end = "<|end|>",
        .reasoning_close = "<|end|><|start|>assistant",
        .result_begin = "Result: ",
        .signs = kHarmonySigns,
    },
};

}  // namespace

std::span<const Dialect> channel_records() { return kRecords; }

}  // namespace kvern::chat
