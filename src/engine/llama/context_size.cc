#include "engine/llama/context_size.h"

#include <algorithm>

#include "base/log.h"

namespace kvern::engine {

std::int32_t choose_context(const LlamaOptions& options, std::int32_t trained, std::size_t token_bytes) {
  if (options.context > 0) {
    if (trained > 0 && options.context > trained)
      log::warn("context exceeds training", {{"context", options.context}, {"trained", trained}});
    return options.context;
  }
  std::int32_t context = trained > 0 ? trained : 4096;
  if (options.context_max > 0) context = std::min(context, options.context_max);
  if (options.kv_bytes_max > 0 && token_bytes > 0) {
    const auto fits = static_cast<std::int64_t>(options.kv_bytes_max / token_bytes);
    if (fits < context) {
      context = static_cast<std::int32_t>(std::clamp<std::int64_t>(fits / 256 * 256, std::min(2048, context), context));
      log::warn("context reduced to fit memory",
                {{"context", context}, {"trained", trained}, {"hint", "set --context or --kv-type q8_0"}});
    }
  }
  return context;
}

std::int32_t pool_cells(const LlamaOptions& options, std::int32_t context, std::size_t token_bytes) {
  std::int64_t cells = std::int64_t{context} * std::max(1, options.pool_factor);
  if (options.kv_bytes_max > 0 && token_bytes > 0)
    cells = std::min(cells, static_cast<std::int64_t>(options.kv_bytes_max / token_bytes) / 256 * 256);
  return static_cast<std::int32_t>(std::max<std::int64_t>(cells, context));
}

}  // namespace kvern::engine
