// POST /v1/responses/compact: a long conversation becomes its users' messages and one summary.
//
// The summary is the model's own, written by an ordinary turn behind the conversation, so that the cached
// prompt is used. It travels as encrypted_content of a `compaction` item; sent back, it stands in the place
// of what it replaced. Pure; thread: any, an encoder one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer_encoder.h"
#include "api/openai_responses.h"

namespace kvern::api {

// As parse_responses_request, but it asks for a summary. items: what stays, the users' messages.
Result<ResponsesRequest> parse_compaction_request(std::string_view body, const StoredItems& stored,
                                                  const RequestDefaults& defaults = {});

// {"id","object":"response.compaction","created_at","output":[messages..., compaction],"usage"}; never
// streamed.
class CompactionEncoder final : public AnswerEncoder {
 public:
  CompactionEncoder(std::string tag, std::int64_t created_s, std::vector<ItemText> kept)
      : tag_(std::move(tag)), created_s_(created_s), kept_(std::move(kept)) {}

  void start(std::vector<Frame>&) override {}
  void events(std::int32_t, std::span<const Event>, std::span<const StepLogprobs>, std::vector<Frame>&) override {}
  void ending(std::int32_t, FinishReason, std::string_view, std::vector<Frame>&) override {}
  void done(const Usage&, std::vector<Frame>&) override {}
  void failed(const Error&, std::vector<Frame>&) override {}
  std::string whole(std::span<const Choice> choices, const Usage& usage) override;

 private:
  std::string tag_;
  std::int64_t created_s_;
  std::vector<ItemText> kept_;
};

}  // namespace kvern::api
