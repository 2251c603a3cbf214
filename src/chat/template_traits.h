// What a chat template can do, found out once by rendering small conversations with marks in them.
//
// A template says what it refuses by raising, and what it cannot say by leaving it out; both show.
// Thread: any; pure functions. Some fifty small renders: a few milliseconds.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "chat/adaptations.h"
#include "chat/conversation.h"
#include "chat/dialect/dialect.h"
#include "chat/template/jinja_template.h"

namespace kvern::chat {

struct TemplateTraits {
  bool knows_tools = false;       // it writes the tools it is given, or they change what it writes
  bool knows_calls = false;       // and an assistant's calls
  bool no_tools_as_list = false;  // it goes through `tools` even when there are none
  JsonForm form;
  std::vector<CallProbe> probes;  // probe_renders(), for choose_dialect()
};

// What `tools` is when there are none.
Json no_tools(const TemplateTraits& traits);

TemplateTraits traits_of(const JinjaTemplate& jinja, const Json& constants);

// What every conversation needs for this template besides `given`, so that nothing is refused or left
// out.
Adaptations needed_adaptations(const JinjaTemplate& jinja, const Json& constants, const TemplateTraits& traits,
                               const Dialect& dialect, Adaptations given = {});

}  // namespace kvern::chat
