// How a coding agent is started on a kvern server: everything that is decided, before anything is done.
//
// Planning is pure. What it wants to know of the machine (variables, the user's own settings files)
// it asks through two functions, so tests answer in their place; it never writes. Whoever carries a
// plan out writes its files into `folder`, a private folder that is removed afterwards, and nowhere
// else: no file of the user's is ever touched.
//
// Thread: any; plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvern::agents {

// The text of a variable or of a file, if there is one.
using Lookup = std::function<std::optional<std::string>(const std::string& name)>;

struct LaunchRequest {
  std::string address;                 // "http://127.0.0.1:8080", nothing after the port
  std::string model;                   // its id in /v1/models
  std::int32_t context = 0;            // tokens one conversation may hold
  std::string api_key;                 // empty: the server wants none
  std::string folder;                  // absolute; where the plan's files will lie
  std::string kvern;                   // our own program, for commands that the client runs later
  bool simple = false;                 // the client's short prompts, where it has such
  std::vector<std::string> arguments;  // the user's, for the client, exactly as given
  Lookup environment;
  Lookup file;  // by path; relative ones below the folder the client starts in
};

struct Variable {
  std::string name;
  std::string value;
};

struct PlannedFile {
  std::string name;  // in LaunchRequest::folder
  std::string content;
};

struct LaunchPlan {
  std::vector<std::string> arguments;  // after the program's name
  std::vector<Variable> set;
  std::vector<std::string> unset;
  std::vector<PlannedFile> files;
  std::vector<std::string> remarks;  // sentences for the user: what was replaced, what would win, what is odd
};

struct Agent {
  std::string_view name;     // the command: "claude"
  std::string_view title;    // "Claude Code"
  std::string_view program;  // looked up in PATH
  std::string_view install;  // the command that brings it here; we never run it
  std::string_view page;     // below docs/
  LaunchPlan (*plan)(const LaunchRequest& request);
};

}  // namespace kvern::agents
