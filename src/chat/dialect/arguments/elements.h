// The parts of the elements codec: parameters, members and items are elements, each tag with
// Dialect::parameter_begin before it. A value has nothing that says its type: the tool's schema does.
// Thread: any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "chat/dialect/arguments/codec.h"
#include "chat/dialect/parameter_types.h"

namespace kvern::chat {

inline constexpr const char* kItemElement = "item";  // of a list

std::unique_ptr<ArgumentReader> make_elements_reader(const Dialect& dialect);

Result<std::string> elements_grammar(GrammarParts& parts, const Tool& tool);

// What is known of one value: it fits one of these schemas. None: anything.
class ValueSchemas {
 public:
  ValueSchemas() = default;
  ValueSchemas(const Json* schema, const Json* root) : schemas_{schema}, root_(root) {}

  TypeSet types() const;
  ValueSchemas member(const std::string& key) const;
  ValueSchemas item() const;

 private:
  void add_members(const Json& schema, const std::string& key, ValueSchemas& out, int& steps) const;
  void add_items(const Json& schema, ValueSchemas& out, int& steps) const;

  std::vector<const Json*> schemas_;  // into the tool's schema
  const Json* root_ = nullptr;
};

}  // namespace kvern::chat
