// Where a schema that no value can match says so: llguidance knows that it is one, not where.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "constrain/compiler.h"

namespace kvern::constrain {

// The reason in an error of llguidance that says no value can match; empty in any other error. Such an error is
// a proof: what llguidance leaves out of a schema only lets more values in.
std::string_view reason_no_value_matches(std::string_view error);

// "/properties/a: incompatible types", for a schema of which the above was said: the deepest place without which
// the whole would take something. Compiles what it looks at; needs a deep stack. Thread: any.
std::string why_no_value_matches(const GrammarCompiler& compiler, const Json& schema, std::string_view reason);

}  // namespace kvern::constrain
