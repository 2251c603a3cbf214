#include "chat/template/jinja_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/limits.h"
#include "chat/template/engine.h"
#include "chat/template/limit_tree.h"
#include "chat/template/prepared_value.h"
#include "chat/template/render_state.h"
#include "chat/template/round_analysis.h"
#include "chat/template/source_check.h"
#include "chat/template/values.h"

namespace kvern::chat {
namespace {

std::string line_and_column(std::string_view source, std::size_t position) {
  std::size_t line = 1;
  std::size_t column = 1;
  for (const char c : source.substr(0, position)) {
    ++column;
    if (c == '\n') {
      ++line;
      column = 1;
    }
  }
  return fmt::format("line {} column {}", line, column);
}

// The engine does this itself, in quadratic time.
std::string with_unix_newlines(std::string_view source) {
  std::string result;
  result.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      result += source[i];
    } else if (i + 1 == source.size() || source[i + 1] != '\n') {
      result += '\n';
    }
  }
  return result;
}

// "\nError executing Call at position 17: words" -> "words at line 2 column 3".
std::string explain(std::string_view message, std::string_view source) {
  constexpr std::string_view kMark = " at position ";
  const std::size_t mark = message.find(kMark);
  const std::size_t words = mark == std::string_view::npos ? mark : message.find(": ", mark);
  if (words == std::string_view::npos) return std::string(message);
  std::size_t position = 0;
  std::from_chars(message.data() + mark + kMark.size(), message.data() + words, position);
  return fmt::format("{} at {}", message.substr(words + 2), line_and_column(source, position));
}

std::string explain_parse_error(std::string_view message) {
  if (message == "Unexpected token type") return "a block is not closed, or a tag does not belong here";
  return std::string(message);
}

Error refusal(std::string message) { return {Code::invalid, std::move(message), {}}; }

void set_list(jinja::context& context, const PreparedList& list, RenderState& state) {
  jinja::value_array all = mk_val<jinja::value_array>();
  int deepest = 0;
  for (const auto& item : list.items) {
    all->push_back(item->value());
    deepest = std::max(deepest, item->height_of(item->value()).value_or(0));
  }
  state.add_input(all, deepest + 1);
  state.add_items(list.items);
  context.set_val(list.name, all);
}

class ParsedTemplate final : public JinjaTemplate {
 public:
  ParsedTemplate(std::string source, jinja::program program, std::size_t kept_loops)
      : source_(std::move(source)), program_(std::move(program)), kept_loops_(kept_loops) {}

  Result<std::vector<RenderedPart>> render(const Json& variables, const Json& constants,
                                           std::span<const PreparedVariable> prepared,
                                           std::span<const PreparedList> lists) const override {
    try {
      return run(variables, constants, prepared, lists);
    } catch (const TemplateError& e) {
      return tl::unexpected(refusal(e.message));
    } catch (const std::bad_alloc&) {
      return fail(Code::failed, "there is no memory left to render the chat template");
    } catch (const std::exception& e) {
      return tl::unexpected(refusal("the chat template failed: " + explain(e.what(), source_)));
    }
  }

  const std::string& source() const override { return source_; }
  std::size_t kept_loops() const override { return kept_loops_; }

 private:
  std::vector<RenderedPart> run(const Json& variables, const Json& constants,
                                std::span<const PreparedVariable> prepared, std::span<const PreparedList> lists) const {
    RenderState state;
    jinja::context context;
    set_variables(context, variables, state);
    for (const PreparedVariable& one : prepared) {
      state.add_prepared(one.value);
      context.set_val(one.name, one.value->value());
    }
    for (const PreparedList& list : lists) set_list(context, list, state);
    set_constants(context, constants);
    const jinja::value_array results = jinja::runtime(context).execute(program_);
    const jinja::value_string text = jinja::runtime::gather_string_parts(results);
    std::vector<RenderedPart> parts;
    for (jinja::string_part& part : text->val_str.parts) {
      // The engine's flag marks the template's own text here; see strings.h.
      if (!part.val.empty()) parts.push_back({std::move(part.val), !part.is_input});
    }
    return parts;
  }

  std::string source_;
  jinja::program program_;
  std::size_t kept_loops_;
};

Result<std::unique_ptr<JinjaTemplate>> parse_source(std::string source) {
  const jinja::lexer_result tokens = jinja::lexer().tokenize(source);
  const Nesting nesting = deepest_nesting(tokens.tokens);
  if (nesting.depth > limits::kTemplateNesting) {
    return fail(Code::invalid, fmt::format("the chat template nests deeper than {} levels at {}",
                                           limits::kTemplateNesting, line_and_column(source, nesting.position)));
  }
  jinja::program program = jinja::parse_from_tokens(tokens);
  limit_tree(program);
  const std::size_t kept_loops = find_rounds(program);
  return std::make_unique<ParsedTemplate>(std::move(source), std::move(program), kept_loops);
}

}  // namespace

std::shared_ptr<const PreparedValue> prepare_value(const Json& document) {
  return std::make_shared<const PreparedValue>(document, PreparedValue::Room{limits::kPreparedTextBytes, 0});
}

std::shared_ptr<const PreparedValue> prepare_item(const Json& document, std::size_t round_bytes) {
  return std::make_shared<const PreparedValue>(document, PreparedValue::Room{0, round_bytes});
}

std::size_t bytes_of(const PreparedValue& prepared) { return prepared.bytes(); }

Result<std::unique_ptr<JinjaTemplate>> JinjaTemplate::parse(std::string source) {
  if (source.size() > limits::kTemplateBytes)
    return fail(Code::invalid, fmt::format("the chat template is larger than {} bytes", limits::kTemplateBytes));
  try {
    return parse_source(with_unix_newlines(source));
  } catch (const std::exception& e) {
    return fail(Code::invalid, "the chat template cannot be read: " + explain_parse_error(e.what()));
  }
}

}  // namespace kvern::chat
