// A plan as text: to paste into a shell, to evaluate, or as JSON. Thread: any.
//
// The key is never in it: where a plan holds kKeyPlaceholder, shells read $KVERN_API_KEY.
#pragma once

#include <string>
#include <string_view>

#include "agents/launch_plan.h"

namespace kvern::agents {

// One word for sh, whatever is in it.
std::string shell_quote(std::string_view text);

// A subshell that makes the folder, writes the files, sets what is set, starts the program, and
// removes the folder again. Its status is the program's.
std::string as_shell(const Agent& agent, const LaunchRequest& request, const LaunchPlan& plan);

// `export NAME=value` lines; a variable to be unset is exported empty. Those that name one of the
// plan's files are left out: the file would not be there.
std::string as_exports(const LaunchRequest& request, const LaunchPlan& plan);

// One object: client, program, argv, set, unset, files, remarks, and the server it is for.
std::string as_json(const Agent& agent, const LaunchRequest& request, const LaunchPlan& plan);

}  // namespace kvern::agents
