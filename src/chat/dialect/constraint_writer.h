// write_constraint() for one model, remembering: an agent sends the same tools with every turn. Thread: any.
#pragma once

#include <memory>
#include <mutex>

#include "chat/dialect/dialect.h"
#include "constrain/lru.h"

namespace kvern::chat {

class ConstraintWriter {
 public:
  // All of them must outlive the writer.
  ConstraintWriter(const Chosen& chosen, const Vocab& vocab, constrain::Compiler& compiler,
                   constrain::SchemaFitter& fitter);

  // Kept by the content of all that shapes the grammar (limits::kCompiledGrammars of them): what is known
  // costs a hash over the tools' text. Errors are not kept.
  // is_new, when given: whether it was not known, for what is worth saying once. Code::cancelled when given up.
  Result<ConstraintSpec> write(const ChatRequest& request, bool in_reasoning, bool* is_new = nullptr,
                               const GivenUp& given_up = {});

 private:
  Result<ConstraintSpec> write_new(const ChatRequest& request, bool in_reasoning, const GivenUp& given_up);

  const Chosen& chosen_;
  const Vocab& vocab_;
  constrain::Compiler& compiler_;
  constrain::SchemaFitter& fitter_;
  std::mutex mutex_;
  constrain::Lru<std::shared_ptr<const ConstraintSpec>> written_;
};

}  // namespace kvern::chat
