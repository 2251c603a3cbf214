#include "chat/dialect/parameter_sets.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "chat/dialect/parameter_types.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kWays = 16;  // more choices than this are not told apart
constexpr int kSteps = 256;        // subschemas looked into: references may be circular and branch

constexpr const char* kUnenforced[] = {"not",           "if",           "minProperties",     "maxProperties",
                                       "propertyNames", "dependencies", "dependentRequired", "dependentSchemas"};

// An object schema's own words, and later those of several together.
struct Words {
  std::vector<std::pair<std::string, Json>> properties;
  std::vector<std::string> required;
  std::vector<ParameterSet::Pattern> patterns;
  bool lists = false;          // it has a list of properties, if an empty one
  std::optional<Json> others;  // as written: unset, a boolean or a schema
};

using Choices = std::vector<Words>;

Json* find_property(Words& words, const std::string& name) {
  for (auto& [key, schema] : words.properties)
    if (key == name) return &schema;
  return nullptr;
}

bool is_required(const Words& words, const std::string& name) {
  return std::find(words.required.begin(), words.required.end(), name) != words.required.end();
}

Json both(const Json& a, const Json& b) {
  if (allows_all(a) || a == b) return b;
  if (allows_all(b)) return a;
  return Json{{"allOf", Json::array({a, b})}};
}

Json either(const Json& a, const Json& b) {
  if (a == b || allows_all(a)) return a;
  return allows_all(b) ? b : Json{{"anyOf", Json::array({a, b})}};
}

Words all_of(Words a, const Words& b) {
  for (const auto& [name, schema] : b.properties) {
    if (Json* known = find_property(a, name)) {
      *known = both(*known, schema);
    } else {
      a.properties.emplace_back(name, schema);
    }
  }
  for (const std::string& name : b.required)
    if (!is_required(a, name)) a.required.push_back(name);
  a.patterns.insert(a.patterns.end(), b.patterns.begin(), b.patterns.end());
  a.lists = a.lists || b.lists;
  if (!a.others) {
    a.others = b.others;
  } else if (b.others) {
    a.others = *a.others == Json(false) || *b.others == Json(false) ? Json(false) : both(*a.others, *b.others);
  }
  return a;
}

// What any of them allows.
Words any_of(const Choices& choices) {
  Words all = choices.front();
  for (const Words& one : choices) {
    for (const auto& [name, schema] : one.properties) {
      if (Json* known = find_property(all, name)) {
        *known = either(*known, schema);
      } else {
        all.properties.emplace_back(name, schema);
      }
    }
    std::erase_if(all.required, [&one](const std::string& name) { return !is_required(one, name); });
    all.patterns.insert(all.patterns.end(), one.patterns.begin(), one.patterns.end());
    all.lists = all.lists && one.lists;
    if (one.others != Json(false) && all.others == Json(false)) all.others = one.others;
  }
  return all;
}

class Expansion {
 public:
  explicit Expansion(const Json& root) : root_(root) {}

  Choices of(const Json& schema) {
    if (!schema.is_object()) return {Words{}};
    if (steps_-- <= 0) {
      relax("a part of the parameters that is nested too deep is not enforced");
      return {Words{}};
    }
    Choices out = {own_words(schema)};
    if (const auto reference = schema.find("$ref"); reference != schema.end()) {
      const Json* target =
          reference->is_string() ? resolve_ref(root_, reference->get_ref<const std::string&>()) : nullptr;
      if (target == nullptr) relax("$ref of the parameters is not enforced");
      if (target != nullptr) out = product(out, of(*target));
    }
    if (const auto parts = schema.find("allOf"); parts != schema.end() && parts->is_array())
      for (const Json& part : *parts) out = product(out, of(part));
    for (const char* keyword : {"anyOf", "oneOf"}) out = with_choices(std::move(out), schema, keyword);
    return out;
  }

  std::vector<std::string> take_relaxed() { return std::move(relaxed_); }

 private:
  Words own_words(const Json& schema) {
    Words words;
    for (const char* keyword : kUnenforced)
      if (schema.contains(keyword)) relax(fmt::format("{} of the parameters is not enforced", keyword));
    if (const auto all = schema.find("properties"); all != schema.end() && all->is_object()) {
      words.lists = true;
      for (const auto& [name, property] : all->items()) words.properties.emplace_back(name, property);
    }
    if (const auto names = schema.find("required"); names != schema.end() && names->is_array())
      for (const Json& name : *names)
        if (name.is_string()) words.required.push_back(name.get<std::string>());
    if (const auto all = schema.find("patternProperties"); all != schema.end() && all->is_object())
      for (const auto& [names, property] : all->items()) words.patterns.push_back({names, property});
    if (const auto others = schema.find("additionalProperties"); others != schema.end()) words.others = *others;
    return words;
  }

