// Replaces the nodes of a parsed template by those that keep to a render's limits.
#pragma once

#include "chat/template/engine.h"

namespace kvern::chat {

// Recurses as deep as the tree, which deepest_nesting() has bounded. Throws std::runtime_error on a
// literal the engine cannot compute with.
void limit_tree(jinja::program& program);

}  // namespace kvern::chat
