// JSON documents as the engine's values.
#pragma once

#include <unordered_map>

#include "base/json.h"
#include "chat/template/engine.h"
#include "chat/template/render_state.h"

namespace kvern::chat {

// Sets every member of variables as a variable of the context. Strings and keys count as input;
// containers are registered with the state, and templates cannot change them.
void set_variables(jinja::context& context, const Json& variables, RenderState& state);

// One document; how many levels each of its containers has goes into heights.
jinja::value input_value(const Json& json, std::unordered_map<const jinja::value_t*, int>& heights);

// The same with strings that count as the template's own.
void set_constants(jinja::context& context, const Json& constants);

}  // namespace kvern::chat
