// Flags of other servers, so that a command line typed for them starts kvern.
//
// Each is a row: what it becomes here, why nothing is needed, or what to do instead. Rows of one server
// stand in a file of their own (foreign_llama_server.cc, foreign_mlx.cc). translate() rewrites a command
// line into our own flags before it is parsed; nobody after it knows another server's names.
//
// Thread: main.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/flags.h"
#include "cli/settings.h"

namespace kvern::cli {

enum class Effect {
  same,     // our own flag of that name does it; the row is for --help-from
  maps,     // becomes another flag of ours
  nothing,  // accepted; the remark says why nothing is needed
  refused,  // cannot be honoured; the remark says what to do instead
};

// The values our flag gets for a foreign one's; none: our default is what was meant. A switch's value
// is "". Code::invalid, without a field, when the value cannot be honoured.
using Convert = Result<std::vector<std::string>> (*)(const std::string& value);

struct ForeignFlag {
  std::string_view names;  // all spellings: "-np, --parallel"
  std::string_view value;  // what its server's help calls the value; empty for a switch
  Effect effect;
  std::string_view own;         // with maps: our flag without dashes
  std::string_view remark;      // one clause; may be empty with maps
  Convert convert = nullptr;    // null: the value as it is. With nothing: only whether it is acceptable
  std::string_view field = {};  // with own == "default": the request field it is the default of
};

// What several servers' users are told.
inline constexpr std::string_view kDraftTuned = "not needed; how much is guessed follows from what it is worth here";
inline constexpr std::string_view kChunks = "not needed; prompts are computed in chunks that let others go on";

struct ForeignServer {
  std::string_view name;  // as --help-from takes it
  std::span<const ForeignFlag> flags;
};

std::span<const ForeignFlag> llama_server_flags();
std::span<const ForeignFlag> mlx_textgen_flags();
std::span<const ForeignFlag> mlx_lm_flags();

std::span<const ForeignServer> foreign_servers();

struct Translated {
  std::vector<std::string> arguments;       // for parse_flags()
  std::vector<std::string> notes;           // lines for people; no keys in them
  std::map<std::string, Setting> settings;  // from another server's config file: below flags and variables
};

// Words that neither side knows are left for parse_flags() to complain about. Code::invalid, with the
// flag as it was typed, for what cannot be honoured.
Result<Translated> translate(const Command& command, std::span<const std::string> arguments);

// The table of one server, for --help-from; Code::invalid when there is none of that name.
Result<std::string> foreign_help(std::string_view server);

}  // namespace kvern::cli
