// A record for a family that none of ours fits, from what its template renders: the fallback behind
// the fallback of describing tools ourselves. Thread: any.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "chat/dialect/dialect.h"

namespace kvern::chat {

// Null when the calls are not shown, or not in a form a record can say: JSON or one element a parameter,
// between fixed texts. A record it gives writes the calls of a probe byte for byte as the template does,
// and its parser reads them. It owns its texts.
std::shared_ptr<const Dialect> derive_dialect(std::string_view template_source, std::span<const CallProbe> probes);

}  // namespace kvern::chat
