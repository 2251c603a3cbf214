#include "api/request_defaults.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "api/generation_fields.h"

namespace kvern::api {
namespace {

constexpr std::array<std::string_view, 12> kNames = {
    "temperature",        "top_k",          "top_p",         "min_p", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "repeat_penalty", "repeat_last_n", "seed",  "max_tokens",       "n_predict"};

Status add_pair(std::string_view pair, Json& out) {
  const std::size_t equals = pair.find('=');
  if (equals == std::string_view::npos)
    return fail(Code::invalid, fmt::format("expected FIELD=VALUE, found {}", shown(pair)));
  std::string name(pair.substr(0, equals));
  std::replace(name.begin(), name.end(), '-', '_');
  if (std::find(kNames.begin(), kNames.end(), name) == kNames.end())
    return fail(Code::invalid,
                fmt::format("{} has no default to set; these have: {}", shown(name), fmt::join(kNames, ", ")));
  const std::string_view text = pair.substr(equals + 1);
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_number()) return fail(Code::invalid, fmt::format("{}: expected a number, found {}", name, shown(text)));
  out[name] = std::move(value);
  return {};
}

}  // namespace

Result<RequestDefaults> parse_request_defaults(std::span<const std::string> pairs) {
  Json document = Json::object();
  for (const std::string& some : pairs) {
    std::string_view rest = some;
    while (true) {
      const std::size_t end = std::min(rest.find(','), rest.size());
      TRY_OK(add_pair(rest.substr(0, end), document));
      if (end == rest.size()) break;
      rest.remove_prefix(end + 1);
    }
  }
  TRY(const Fields fields, Fields::of(document, ""));
  RequestDefaults defaults;
  const auto read = [&]() -> Status {
    TRY_OK(read_sampling(fields, defaults.sampling));
    return read_token_limit(fields, defaults.tokens_max);
  };
  if (const Status status = read(); !status)
    return fail(Code::invalid, fmt::format("{}: {}", status.error().field, status.error().message));
  return defaults;
}

}  // namespace kvern::api
