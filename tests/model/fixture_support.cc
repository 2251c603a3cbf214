// The few functions of llama.cpp's `common` folder that its model generator calls. Linking them from
// here saves building the whole folder, which also wants an HTTP client.
#include "common.h"

void common_init() {}

bool tty_can_use_colors() { return false; }

void common_batch_add(llama_batch& batch, llama_token token, llama_pos position,
                      const std::vector<llama_seq_id>& sequences, bool wants_logits) {
  const std::int32_t i = batch.n_tokens++;
  batch.token[i] = token;
  batch.pos[i] = position;
  batch.n_seq_id[i] = static_cast<std::int32_t>(sequences.size());
  for (std::size_t s = 0; s < sequences.size(); ++s) batch.seq_id[i][s] = sequences[s];
  batch.logits[i] = wants_logits ? 1 : 0;
}
