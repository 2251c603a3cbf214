#include "constrain/unsatisfiable.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "constrain/schema_document.h"
#include "constrain/schema_logic.h"

namespace kvern::constrain {
namespace {

constexpr std::string_view kProof = "Unsatisfiable schema: ";
constexpr int kCompilations = 64;
constexpr std::size_t kReasonBytes = 300;

struct Place {
  std::string path;
  const Json* schema = nullptr;
};

const Json* find(const Json& schema, const char* keyword) {
  const auto it = schema.find(keyword);
  return it == schema.end() ? nullptr : &*it;
}

std::size_t least_items(const Json& schema) {
  const Json* least = find(schema, "minItems");
  return least && least->is_number_unsigned() ? least->get<std::size_t>() : 0;
}

void add_list(const Place& at, const char* keyword, std::size_t most, std::vector<Place>& out) {
  const Json* list = find(*at.schema, keyword);
  if (!list || !list->is_array()) return;
  for (std::size_t i = 0; i < std::min(most, list->size()); ++i)
    out.push_back({fmt::format("{}/{}/{}", at.path, keyword, i), &(*list)[i]});
}

// The schemas of which each must hold for something, or the whole takes nothing. anyOf is none of them: there
// all are to blame at once.
std::vector<Place> needed(const Place& at, const Json& root) {
  std::vector<Place> out;
  const Json& schema = *at.schema;
  add_list(at, "allOf", SIZE_MAX, out);
  const Json* properties = find(schema, "properties");
  const Json* required = find(schema, "required");
  if (properties && properties->is_object() && required && required->is_array()) {
    for (const Json& name : *required) {
      const auto property = name.is_string() ? properties->find(name.get<std::string>()) : properties->end();
      if (property != properties->end())
        out.push_back({at.path + "/properties/" + pointer_key(property.key()), &*property});
    }
  }
  add_list(at, "prefixItems", least_items(schema), out);
  const Json* items = find(schema, "items");
  if (items && !items->is_array() && least_items(schema) > 0) out.push_back({at.path + "/items", items});
  if (const Json* reference = find(schema, "$ref"); reference && reference->is_string()) {
    const auto& target = reference->get_ref<const std::string&>();
    if (const Json* found = find_reference(root, target)) out.push_back({target.substr(1), found});
  }
  return out;
}

class Search {
 public:
  Search(const GrammarCompiler& compiler, const Json& root) : compiler_(compiler), root_(root) {}

  std::string run(std::string_view reason) {
    Place at{"", &root_};
    std::string why = shortened(reason, kReasonBytes);
    for (bool deeper = true; deeper;) {
      deeper = false;
      if (!at.schema->is_object()) break;
      for (Place& next : needed(at, root_)) {
        std::string said = reason_of(*next.schema);
        if (said.empty()) continue;
        at = std::move(next);
        why = std::move(said);
        deeper = true;
        break;
      }
    }
    if (!at.schema->is_object()) return fmt::format("{}: {}", at.path.empty() ? "/" : at.path, why);
    const Json* values = find(*at.schema, "enum");
    if (values && values->is_array() && values->empty()) return at.path + "/enum: the list is empty";
    return fmt::format("{}/{}: {}", at.path, guilty_keyword(*at.schema), why);
  }

 private:
  // The keyword without which the schema takes something; "" when there is none, or nobody knows.
  std::string guilty_keyword(const Json& schema) {
    std::vector<std::string> keywords;
    for (const auto& item : schema.items())
      if (!is_annotation(item.key())) keywords.push_back(item.key());
    // Of two that exclude each other, the one that says more.
    std::stable_partition(keywords.begin(), keywords.end(), [](const std::string& keyword) {
      return keyword != "type" && keyword != "properties" && keyword != "items";
    });
    for (const std::string& keyword : keywords) {
      Json without = schema;
      without.erase(keyword);
      if (compilations_ < kCompilations && reason_of(without).empty()) return keyword;
    }
    return {};
  }

  // Empty: it takes something, or nobody knows.
  std::string reason_of(const Json& schema) {
    if (compilations_++ == kCompilations) return {};
    if (schema.is_boolean()) return schema.get<bool>() ? "" : "schema is false";
    if (!schema.is_object()) return {};
    Json alone = schema;
    for (const char* definitions : {"$defs", "definitions"})
      if (const Json* those = root_.is_object() ? find(root_, definitions) : nullptr) alone[definitions] = *those;
    alone["x-guidance"] = {{"lenient", true}};
    const Status compiled = compiler_.try_compile("start: %json " + dump_json(alone));
    return compiled ? std::string() : shortened(reason_no_value_matches(compiled.error().message), kReasonBytes);
  }

  const GrammarCompiler& compiler_;
  const Json& root_;
  int compilations_ = 0;  // a hostile schema goes in circles
};

}  // namespace

std::string_view reason_no_value_matches(std::string_view error) {
  const std::size_t proof = error.find(kProof);
  if (proof == std::string_view::npos) return {};
  error.remove_prefix(proof + kProof.size());
  return error.substr(0, error.find('\n'));
}

std::string why_no_value_matches(const GrammarCompiler& compiler, const Json& schema, std::string_view reason) {
  return Search(compiler, schema).run(reason);
}

}  // namespace kvern::constrain
