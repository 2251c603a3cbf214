#include "chat/turns/same_meaning.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/json.h"
#include "chat/dialect/parameter_types.h"
#include "chat/turns/json_value.h"

namespace kvern::chat {
namespace {

using Kind = JsonValue::Kind;

// References and combinations followed to find one property's schema.
constexpr int kSchemaSteps = 64;

TypeSet type_of(Kind kind) {
  switch (kind) {
    case Kind::null: return kNull;
    case Kind::boolean: return kBoolean;
    case Kind::number: return kNumber;
    case Kind::string: return kString;
    case Kind::array: return kArray;
    case Kind::object: return kObject;
  }
  return 0;
}

// Whether text spells a value that is no string.
bool spells(std::string_view text, const JsonValue& value) {
  switch (value.kind) {
    case Kind::null: return text == "null";
    case Kind::boolean: return text == value.text;
    case Kind::number: return canonical_number(text) == value.text;
    case Kind::string: return false;
    case Kind::array:
    case Kind::object: return read_json_value(text) == value;
  }
  return false;
}

class Comparison {
 public:
  Comparison(std::string_view name, std::span<const Tool> tools, bool by_template)
      : name_(name), tools_(tools), by_template_(by_template) {}

  bool same(const JsonValue& lived, const JsonValue& other) { return same(lived, other, Path{}); }

 private:
  // How a value is reached from the arguments, innermost first.
  struct Path {
    const Path* parent = nullptr;
    const std::string* key = nullptr;  // null: an array's element
  };

  bool same(const JsonValue& lived, const JsonValue& other, const Path& path) {
    if (lived.kind != other.kind) return converted(lived, other, path);
    if (lived.text != other.text || lived.keys != other.keys || lived.items.size() != other.items.size()) return false;
    for (std::size_t i = 0; i < lived.items.size(); ++i) {
      const Path below{&path, lived.kind == Kind::object ? &lived.keys[i] : nullptr};
      if (!same(lived.items[i], other.items[i], below)) return false;
    }
    return true;
  }

  bool converted(const JsonValue& lived, const JsonValue& other, const Path& path) {
    if (by_template_) {
      if (other.kind != Kind::string) return false;
      return spells(other.text, lived) || (lived.kind == Kind::boolean && other.text == python_word(lived)) ||
             (lived.kind == Kind::null && other.text == "None");
    }
    if (lived.kind == Kind::string) {
      const TypeSet types = types_at(path);
      return (types & kString) == 0 && (types & type_of(other.kind)) != 0 && spells(lived.text, other);
    }
    const bool scalar = lived.kind == Kind::number || lived.kind == Kind::boolean;
    return scalar && other.kind == Kind::string && types_at(path) == kString && spells(other.text, lived);
  }

  static std::string_view python_word(const JsonValue& boolean) { return boolean.text == "true" ? "True" : "False"; }

  TypeSet types_at(const Path& path) {
    const Json* schema = schema_at(path);
    return schema == nullptr ? kAnyType : types_of(*schema, root());
  }

  const Json* schema_at(const Path& path) {
    if (path.parent == nullptr) return &root();
    const Json* outer = schema_at(*path.parent);
    if (outer == nullptr) return nullptr;
    int steps = kSchemaSteps;
    return path.key != nullptr ? property(*outer, *path.key, steps) : element(*outer, steps);
  }

  const Json* property(const Json& schema, const std::string& key, int& steps) {
    return find(schema, steps, [&key](const Json& one) -> const Json* {
      if (const auto properties = one.find("properties"); properties != one.end() && properties->is_object())
        if (const auto found = properties->find(key); found != properties->end()) return &*found;
      const auto others = one.find("additionalProperties");
      return others != one.end() && others->is_object() ? &*others : nullptr;
    });
  }

  const Json* element(const Json& schema, int& steps) {
    return find(schema, steps, [](const Json& one) -> const Json* {
      const auto items = one.find("items");
      return items != one.end() && items->is_object() ? &*items : nullptr;
    });
  }

  // The first answer of a schema, what it refers to and what it combines.
  template <typename Ask>
  const Json* find(const Json& schema, int& steps, const Ask& ask) {
    if (!schema.is_object() || steps-- <= 0) return nullptr;
    if (const Json* found = ask(schema)) return found;
    if (const auto reference = schema.find("$ref"); reference != schema.end() && reference->is_string()) {
      const Json* named = resolve_ref(root(), reference->get_ref<const std::string&>());
      if (named != nullptr)
        if (const Json* found = find(*named, steps, ask)) return found;
    }
    for (const char* keyword : {"allOf", "anyOf", "oneOf"}) {
      const auto parts = schema.find(keyword);
      if (parts == schema.end() || !parts->is_array()) continue;
      for (const Json& part : *parts)
        if (const Json* found = find(part, steps, ask)) return found;
    }
    return nullptr;
  }

  const Json& root() {
    if (!root_) {
      root_ = Json();
      for (const Tool& tool : tools_)
        if (tool.name == name_) root_ = parse_json(tool.parameters).value_or(Json());
    }
    return *root_;
  }

  const std::string_view name_;
  const std::span<const Tool> tools_;
  const bool by_template_;
  std::optional<Json> root_;  // parsed when first asked for
};

// Every wire format knows "no arguments" and "{}" as the same.
std::string_view or_empty_object(std::string_view arguments) {
  return bare(arguments).empty() ? std::string_view("{}") : arguments;
}

bool same_call(const ToolCall& lived, const ToolCall& other, std::span<const Tool> tools, bool by_template) {
  if (lived.name != other.name || (!by_template && lived.id != other.id)) return false;
  if (lived.arguments == other.arguments) return true;
  const auto left = read_json_value(or_empty_object(lived.arguments));
  const auto right = read_json_value(or_empty_object(other.arguments));
  return left && right && Comparison(lived.name, tools, by_template).same(*left, *right);
}

bool same_calls(const Message& lived, const Message& other, std::span<const Tool> tools, bool by_template) {
  if (lived.tool_calls.size() != other.tool_calls.size()) return false;
  for (std::size_t i = 0; i < lived.tool_calls.size(); ++i)
    if (!same_call(lived.tool_calls[i], other.tool_calls[i], tools, by_template)) return false;
  return true;
}

}  // namespace

std::string_view bare(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

bool same_meaning(const Message& lived, const Message& sent, std::span<const Tool> tools) {
  if (bare(lived.content) != bare(sent.content)) return false;
  const std::string_view reasoning = bare(sent.reasoning);
  if (!reasoning.empty() && reasoning != bare(lived.reasoning)) return false;
  return same_calls(lived, sent, tools, /*by_template=*/false);
}

bool same_as_written(const Message& lived, const Message& written, std::span<const Tool> tools) {
  return bare(lived.content) == bare(written.content) && bare(lived.reasoning) == bare(written.reasoning) &&
         same_calls(lived, written, tools, /*by_template=*/true);
}

}  // namespace kvern::chat
