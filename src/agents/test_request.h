// A launch request on a machine made of two maps, and questions to a plan. For tests.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agents/launch_plan.h"
#include "base/json.h"

namespace kvern::agents {

struct TestMachine {
  std::map<std::string, std::string> variables = {{"HOME", "/home/me"}};
  std::map<std::string, std::string> files;
};

inline Lookup lookup_in(std::map<std::string, std::string> entries) {
  return [entries = std::move(entries)](const std::string& name) -> std::optional<std::string> {
    const auto found = entries.find(name);
    return found == entries.end() ? std::nullopt : std::optional(found->second);
  };
}

inline LaunchRequest test_request(const TestMachine& machine = {}, std::vector<std::string> arguments = {}) {
  LaunchRequest request;
  request.address = "http://127.0.0.1:8080";
  request.model = "Coder";
  request.context = 65'536;
  request.folder = "/tmp/kvern-x";
  request.kvern = "/usr/bin/kvern";
  request.arguments = std::move(arguments);
  request.environment = lookup_in(machine.variables);
  request.file = lookup_in(machine.files);
  return request;
}

// The last value set, "(unset)", or "(ours)" where the plan leaves the variable alone.
inline std::string variable(const LaunchPlan& plan, std::string_view name) {
  std::string value = "(ours)";
  for (const std::string& unset : plan.unset) {
    if (unset == name) value = "(unset)";
  }
  for (const Variable& set : plan.set) {
    if (set.name == name) value = set.value;
  }
  return value;
}

inline Json file_of(const LaunchPlan& plan, std::string_view name) {
  for (const PlannedFile& file : plan.files) {
    if (file.name == name) return parse_json(file.content).value_or(Json());
  }
  return Json();
}

inline bool remarks(const LaunchPlan& plan, std::string_view text) {
  return std::any_of(plan.remarks.begin(), plan.remarks.end(),
                     [&](const std::string& remark) { return remark.find(text) != std::string::npos; });
}

// The value after "-c KEY=" of Codex's arguments; empty when it is not there.
inline std::string override_of(const LaunchPlan& plan, const std::string& key) {
  for (std::size_t i = 1; i < plan.arguments.size(); ++i) {
    if (plan.arguments[i - 1] == "-c" && plan.arguments[i].starts_with(key + "="))
      return plan.arguments[i].substr(key.size() + 1);
  }
  return {};
}

}  // namespace kvern::agents
