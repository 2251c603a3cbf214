// The grammar of tagged arguments: which parameters may follow each other, and their elements. What may
// stand in an element is in tagged_values.cc.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "chat/dialect/arguments/tagged.h"
#include "chat/dialect/arguments/tagged_values.h"
#include "chat/dialect/json_scan.h"
#include "chat/dialect/lark_text.h"
#include "chat/dialect/parameter_sets.h"
#include "constrain/text_grammar.h"

namespace kvern::chat {
namespace {

// A set's parameters as rules, in their order.
struct Elements {
  std::vector<std::pair<std::string, bool>> declared;  // a rule, and whether it is required
  std::string extra;                                   // any number of them behind the declared ones
};

class TaggedGrammar {
 public:
  TaggedGrammar(GrammarParts& parts, const Tool& tool)
      : parts_(parts), dialect_(parts.dialect), tool_(tool), values_(parts, tool) {}

  Result<std::string> arguments() {
    TRY(const Json root, parse_json(tool_.parameters));
    if (tool_.custom) return custom();
    // Only to refuse what is no schema; the parameters are fitted one by one.
    TRY_OK(parts_.fitter.check(tool_.parameters));
    const ParameterSets sets = parameter_sets(root);
    for (const std::string& what : sets.relaxed) parts_.relax(tool_, what);
    std::string out;
    for (const ParameterSet& set : sets.ways) {
      TRY(const Elements elements, elements_of(set, root));
      const std::string way = sequence(elements);
      out += (out.empty() ? "" : " | ") + (way.empty() ? std::string("\"\"") : way);
    }
    return sets.ways.size() == 1 ? out : "( " + out + " )";
  }

 private:
  Result<std::string> custom() {
    TRY(const std::string text, values_.custom_input());
    return opening(kCustomInput, string_word(dialect_)) + " " + text;
  }

  Result<Elements> elements_of(const ParameterSet& set, const Json& root) {
    Elements out;
    const bool more = set.others || !set.patterns.empty();
    for (const Parameter& parameter : set.declared) {
      if (!is_writable(parameter.name)) {
        parts_.relax(tool_,
                     fmt::format("/properties/{}: a name that cannot be written as a tag is left out", parameter.name));
        continue;
      }
      TRY(const auto values, values_.of(parameter.schema, root, "/properties/" + parameter.name + ": "));
      out.declared.emplace_back(element(values, more ? split_name(parameter.name) : std::string(), parameter.name),
                                parameter.required);
    }
    if (!more) return out;
    std::string known;
    for (const Parameter& parameter : set.declared) known += (known.empty() ? "" : "|") + regex_text(parameter.name);
    for (const ParameterSet::Pattern& pattern : set.patterns) {
      TRY(const std::string rule, extra(name_terminal(pattern.names, known), pattern.schema, root));
      out.extra += (out.extra.empty() ? "" : " | ") + rule;
    }
    if (set.others) {
      TRY(const std::string rule, extra(name_terminal({}, known), *set.others, root));
      out.extra += (out.extra.empty() ? "" : " | ") + rule;
    }
    return out;
  }

  Result<std::string> extra(const std::string& name, const Json& schema, const Json& root) {
    TRY(const auto values, values_.of(schema, root, "/additionalProperties: "));
    return shared("any_parameter", element(values, name, {}));
  }

  // name: the rule for it, when it stands between the marks as a piece of its own; else key as it is.
  std::string element(const std::vector<TaggedValue>& values, const std::string& name, std::string_view key) const {
    std::string out;
    for (const TaggedValue& value : values) {
      const std::string head = name.empty() ? opening(key, value.word)
                                            : fmt::format("{} {} {}", lark_text(dialect_.parameter_begin, parts_.vocab),
                                                          name, behind_name(value.word));
      out += fmt::format("{}{} {}", out.empty() ? "" : " | ", head, value.text);
    }
    return values.size() == 1 ? out : "( " + out + " )";
  }

  // What stands before a value written as this word says.
  std::string opening(std::string_view key, std::string_view word) const {
    if (key.find_first_of("<[") != std::string_view::npos)
      return fmt::format("{} {} {}", lark_text(dialect_.parameter_begin, parts_.vocab), constrain::lark_literal(key),
                         behind_name(word));
    return lark_text(std::string(dialect_.parameter_begin) + std::string(key) + behind_name_text(word), parts_.vocab);
  }

