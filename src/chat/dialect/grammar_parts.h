// What the pieces of one turn's grammar have in common while it is written. Thread: one.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "chat/dialect/dialect.h"

namespace kvern::chat {

class GrammarParts {
 public:
  GrammarParts(const Dialect& of, const Vocab& in, constrain::Compiler& with, constrain::SchemaFitter& by)
      : dialect(of), vocab(in), compiler(with), fitter(by) {}

  // A rule (`name`) or terminal (`NAME`) several tools use; the same name always has the same body.
  void share(const std::string& name, std::string body) { shared_.try_emplace(name, std::move(body)); }
  std::string shared_rules() const;

  // "tool NAME: what"; what begins with a JSON path where there is one.
  void relax(const Tool& tool, const std::string& what);
  std::vector<std::string> take_relaxed() { return std::move(relaxed_); }

  // The schema as `%json {...}` in the dialect's spacing; what it cannot enforce is relaxed, `where`
  // before it.
  Result<std::string> json(const Tool& tool, std::string_view schema, const std::string& where = {});

  const Dialect& dialect;
  const Vocab& vocab;
  constrain::Compiler& compiler;
  constrain::SchemaFitter& fitter;

 private:
  std::map<std::string, std::string> shared_;
  std::vector<std::string> relaxed_;
};

}  // namespace kvern::chat
