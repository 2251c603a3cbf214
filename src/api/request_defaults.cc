#include "api/request_defaults.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "api/generation_fields.h"
#include "base/json.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

constexpr std::string_view kKwargs = "chat_template_kwargs=";

enum class Kind { number, budget, word, flag };

struct Name {
  std::string_view name;
  Kind kind;
};

constexpr std::array kNames = {
    Name{"temperature", Kind::number},
    Name{"top_k", Kind::number},
    Name{"top_p", Kind::number},
    Name{"min_p", Kind::number},
    Name{"presence_penalty", Kind::number},
    Name{"frequency_penalty", Kind::number},
    Name{"repeat_penalty", Kind::number},
    Name{"repetition_penalty", Kind::number},
    Name{"repeat_last_n", Kind::number},
    Name{"seed", Kind::number},
    Name{"max_tokens", Kind::number},
    Name{"n_predict", Kind::number},
    Name{"reasoning_budget", Kind::budget},
    Name{"reasoning_effort", Kind::word},
    Name{"enable_thinking", Kind::flag},
};

std::string known_names() {
  std::string out;
  for (const Name& name : kNames) out += fmt::format("{}{}", out.empty() ? "" : ", ", name.name);
  return out;
}

// numbers: fields of a request; kwargs: words to its template.
struct Documents {
  Json numbers = Json::object();
  Json kwargs = Json::object();
};

Status add_pair(std::string_view pair, Documents& out) {
  const std::size_t equals = pair.find('=');
  if (equals == std::string_view::npos)
    return fail(Code::invalid, fmt::format("expected FIELD=VALUE, found {}", shown(pair)));
  std::string name(pair.substr(0, equals));
  std::replace(name.begin(), name.end(), '-', '_');
  const auto known = std::find_if(kNames.begin(), kNames.end(), [&](const Name& n) { return n.name == name; });
  if (known == kNames.end())
    return fail(Code::invalid, fmt::format("{} has no default to set; these have: {}, chat_template_kwargs",
                                           shown(name), known_names()));
  const std::string_view text = pair.substr(equals + 1);
  const auto wrong = [&](std::string_view expected) {
    return fail(Code::invalid, fmt::format("{}: expected {}, found {}", name, expected, shown(text)));
  };
  if (known->kind == Kind::word) {
    if (text.empty() || text.size() > limits::kEffortBytes) return wrong("a word like \"low\" or \"high\"");
    out.kwargs[name] = std::string(text);
    return {};
  }
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  switch (known->kind) {
    case Kind::flag:
      if (!value.is_boolean()) return wrong("true or false");
      out.kwargs[name] = std::move(value);
      return {};
    case Kind::budget: {
      const std::int64_t tokens = whole_number(value).value_or(-2);
      if (tokens < -1 || tokens > INT32_MAX) return wrong("a number of tokens, or -1 for no limit");
      if (tokens >= 0) out.kwargs["thinking_budget"] = tokens;
      return {};
    }
    case Kind::word:
    case Kind::number: break;
  }
  if (!value.is_number()) return wrong("a number");
  out.numbers[name] = std::move(value);
  return {};
}

Status add_kwargs(std::string_view text, Documents& out) {
  const Result<Json> given = parse_json(text);
  if (!given || !given->is_object())
    return fail(Code::invalid, fmt::format("chat_template_kwargs: expected a JSON object, found {}", shown(text)));
  out.kwargs.update(*given);
  return {};
}

Status add_list(std::string_view rest, Documents& out) {
  if (rest.starts_with(kKwargs)) return add_kwargs(rest.substr(kKwargs.size()), out);
  while (true) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    TRY_OK(add_pair(rest.substr(0, end), out));
    if (end == rest.size()) return {};
    rest.remove_prefix(end + 1);
  }
}

}  // namespace

Result<RequestDefaults> parse_request_defaults(std::span<const std::string> pairs) {
  Documents documents;
  for (const std::string& some : pairs) TRY_OK(add_list(some, documents));
  TRY(const Fields fields, Fields::of(documents.numbers, ""));
  RequestDefaults defaults;
  const auto read = [&]() -> Status {
    TRY_OK(read_sampling(fields, defaults.sampling));
    return read_token_limit(fields, defaults.tokens_max);
  };
  if (const Status status = read(); !status)
    return fail(Code::invalid, fmt::format("{}: {}", status.error().field, status.error().message));
  if (!documents.kwargs.empty()) defaults.template_kwargs = dump_json(documents.kwargs);
  return defaults;
}

}  // namespace kvern::api
