#include "chat/dialect/arguments/value_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>

#include "base/hash.h"
#include "base/limits.h"
#include "chat/dialect/arguments/flat_schema.h"
#include "chat/dialect/arguments/object.h"
#include "constrain/schema.h"

namespace kvern::chat {
namespace {

constexpr std::string_view kNotEnforced[] = {"not",
                                             "if",
                                             "dependencies",
                                             "dependentRequired",
                                             "dependentSchemas",
                                             "patternProperties",
                                             "propertyNames",
                                             "minProperties",
                                             "maxProperties",
                                             "uniqueItems",
                                             "contains",
                                             "prefixItems",
                                             "unevaluatedProperties",
                                             "unevaluatedItems"};

bool is_name(std::string_view expression) {
  return expression.size() < 48 && std::all_of(expression.begin(), expression.end(),
                                               [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

std::string joined(std::string_view left, std::string_view right) {
  if (left.empty() || right.empty()) return std::string(left) + std::string(right);
  return fmt::format("{} {}", left, right);
}

std::string one_of(const std::vector<std::string>& choices) {
  if (choices.size() == 1) return choices.front();
  return fmt::format("( {} )", fmt::join(choices, " | "));
}

// Empties match without help.
std::string maybe(const std::string& expression) {
  return expression.empty() ? std::string() : fmt::format("( {} )?", expression);
}

class ArgumentRules {
 public:
  ArgumentRules(GrammarParts& parts, const Tool& tool, const ValueStyle& style, const Json& root)
      : parts_(parts),
        tool_(tool),
        style_(style),
        schemas_(root, [this](const std::string& what) { relax(what); }),
        prefix_(fmt::format("v{:x}_", xxh3_128(tool.parameters).low)) {}

  std::string arguments() { return root_object(schemas_.root(), 0); }

 private:
  struct Member {
    std::string text;
    std::string rule;
    bool required = false;
  };

  // Sets a flag and puts it back.
  class Outer {
   public:
    Outer(bool& flag, bool value) : flag_(flag), before_(std::exchange(flag, value)) {}
    Outer(const Outer&) = delete;
    Outer& operator=(const Outer&) = delete;
    ~Outer() { flag_ = before_; }

   private:
    bool& flag_;
    const bool before_;
  };

  // A name for the expression, unless it is one.
  std::string rule(const std::string& expression) {
    if (is_name(expression)) return expression;
    const auto [known, is_new] = rules_.try_emplace(expression, prefix_ + std::to_string(rules_.size()));
    if (is_new) parts_.share(known->second, expression);
    return known->second;
  }

  void relax(const std::string& what) { parts_.relax(tool_, what); }

  // The parameters: choices between sets of them stand where anyOf does.
  std::string root_object(const Json& schema, int depth) {
    const Json& flat = schemas_.flat(schema, "");
    for (const char* keyword : {"anyOf", "oneOf"}) {
      const Json& options = member_of(flat, keyword);
      if (!options.is_array() || options.empty() || depth > kRootChoices) continue;
      Json base = flat;
      base.erase(keyword);
      std::vector<std::string> choices;
      for (std::size_t i = 0; i < options.size(); ++i)
        choices.push_back(rule(root_object(schemas_.merged(base, options[i], where("", keyword, i)), depth + 1)));
      std::erase(choices, "");
      const std::string some = choices.empty() ? std::string() : one_of(choices);
      return choices.size() < options.size() ? maybe(some) : some;
    }
    return object(flat, "", Level::arguments);
  }

  static std::string where(const std::string& path, std::string_view keyword, std::size_t index) {
    return fmt::format("{}/{}/{}", path, keyword, index);
  }

  std::string value(const Json& schema, const std::string& path) {
    if (style_.values_are_json()) return json_value(schema, path);
    if (++steps_ == limits::kArgumentSchemaSteps) relax(path + ": the schema is too large");
    if (steps_ >= limits::kArgumentSchemaSteps || schema == Json(true)) return any();
    if (!schema.is_object()) {
      relax(path + ": false");
      return any();
    }
    if (is_only_reference(schema)) return reference(schema, path);
    const Json& flat = schemas_.flat(schema, path);
    if (!flat.is_object()) return any();
    for (const std::string_view keyword : kNotEnforced)
      if (!member_of(flat, keyword).is_null() && member_of(flat, keyword) != Json(false))
        relax(fmt::format("{}: {}", path, keyword));
    if (flat.contains("const")) return listed(Json::array({flat["const"]}), path);
    if (member_of(flat, "enum").is_array() && !flat["enum"].empty()) return listed(flat["enum"], path);
    for (const char* keyword : {"anyOf", "oneOf"})
      if (member_of(flat, keyword).is_array() && !flat[keyword].empty()) return options(flat, keyword, path);
    return typed(flat, path);
  }

  // A definition is a rule, which is what makes recursion possible.
  std::string reference(const Json& schema, const std::string& path) {
    const Json* target = schemas_.target(schema);
    if (target == nullptr) {
      relax(path + ": $ref");
      return any();
    }
    const auto known = definitions_.find(target);
    if (known != definitions_.end()) return known->second;
    const std::string name = prefix_ + "d" + std::to_string(definitions_.size());
    definitions_.emplace(target, name);
    const Outer outer(among_others_, true);  // it may be one of several wherever it is named
    parts_.share(name, value(*target, path));
    return name;
  }

  std::string options(const Json& flat, const char* keyword, const std::string& path) {
    Json base = flat;
    base.erase(keyword);
    for (const char* note : {"description", "title", "default", "examples"}) base.erase(note);
    const Json& listed_options = flat[keyword];
    std::vector<std::string> choices;
    const Outer outer(among_others_, true);
    for (std::size_t i = 0; i < listed_options.size(); ++i) {
      const std::string place = where(path, keyword, i);
      const Json& option = listed_options[i];
      if (option == Json(false)) continue;
      choices.push_back(rule(value(base.empty() ? option : schemas_.merged(base, option, place), place)));
    }
    if (keyword == std::string_view("oneOf") && choices.size() > 1) relax(path + ": oneOf, as anyOf");
    return choices.empty() ? any() : one_of(choices);
  }

  std::string listed(const Json& values, const std::string& path) {
    std::vector<std::string> choices;
    for (const Json& one : values) {
      if (const auto written = exactly(one)) choices.push_back(*written);
    }
    if (choices.size() < values.size())
      relax(fmt::format("{}: {}", path, choices.empty() ? "enum" : "values of enum that cannot be written"));
    return choices.empty() ? any() : rule(one_of(choices));
  }

  std::optional<std::string> exactly(const Json& one) {
    if (one.is_string()) return style_.exact_text(one.get<std::string>());
    if (one.is_boolean()) return style_.boolean(one.get<bool>());
    if (one.is_null()) return style_.null();
    if (one.is_number()) return style_.scalar(constrain::lark_literal(dump_json(one)));
    if (one.is_array()) {
      std::string items;
      for (const Json& item : one) {
        const auto written = exactly(item);
        if (!written) return std::nullopt;
        items = joined(joined(items, items.empty() ? "" : style_.list().separator), style_.item(*written));
      }
      return joined(joined(style_.list().open, items), style_.list().close);
    }
    std::vector<Member> members;
    for (const auto& [key, member] : one.items()) {
      const auto written = exactly(member);
      const auto name = style_.key_of(key, Level::nested);
      if (!written || !name) return std::nullopt;
      members.push_back({key, rule(style_.member(*name, *written, Level::nested)), true});
    }
    return in_brackets(std::move(members), {}, Level::nested);
  }

  std::string typed(const Json& flat, const std::string& path) {
    std::vector<std::string> types;
    if (flat.contains("type")) {
      for (const Json& type : flat["type"].is_array() ? flat["type"] : Json::array({flat["type"]}))
        if (type.is_string()) types.push_back(type.get<std::string>());
    } else if (flat.contains("properties") || flat.contains("required") || flat.contains("additionalProperties")) {
      types = {"object"};
    } else if (flat.contains("items")) {
      types = {"array"};
    }
    if (types.empty()) return any();
    std::vector<std::string> choices;
    const Outer outer(among_others_, among_others_ || types.size() > 1);
    for (const std::string& type : types) choices.push_back(rule(of_type(type, flat, path)));
    return one_of(choices);
  }

  std::string of_type(const std::string& type, const Json& flat, const std::string& path) {
    if (type == "string") {
      const std::string text = style_.limited_text(flat, path);
      return among_others_ && text == style_.any_text() ? style_.open_text() : text;
    }
    if (type == "integer" || type == "number") return number(type, flat, path);
    if (type == "boolean") return one_of({style_.boolean(true), style_.boolean(false)});
    if (type == "null") return style_.null();
    if (type == "array") return list(flat, path);
    if (type == "object") return object(flat, path, Level::nested);
    relax(path + ": type");
    return any();
  }

  // JSON's numbers are everyone's numbers.
  std::string number(const std::string& type, const Json& flat, const std::string& path) {
    Json schema = {{"type", type}};
    for (const char* keyword : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
      if (!member_of(flat, keyword).is_null()) schema[keyword] = flat[keyword];
    if (schema.size() > 1)
      if (const auto written = parts_.json(tool_, dump_json(schema), path + ": ")) return style_.scalar(*written);
    if (type == "integer") {
      parts_.share("INTEGER", "/-?(0|[1-9][0-9]*)/");
      return style_.scalar("INTEGER");
    }
    parts_.share("NUMBER", R"(/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/)");
    return style_.scalar("NUMBER");
  }

  std::string list(const Json& flat, const std::string& path) {
    const Outer outer(among_others_, false);
    const Json& items = member_of(flat, "items");
    if (items.is_array()) relax(path + ": items of each place");
    const std::string item =
        rule(style_.item(items.is_object() || items.is_boolean() ? value(items, path + "/items") : any()));
    std::size_t least = size_of(flat, "minItems", 0);
    std::size_t most = size_of(flat, "maxItems", kOpen);
    if (least > kCounted || (most != kOpen && most > kCounted))
      relax(fmt::format("{}: {}", path, least > kCounted ? "minItems" : "maxItems"));
    if (least > kCounted) least = 1;
    if (most > kCounted || most < least) most = kOpen;
    const Brackets brackets = style_.list();
    if (most == 0) return joined(brackets.open, brackets.close);
    const std::string more = fmt::format("( {} ){{{},{}}}", joined(brackets.separator, item), least > 0 ? least - 1 : 0,
                                         most == kOpen ? "" : std::to_string(most - 1));
    const std::string some = joined(item, most == 1 ? "" : more);
    return joined(joined(brackets.open, least == 0 ? maybe(some) : some), brackets.close);
  }

  static std::size_t size_of(const Json& flat, const char* keyword, std::size_t otherwise) {
    const Json& size = member_of(flat, keyword);
    return size.is_number_integer() && size >= 0 ? size.get<std::size_t>() : otherwise;
  }

  std::string object(const Json& flat, const std::string& path, Level level) {
    const Outer outer(among_others_, false);
    std::vector<Member> members;
    std::vector<std::string> names;
    bool writable = true;
    const auto add = [&](const std::string& key, const Json& schema, bool required) {
      names.push_back(key);
      const std::string place = path + "/properties/" + key;
      const auto name = style_.key_of(key, level);
      if (!name) {
        relax(place + ": this name cannot be written");
        writable = writable && !required;
        return;
      }
      members.push_back({key, rule(style_.member(*name, value(schema, place), level)), required});
    };
    const Json& properties = member_of(flat, "properties");
    const Json& required = member_of(flat, "required");
    const auto is_required = [&](const std::string& key) {
      return required.is_array() && std::find(required.begin(), required.end(), key) != required.end();
    };
    if (properties.is_object())
      for (const auto& [key, schema] : properties.items())
        if (schema != Json(false)) add(key, schema, is_required(key));
    if (required.is_array())
      for (const Json& key : required)
        if (key.is_string() && !member_of(properties, key.get<std::string>()).is_object() &&
            std::find(names.begin(), names.end(), key) == names.end())
          add(key.get<std::string>(), Json(true), true);
    return in_brackets(writable ? std::move(members) : std::vector<Member>(),
                       others(flat, path, level, names, writable), level);
  }

  // The rule of members that are not declared; empty when there may be none.
  std::string others(const Json& flat, const std::string& path, Level level, const std::vector<std::string>& names,
                     bool writable) {
    const Json& rest = member_of(flat, "additionalProperties");
    const bool described = flat.contains("properties") && writable;
    const bool open = rest.is_null() ? !described && (level == Level::nested || flat.contains("patternProperties"))
                                     : rest != Json(false);
    if (!open && writable) return {};
    const std::string body = style_.other_key(writable ? names : std::vector<std::string>(), level);
    const std::string key = fmt::format("KEY_{:016X}", xxh3_128(body).low);
    parts_.share(key, body);
    const bool typed = rest.is_object();
    return rule(style_.member(key, typed ? value(rest, path + "/additionalProperties") : any(), level));
  }

  // Members in their order, optional ones or not, then any number of others. What a first member's
  // lack of a separator costs is one rule for each place where the first may stand.
  std::string in_brackets(std::vector<Member> members, const std::string& other, Level level) {
    if (style_.sorts_keys())
      std::stable_sort(members.begin(), members.end(),
                       [](const Member& a, const Member& b) { return sorts_before(a.text, b.text); });
    const Brackets brackets = style_.object(level);
    const std::string& separator = brackets.separator;
    std::string rest = other.empty() ? std::string() : fmt::format("( {} )*", joined(separator, other));
    std::vector<std::string> beginnings;
    bool may_be_empty = true;
    if (!other.empty()) beginnings.push_back(joined(other, rest));
    for (std::size_t i = members.size(); i-- > 0;) {
      const Member& member = members[i];
      if (member.required) beginnings.clear();
      may_be_empty = may_be_empty && !member.required;
      if (!rest.empty()) rest = rule(rest);
      beginnings.push_back(joined(member.rule, rest));
      const std::string next = joined(separator, member.rule);
      rest = joined(member.required ? next : maybe(next), rest);
    }
    std::string inside = beginnings.empty() ? std::string() : one_of(beginnings);
    if (may_be_empty) inside = maybe(inside);
    return joined(joined(brackets.open, inside), brackets.close);
  }

  std::string any() {
    if (style_.values_are_json()) return "%json {}";
    parts_.share("NUMBER", R"(/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/)");
    const std::string body = style_.other_key({}, Level::nested);
    parts_.share("ANY_KEY", body);
    const Brackets object = style_.object(Level::nested);
    const Brackets list = style_.list();
    const std::string member = style_.member("ANY_KEY", "any_value", Level::nested);
    const std::string members = fmt::format("( {} ( {} )* )?", member, joined(object.separator, member));
    const std::string item = style_.item("any_value");
    const std::string items = fmt::format("( {} ( {} )* )?", item, joined(list.separator, item));
    parts_.share("any_value", fmt::format("{} | {} | {} | {} | {} | {} | {}", style_.open_text(),
                                          style_.scalar("NUMBER"), style_.boolean(true), style_.boolean(false),
                                          style_.null(), joined(joined(object.open, members), object.close),
                                          joined(joined(list.open, items), list.close)));
    return "any_value";
  }

  // The schema as a document of its own, with the definitions it may refer to.
  std::string json_value(const Json& schema, const std::string& path) {
    if (!refers_only_to_definitions(schema)) {
      relax(path + ": a $ref outside $defs");
      return any();
    }
    Json document = schema;
    for (const char* keyword : {"$defs", "definitions"})
      if (document.is_object() && schemas_.root().contains(keyword) && !document.contains(keyword))
        document[keyword] = schemas_.root()[keyword];
    const auto written = parts_.json(tool_, dump_json(document), path + ": ");
    if (written) return *written;
    relax(path + ": " + written.error().message);
    return any();
  }

  static bool refers_only_to_definitions(const Json& schema) {
    if (!schema.is_structured()) return true;
    for (const auto& [key, part] : schema.items()) {
      if (key == "$ref" && part.is_string()) {
        const std::string& reference = part.get_ref<const std::string&>();
        if (!reference.starts_with("#/$defs/") && !reference.starts_with("#/definitions/")) return false;
      }
      if (!refers_only_to_definitions(part)) return false;
    }
    return true;
  }

  static constexpr std::size_t kOpen = static_cast<std::size_t>(-1);
  static constexpr std::size_t kCounted = 64;  // items that are counted
  static constexpr int kRootChoices = 4;       // anyOf within anyOf

  GrammarParts& parts_;
  const Tool& tool_;
  const ValueStyle& style_;
  FlatSchemas schemas_;
  const std::string prefix_;
  std::map<std::string, std::string> rules_;        // their names
  std::map<const Json*, std::string> definitions_;  // their rules
  std::size_t steps_ = 0;
  bool among_others_ = false;  // the value may be of another type too
};

}  // namespace

Result<std::string> write_arguments(GrammarParts& parts, const Tool& tool, const ValueStyle& style) {
  if (tool.custom && tool.input.syntax != TextSyntax::any) return style.ruled_text();
  TRY(const Json root, parse_json(tool.parameters));
  // Only to refuse what is no schema.
  TRY_OK(parts.fitter.check(tool.parameters));
  return ArgumentRules(parts, tool, style, root).arguments();
}

}  // namespace kvern::chat
