#include <nlohmann/json.hpp>

#include "chat/dialect/arguments/elements.h"

namespace kvern::chat {
namespace {

// Subschemas looked at for one answer: references may be circular and branch.
constexpr int kSteps = 256;

const Json* member(const Json& schema, const char* key) {
  const auto found = schema.find(key);
  return found == schema.end() ? nullptr : &*found;
}

const Json* referenced(const Json& schema, const Json& root) {
  const Json* reference = member(schema, "$ref");
  return reference != nullptr && reference->is_string() ? resolve_ref(root, reference->get_ref<const std::string&>())
                                                        : nullptr;
}

// Calls see(part) for each schema that says something of the same value.
template <typename See>
void see_parts(const Json& schema, const Json& root, See see) {
  if (const Json* named = referenced(schema, root)) see(*named);
  for (const char* keyword : {"allOf", "anyOf", "oneOf"})
    if (const Json* parts = member(schema, keyword); parts != nullptr && parts->is_array())
      for (const Json& part : *parts) see(part);
}

}  // namespace

TypeSet ValueSchemas::types() const {
  TypeSet all = 0;
  for (const Json* schema : schemas_) all |= types_of(*schema, *root_);
  return all == 0 ? kAnyType : all;
}

ValueSchemas ValueSchemas::member(const std::string& key) const {
  ValueSchemas out;
  out.root_ = root_;
  int steps = kSteps;
  for (const Json* schema : schemas_) add_members(*schema, key, out, steps);
  return out;
}

ValueSchemas ValueSchemas::item() const {
  ValueSchemas out;
  out.root_ = root_;
  int steps = kSteps;
  for (const Json* schema : schemas_) add_items(*schema, out, steps);
  return out;
}

void ValueSchemas::add_members(const Json& schema, const std::string& key, ValueSchemas& out, int& steps) const {
  if (!schema.is_object() || steps-- <= 0) return;
  const Json* properties = chat::member(schema, "properties");
  const bool declared = properties != nullptr && properties->is_object() && properties->contains(key);
  if (declared) out.schemas_.push_back(&(*properties)[key]);
  if (const Json* others = chat::member(schema, "additionalProperties"); !declared && others != nullptr)
    if (others->is_object()) out.schemas_.push_back(others);
  see_parts(schema, *root_, [&](const Json& part) { add_members(part, key, out, steps); });
}

void ValueSchemas::add_items(const Json& schema, ValueSchemas& out, int& steps) const {
  if (!schema.is_object() || steps-- <= 0) return;
  if (const Json* items = chat::member(schema, "items"); items != nullptr && items->is_object())
    out.schemas_.push_back(items);
  see_parts(schema, *root_, [&](const Json& part) { add_items(part, out, steps); });
}

}  // namespace kvern::chat
