// Words people type: sizes, numbers, switches, and the name they probably meant. Pure; thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kvern::cli {

// "65536", "64k", "512M", "16G", "2T", also "16GB" and "16GiB": powers of 1024 all. Nothing for
// anything else, and nothing for what does not fit 63 bits.
std::optional<std::uint64_t> parse_size(std::string_view word);

// A whole decimal number between the bounds.
std::optional<std::int64_t> parse_integer(std::string_view word, std::int64_t least, std::int64_t most);

// A decimal number ("0.7"), finite.
std::optional<double> parse_decimal(std::string_view word);

// 1/true/yes/on and 0/false/no/off.
std::optional<bool> parse_switch(std::string_view word);

// "102.4 MB": short, for people.
std::string human_bytes(std::uint64_t bytes);

// The name nearest to the word, when it is near enough to be a slip of the fingers; else "".
std::string_view nearest(std::string_view word, std::span<const std::string_view> names);

}  // namespace kvern::cli
