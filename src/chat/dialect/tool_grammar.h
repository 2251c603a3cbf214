// The arguments of each tool as Lark. Thread: any; one writer per grammar.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/json.h"
#include "chat/dialect/dialect.h"

namespace kvern::chat {

class ToolGrammar {
 public:
  ToolGrammar(const Dialect& dialect, const Vocab& vocab, constrain::SchemaFitter& fitter)
      : dialect_(dialect), vocab_(vocab), fitter_(fitter) {}

  // What comes between call_begin and call_end. Code::invalid with field
  // "tools[index].function.parameters" when the schema is none.
  Result<std::string> call(const Tool& tool, std::size_t index);

  // Rules that call() refers to; after the last call.
  std::string shared_rules() const;

  std::vector<std::string> take_relaxed() { return std::move(relaxed_); }

 private:
  Result<std::string> json_arguments(const Tool& tool);
  Result<std::string> tagged_arguments(const Tool& tool);
  Result<std::string> parameter(const Tool& tool, const std::string& key, const Json& schema, const Json& root);
  std::string any_parameters();
  std::string raw_value();
  void relax(const Tool& tool, const std::string& what);

  const Dialect& dialect_;
  const Vocab& vocab_;
  constrain::SchemaFitter& fitter_;
  bool uses_raw_ = false;
  bool uses_any_ = false;
  std::vector<std::string> relaxed_;
};

}  // namespace kvern::chat