  std::string behind_name(std::string_view word) const { return lark_text(behind_name_text(word), parts_.vocab); }

  std::string behind_name_text(std::string_view word) const {
    std::string tag;
    if (dialect_.type_word != TypeWord::none) tag = std::string(dialect_.type_begin) + std::string(word);
    return tag + std::string(dialect_.parameter_name_end);
  }

  // Beside names that are only described, a declared one must not begin where the mark before it does:
  // the lexer would take the longer one and could not go back.
  static std::string split_name(std::string_view name) { return constrain::lark_literal(name); }

  // Names that fit the pattern (any, when it is empty) and are not among the known ones.
  std::string name_terminal(const std::string& pattern, const std::string& known) {
    std::string body = "/[A-Za-z_][A-Za-z0-9_.-]*/";
    if (!pattern.empty()) {
      std::vector<std::string> relaxed;
      const auto fitting = constrain::string_terminal({.pattern = pattern, .format = {}}, mark_behind_name(), relaxed);
      if (fitting && !fitting->empty() && relaxed.empty()) {
        body = fmt::format("{} & /[^ \\t\\r\\n<>\"]+/", *fitting);
      } else {
        parts_.relax(tool_, fmt::format("/patternProperties/{}: any name is allowed", pattern));
      }
    }
    if (!known.empty()) body += fmt::format(" & ~/({})/", known);
    const std::string name = fmt::format("NAME_{:016X}", xxh3_128(body).low);
    parts_.share(name, body);
    return name;
  }

  std::string mark_behind_name() const {
    return std::string(
        trimmed(dialect_.type_word == TypeWord::none ? dialect_.parameter_name_end : dialect_.type_begin));
  }

  // The reader takes a name up to the mark behind it, without whitespace around it.
  bool is_writable(const std::string& name) const {
    if (name.empty() || trimmed(name).size() != name.size() || name.find('\n') != std::string::npos) return false;
    return (name + mark_behind_name()).find(mark_behind_name()) == name.size();
  }

  std::string sequence(const Elements& elements) {
    const auto& declared = elements.declared;
    const bool any_required = std::any_of(declared.begin(), declared.end(), [](const auto& one) { return one.second; });
    if (!dialect_.no_parameters.empty() && !any_required) return some_or_none(elements);
    std::string out;
    for (const auto& [rule, required] : declared)
      out += fmt::format("{}{}", out.empty() ? "" : " ", required ? rule : "( " + rule + " )?");
    if (!elements.extra.empty()) out += fmt::format("{}( {} )*", out.empty() ? "" : " ", elements.extra);
    return out;
  }

  // At least one of these optional parameters, or what says that there are none.
  std::string some_or_none(const Elements& elements) {
    std::string some;  // one or more of those from here on
    std::string tail;  // none or more
    if (!elements.extra.empty()) {
      const std::string extra = shared("extra", elements.extra);
      some = extra + "+";
      tail = extra + "*";
    }
    for (std::size_t i = elements.declared.size(); i-- > 0;) {
      const std::string rule = shared("p", elements.declared[i].first);
      some = shared("some", fmt::format("{} {}{}{}", rule, tail, some.empty() ? "" : " | ", some));
      tail = shared("tail", fmt::format("{}? {}", rule, tail));
    }
    const std::string none = lark_text(dialect_.no_parameters, parts_.vocab);
    return some.empty() ? none : fmt::format("( {} | {} )", some, none);
  }

  // A rule of the whole grammar, named by what it says.
  std::string shared(std::string_view kind, const std::string& body) {
    const std::string name = fmt::format("{}_{:016x}", kind, xxh3_128(body).low);
    parts_.share(name, body);
    return name;
  }

  GrammarParts& parts_;
  const Dialect& dialect_;
  const Tool& tool_;
  TaggedValues values_;
};

}  // namespace

Result<std::string> tagged_grammar(GrammarParts& parts, const Tool& tool) {
  return TaggedGrammar(parts, tool).arguments();
}

}  // namespace kvern::chat
