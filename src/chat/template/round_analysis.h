// Which loops' rounds can be kept (rounds.h), told from the syntax tree alone.
#pragma once

#include <cstddef>

#include "chat/template/engine.h"

namespace kvern::chat {

// Gives each loop whose rounds can be kept its number, and puts CheckedNodes where its body reads what is not the
// round's own. To be run on a tree after limit_tree(). Anything that is not known to be pure leaves its loop as it
// is. How many these are.
std::size_t find_rounds(jinja::program& program);

}  // namespace kvern::chat
