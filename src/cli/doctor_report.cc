#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "cli/doctor_checks.h"
#include "cli/terminal.h"
#include "cli/version.h"

namespace kvern::cli {
namespace {

std::string_view word(Verdict verdict) {
  switch (verdict) {
    case Verdict::pass: return "PASS";
    case Verdict::warn: return "WARN";
    case Verdict::fail: return "FAIL";
  }
  return "FAIL";
}

Style style_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::pass: return Style::green;
    case Verdict::warn: return Style::yellow;
    case Verdict::fail: return Style::red;
  }
  return Style::red;
}

std::string names_with(const std::vector<Check>& checks, Verdict verdict) {
  std::string names;
  for (const Check& check : checks) {
    if (check.verdict == verdict) names += (names.empty() ? "" : ", ") + check.id;
  }
  return names;
}

}  // namespace

bool any_failed(const std::vector<Check>& checks) { return !names_with(checks, Verdict::fail).empty(); }

std::string closing_sentence(const std::vector<Check>& checks) {
  if (const std::string failed = names_with(checks, Verdict::fail); !failed.empty()) {
    return fmt::format("kvern cannot serve here yet: {}.", failed);
  }
  if (const std::string warned = names_with(checks, Verdict::warn); !warned.empty()) {
    return fmt::format("kvern can serve here; look at: {}.", warned);
  }
  return "kvern is ready to serve.";
}

std::string report_text(const std::vector<Check>& checks, int fd) {
  std::string out;
  for (const Check& check : checks) {
    out += fmt::format("{}  {:<10} {}\n", styled(word(check.verdict), style_of(check.verdict), fd), check.id,
                       check.message);
    if (!check.hint.empty()) out += fmt::format("      {:<10} {}\n", "", styled("hint: " + check.hint, Style::dim, fd));
  }
  return out + closing_sentence(checks) + "\n";
}

std::string report_json(const std::vector<Check>& checks) {
  Json list = Json::array();
  for (const Check& check : checks) {
    std::string status(word(check.verdict));
    std::transform(status.begin(), status.end(), status.begin(), [](char c) { return static_cast<char>(c | 0x20); });
    Json item = {{"id", check.id}, {"status", status}, {"message", check.message}};
    if (!check.hint.empty()) item["hint"] = check.hint;
    list.push_back(std::move(item));
  }
  const Json report = {{"version", 1},
                       {"kvern", version()},
                       {"ok", !any_failed(checks)},
                       {"checks", std::move(list)},
                       {"summary", closing_sentence(checks)}};
  return dump_json(report) + "\n";
}

}  // namespace kvern::cli
