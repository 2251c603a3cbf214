#include "app/text_requests.h"

#include <fmt/format.h>

#include <utility>

#include "app/priority.h"
#include "app/raw_prompt.h"
#include "app/session_key.h"
#include "base/log.h"

namespace kvern::app {

Result<std::vector<GenerateRequest>> text_requests(ModelService& model, const CompletionRequest& request,
                                                   const std::string& id, const http::Request& http_request) {
  ChatRequest format_only;
  format_only.format = request.format;
  // A raw prompt has no turns to mark; without tools and reasoning every plain record says the same.
  const chat::Dialect& plain = *chat::find_dialect("hermes");
  TRY(ConstraintSpec constraint, chat::write_constraint(plain, /*reasons=*/false, /*in_reasoning=*/false, format_only,
                                                        model.vocab(), model.compiler(), model.fitter()));
  for (const std::string& relaxed : constraint.relaxed) log::warn("schema relaxed", {{"id", id}, {"what", relaxed}});

  const std::string session = session_key(http_request, request.session);
  const std::string salt = model.salt_of(http_request);
  std::vector<GenerateRequest> requests;
  for (std::size_t p = 0; p < request.prompts.size(); ++p) {
    TRY_OK(model.check_length(request.prompts[p].text.size()));
    const std::string field = request.prompts[p].tokens.empty() ? "prompt" : fmt::format("prompt[{}]", p);
    TRY(const std::vector<TokenId> tokens, raw_prompt_tokens(request.prompts[p], model.vocab(), field));
    for (std::int32_t i = 0; i < request.choices; ++i) {
      GenerateRequest one;
      one.id = fmt::format("{}-{}", id, requests.size());
      one.prompt.tokens = tokens;
      one.constraint = constraint;
      one.sampling = request.sampling;
      if (one.sampling.seed) *one.sampling.seed += static_cast<std::uint64_t>(i);
      one.tokens_max = request.tokens_max;
      one.stops = request.stops;
      one.session = session;
      one.priority = priority_of(session);
      one.cache_salt = salt;
      requests.push_back(std::move(one));
    }
  }
  return requests;
}

}  // namespace kvern::app
