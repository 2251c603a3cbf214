#include "chat/dialect/grammar_parts.h"

#include <fmt/format.h>

namespace kvern::chat {

std::string GrammarParts::shared_rules() const {
  std::string out;
  for (const auto& [name, body] : shared_) out += fmt::format("{}: {}\n", name, body);
  return out;
}

void GrammarParts::relax(const Tool& tool, const std::string& what) {
  relaxed_.push_back(fmt::format("tool {}: {}", tool.name, what));
}

Result<std::string> GrammarParts::json(const Tool& tool, std::string_view schema, const std::string& where) {
  TRY(auto fitted,
      fitter.fit(schema, {std::string(dialect.item_separator), std::string(dialect.key_separator), std::string()}));
  for (const std::string& what : fitted.relaxed) relax(tool, where + what);
  return "%json " + fitted.json;
}

}  // namespace kvern::chat
