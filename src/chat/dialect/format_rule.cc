#include "chat/dialect/format_rule.h"

#include <utility>

#include "constrain/text_grammar.h"

namespace kvern::chat {
namespace {

Result<std::string> schema_rule(const ResponseFormat& format, constrain::SchemaFitter& fitter,
                                std::vector<std::string>& relaxed) {
  const bool any_object = format.kind == FormatKind::json_object;
  TRY(const auto fitted, fitter.fit(any_object ? std::string_view(R"({"type":"object"})") : format.schema,
                                    {", ", ": ", format.whitespace}));
  // Here the schema is all that was asked for. (A tool's is not: there the rest of the request goes on.)
  if (!fitted.unsatisfiable.empty())
    return fail(Code::invalid,
                "no value can match this schema: " + fitter.why_unsatisfiable(format.schema, fitted.unsatisfiable));
  for (const std::string& what : fitted.relaxed) relaxed.push_back("response_format: " + what);
  return "%json " + fitted.json;
}

}  // namespace

Result<std::string> format_rule(const ResponseFormat& format, constrain::Compiler& compiler,
                                constrain::SchemaFitter& fitter, std::vector<std::string>& relaxed) {
  auto rule = format.kind == FormatKind::choice ? constrain::choice_expression(format.choices)
              : format.kind == FormatKind::grammar
                  ? constrain::text_expression(compiler, format.rule, constrain::TextForm::raw)
                  : schema_rule(format, fitter, relaxed);
  if (rule || rule.error().code != Code::invalid) return rule;
  Error error = std::move(rule).error();
  error.field = format.field.empty() ? "response_format.json_schema.schema" : format.field;
  return tl::unexpected(std::move(error));
}

}  // namespace kvern::chat
