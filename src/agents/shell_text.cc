#include "agents/shell_text.h"

#include <fmt/format.h>

#include <cctype>
#include <nlohmann/json.hpp>

#include "agents/parts.h"
#include "base/json.h"

namespace kvern::agents {
namespace {

constexpr std::string_view kKeyVariable = "KVERN_API_KEY";

bool is_plain(std::string_view text) {
  constexpr std::string_view marks = "_-./:=@%+,";
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && marks.find(c) == std::string_view::npos) return false;
  }
  return !text.empty();
}

std::string single_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

// Where JSON shows what a shell would read from the variable.
std::string without_key(std::string text) {
  for (std::size_t at = 0; (at = text.find(kKeyPlaceholder, at)) != std::string::npos;) {
    text.replace(at, kKeyPlaceholder.size(), "${KVERN_API_KEY}");
  }
  return text;
}

// A comment ends with its line, and what follows would be run: a server may call its model anything.
std::string comment(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return "# " + text + "\n";
}

bool names_a_file(const LaunchRequest& request, const std::string& value) {
  return value.find(request.folder + "/") != std::string::npos;
}

}  // namespace

std::string shell_quote(std::string_view text) {
  const std::size_t at = text.find(kKeyPlaceholder);
  if (at == std::string_view::npos) return is_plain(text) ? std::string(text) : single_quoted(text);
  const std::string_view before = text.substr(0, at);
  const std::string_view after = text.substr(at + kKeyPlaceholder.size());
  return fmt::format("{}\"${{{}}}\"{}", before.empty() ? "" : shell_quote(before), kKeyVariable,
                     after.empty() ? "" : shell_quote(after));
}

std::string as_shell(const Agent& agent, const LaunchRequest& request, const LaunchPlan& plan) {
  std::string out =
      comment(fmt::format("{} on kvern at {}: model {}, context {} tokens. {}", agent.title, request.address,
                          without_key(request.model), request.context, "Nothing outside these parentheses changes."));
  out += "(\n";
  if (!plan.files.empty()) {
    const std::string folder = shell_quote(request.folder);
    out += fmt::format("  umask 077\n  mkdir {} || exit 1\n  trap {} EXIT\n", folder,
                       shell_quote(fmt::format("rm -rf {}", folder)));
    for (const PlannedFile& file : plan.files) {
      out += fmt::format("  printf %s {} > {}\n", shell_quote(file.content),
                         shell_quote(fmt::format("{}/{}", request.folder, file.name)));
    }
  }
  for (const std::string& name : plan.unset) out += fmt::format("  unset {}\n", name);
  for (const Variable& variable : plan.set)
    out += fmt::format("  export {}={}\n", variable.name, shell_quote(variable.value));
  out += fmt::format("  {}", agent.program);
  for (const std::string& argument : plan.arguments) out += " " + shell_quote(argument);
  return out + "\n)\n";
}

std::string as_exports(const LaunchRequest& request, const LaunchPlan& plan) {
  std::string out;
  for (const std::string& name : plan.unset) out += fmt::format("export {}=\n", name);
  for (const Variable& variable : plan.set) {
    if (names_a_file(request, variable.value)) continue;
    out += fmt::format("export {}={}\n", variable.name, shell_quote(variable.value));
  }
  return out;
}

std::string as_json(const Agent& agent, const LaunchRequest& request, const LaunchPlan& plan) {
  Json out = {{"client", agent.title}, {"program", agent.program}};
  out["server"] = {{"address", request.address}, {"model", request.model}, {"context", request.context}};
  Json argv = {agent.program};
  for (const std::string& argument : plan.arguments) argv.push_back(without_key(argument));
  out["argv"] = std::move(argv);
  out["set"] = Json::object();
  for (const Variable& variable : plan.set) out["set"][variable.name] = without_key(variable.value);
  out["unset"] = plan.unset;
  out["folder"] = request.folder;
  out["files"] = Json::array();
  for (const PlannedFile& file : plan.files) {
    out["files"].push_back({{"name", file.name}, {"content", without_key(file.content)}});
  }
  out["remarks"] = plan.remarks;
  return dump_json(out) + "\n";
}

}  // namespace kvern::agents
