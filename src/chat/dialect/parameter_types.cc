#include "chat/dialect/parameter_types.h"

#include <nlohmann/json.hpp>
#include <string>

#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

// Subschemas looked at for one answer: references may be circular and branch.
constexpr int kSteps = 256;

TypeSet named_type(std::string_view name) {
  if (name == "null") return kNull;
  if (name == "boolean") return kBoolean;
  if (name == "number" || name == "integer") return kNumber;
  if (name == "string") return kString;
  if (name == "array") return kArray;
  if (name == "object") return kObject;
  return 0;
}

TypeSet value_type(const Json& value) {
  if (value.is_null()) return kNull;
  if (value.is_boolean()) return kBoolean;
  if (value.is_number()) return kNumber;
  if (value.is_string()) return kString;
  if (value.is_array()) return kArray;
  return kObject;
}

TypeSet listed_types(const Json& type) {
  if (type.is_string()) return named_type(type.get_ref<const std::string&>());
  TypeSet all = 0;
  if (type.is_array())
    for (const Json& one : type)
      if (one.is_string()) all |= named_type(one.get_ref<const std::string&>());
  return all;
}

class TypeWalk {
 public:
  explicit TypeWalk(const Json& root) : root_(root) {}

  TypeSet types_of(const Json& schema) {
    if (!schema.is_object() || steps_-- <= 0) return kAnyType;
    TypeSet types = kAnyType;
    const auto narrow = [&types](TypeSet by) {
      if ((types & by) != 0) types &= by;
    };
    if (const auto type = schema.find("type"); type != schema.end()) narrow(listed_types(*type));
    if (const auto value = schema.find("const"); value != schema.end()) narrow(value_type(*value));
    if (const auto values = schema.find("enum"); values != schema.end() && values->is_array()) {
      TypeSet any = 0;
      for (const Json& value : *values) any |= value_type(value);
      narrow(any);
    }
    if (const Json* named = referenced(schema)) narrow(types_of(*named));
    for (const char* keyword : {"anyOf", "oneOf"}) {
      TypeSet any = 0;
      for (const Json& choice : parts(schema, keyword)) any |= types_of(choice);
      narrow(any);
    }
    for (const Json& part : parts(schema, "allOf")) narrow(types_of(part));
    return types;
  }

  // The union of what every place that declares the key says; 0 when none does.
  TypeSet declared(const Json& schema, const std::string& key) {
    if (!schema.is_object() || steps_-- <= 0) return 0;
    TypeSet types = 0;
    if (const auto properties = schema.find("properties"); properties != schema.end() && properties->is_object())
      if (const auto property = properties->find(key); property != properties->end()) types |= types_of(*property);
    if (const Json* named = referenced(schema)) types |= declared(*named, key);
    for (const char* keyword : {"allOf", "anyOf", "oneOf"})
      for (const Json& part : parts(schema, keyword)) types |= declared(part, key);
    return types;
  }

 private:
  const Json* referenced(const Json& schema) const {
    const auto reference = schema.find("$ref");
    if (reference == schema.end() || !reference->is_string()) return nullptr;
    return resolve_ref(root_, reference->get_ref<const std::string&>());
  }

  static const Json& parts(const Json& schema, const char* keyword) {
    static const Json kNone = Json::array();
    const auto found = schema.find(keyword);
    return found != schema.end() && found->is_array() ? *found : kNone;
  }

  const Json& root_;
  int steps_ = kSteps;
};

}  // namespace

TypeSet types_of(const Json& schema, const Json& root) { return TypeWalk(root).types_of(schema); }

TypeSet parameter_types(const Json& root, std::string_view key) {
  if (const TypeSet types = TypeWalk(root).declared(root, std::string(key)); types != 0) return types;
  if (!root.is_object()) return kAnyType;
  // Which pattern a name fits is not looked at: any of them.
  TypeSet types = 0;
  if (const auto patterns = root.find("patternProperties"); patterns != root.end() && patterns->is_object())
    for (const auto& [pattern, schema] : patterns->items()) types |= types_of(schema, root);
  const auto others = root.find("additionalProperties");
  if (others != root.end() && *others != Json(false)) types |= types_of(*others, root);
  return types != 0 ? types : kAnyType;
}

TypeSet type_of_value(std::string_view text) {
  const std::string_view value = trimmed(text);
  if (value.empty()) return 0;
  const auto parsed = parse_json(value);
  return parsed ? value_type(*parsed) : TypeSet{0};
}

const Json* resolve_ref(const Json& root, std::string_view reference) {
  if (!reference.starts_with('#')) return nullptr;
  try {
    const Json::json_pointer pointer{std::string(reference.substr(1))};
    return root.contains(pointer) ? &root.at(pointer) : nullptr;
  } catch (const Json::exception&) {
    return nullptr;  // not a JSON pointer
  }
}

}  // namespace kvern::chat
