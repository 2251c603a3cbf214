// Runs work that recurses deeply on a thread of its own with a large stack.
//
// llguidance and jsonschema follow `$ref` by recursion, up to 17 kB of stack a hop: a chain of 500
// definitions would overflow the 8 MiB a thread usually has (512 kB on macOS), and that kills the
// process. Only the touched part of the stack costs memory; starting the thread takes about 50 us.
#pragma once

#include <functional>

#include "base/result.h"

namespace kvern::constrain {

// Waits for work and returns its status; on a thread that is deep already it runs at once. An exception
// becomes Code::failed, and so does a system without another thread to give.
Status on_deep_stack(const std::function<Status()>& work);

}  // namespace kvern::constrain