  Choices with_choices(Choices out, const Json& schema, const char* keyword) {
    const auto parts = schema.find(keyword);
    if (parts == schema.end() || !parts->is_array() || parts->empty()) return out;
    if (keyword == std::string_view("oneOf"))
      relax("oneOf of the parameters: that only one of them fits is not enforced");
    Choices choices;
    for (const Json& part : *parts) {
      const Choices one = of(part);
      choices.insert(choices.end(), one.begin(), one.end());
    }
    return product(out, choices);
  }

  Choices product(const Choices& a, const Choices& b) {
    if (a.size() * b.size() > kWays) {
      relax("which choices of the parameters go together is not enforced");
      return {all_of(any_of(a), any_of(b))};
    }
    Choices out;
    for (const Words& one : a)
      for (const Words& other : b) out.push_back(all_of(one, other));
    return out;
  }

  void relax(std::string what) {
    if (std::find(relaxed_.begin(), relaxed_.end(), what) == relaxed_.end()) relaxed_.push_back(std::move(what));
  }

  const Json& root_;
  int steps_ = kSteps;
  std::vector<std::string> relaxed_;
};

ParameterSet set_of(const Words& words, bool nothing_said) {
  ParameterSet set;
  const bool closed = words.others ? *words.others == Json(false)
                                   : nothing_said || words.lists || !words.properties.empty() ||
                                         !words.patterns.empty() || !words.required.empty();
  const Json others = words.others && !closed ? *words.others : Json(true);
  for (const auto& [name, schema] : words.properties) {
    const bool required = is_required(words, name);
    if (required || schema != Json(false)) set.declared.push_back({name, schema, required});
  }
  for (const std::string& name : words.required) {
    const auto same = [&name](const Parameter& parameter) { return parameter.name == name; };
    if (std::none_of(set.declared.begin(), set.declared.end(), same)) set.declared.push_back({name, others, true});
  }
  set.patterns = words.patterns;
  if (!closed) set.others = others;
  return set;
}

// Collects what a schema refers to under "$defs". What is there (or under "definitions") keeps its name.
class Standalone {
 public:
  explicit Standalone(const Json& root) : root_(root) {}

  std::optional<Json> document(const Json& schema) {
    Json out = schema;
    rewrite(out);
    while (!open_.empty()) {
      const std::string reference = std::move(open_.back());
      open_.pop_back();
      const Json* target = resolve_ref(root_, reference);
      if (target == nullptr) return std::nullopt;
      Json copy = *target;
      rewrite(copy);
      const auto& [section, name] = places_.at(reference);
      out[section][name] = std::move(copy);
    }
    // Which draft it is written in decides what its keywords mean: `items` may be a list in draft 7.
    const auto draft = root_.is_object() ? root_.find("$schema") : root_.end();
    if (draft != root_.end() && !out.contains("$schema")) out["$schema"] = *draft;
    return out;
  }

 private:
  void rewrite(Json& schema) {
    if (schema.is_object())
      for (const char* keyword : {"$defs", "definitions"}) schema.erase(keyword);
    replace_references(schema);
  }

  void replace_references(Json& value) {
    if (value.is_object()) {
      for (auto& [key, member] : value.items()) {
        if (key == "$ref" && member.is_string()) {
          member = moved(member.get<std::string>());
        } else {
          replace_references(member);
        }
      }
    } else if (value.is_array()) {
      for (Json& item : value) replace_references(item);
    }
  }

  std::string moved(const std::string& reference) {
    auto place = places_.find(reference);
    if (place == places_.end()) {
      std::pair<std::string, std::string> to = {"$defs", fmt::format("kvern_{}", places_.size())};
      for (const std::string section : {"$defs", "definitions"}) {
        const std::string prefix = "#/" + section + "/";
        if (reference.starts_with(prefix) && reference.find_first_of("/~%", prefix.size()) == std::string::npos)
          to = {section, reference.substr(prefix.size())};
      }
      place = places_.emplace(reference, std::move(to)).first;
      open_.push_back(reference);
    }
    return "#/" + place->second.first + "/" + place->second.second;
  }

  const Json& root_;
  std::map<std::string, std::pair<std::string, std::string>> places_;
  std::vector<std::string> open_;
};

}  // namespace

bool allows_all(const Json& schema) { return schema == Json(true) || (schema.is_object() && schema.empty()); }

ParameterSets parameter_sets(const Json& root) {
  Expansion expansion(root);
  ParameterSets out;
  for (const Words& words : expansion.of(root)) out.ways.push_back(set_of(words, allows_all(root)));
  out.relaxed = expansion.take_relaxed();
  return out;
}

std::optional<Json> standalone(const Json& schema, const Json& root) {
  if (!schema.is_object()) return schema;
  return Standalone(root).document(schema);
}

}  // namespace kvern::chat
