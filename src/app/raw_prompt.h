// Prompts without a template: text or token ids, as text completions send them. Thread: any.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "core/chat_request.h"
#include "core/vocab.h"

namespace kvern::app {

// Raw prompts may write control tokens by name: there is no template to do it for them. The BOS a
// model needs is put before text that lacks it. Code::invalid, about field, for an empty prompt or an
// id outside the vocabulary.
Result<std::vector<TokenId>> raw_prompt_tokens(const CompletionRequest::Prompt& prompt, const Vocab& vocab,
                                               std::string field);

}  // namespace kvern::app
