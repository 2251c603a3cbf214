#include <fmt/format.h>
#include <kvern_rust.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/utf8.h"
#include "constrain/deep_stack.h"
#include "constrain/schema.h"
#include "constrain/schema_document.h"

namespace kvern::constrain {
namespace {

constexpr std::size_t kErrors = 5;
constexpr std::size_t kMessageBytes = 400;  // messages quote the value they are about

// Takes over a string of the Rust library.
std::string take(char* text) {
  std::string out = text ? text : "";
  kv_string_free(text);
  return out;
}

std::string at(std::string_view path, std::string_view message) {
  return path.empty() ? fmt::format("at the root: {}", message) : fmt::format("at {}: {}", path, message);
}

// The library writes "/properties/x/type: 5 is not ..." and ": ..." for the root.
std::string schema_error(const std::string& message) {
  const std::size_t colon =
      message.starts_with('/') || message.starts_with(": ") ? message.find(": ") : std::string::npos;
  if (colon == std::string::npos) return "the schema is refused: " + shortened(message, kMessageBytes);
  return "the schema is refused " + at(message.substr(0, colon), shortened(message.substr(colon + 2), kMessageBytes));
}

std::string errors_text(const std::string& list) {
  std::string out;
  const auto errors = parse_json(list);
  if (!errors || !errors->is_array()) return "it does not match the schema";
  for (const auto& error : errors->items()) {
    if (!out.empty()) out += "; ";
    out += at(error.value().value("path", ""), shortened(error.value().value("message", ""), kMessageBytes));
  }
  return out;
}

}  // namespace

Result<SchemaCheck> SchemaCheck::compile(std::string_view schema) {
  KvSchema* compiled = nullptr;
  TRY_OK(on_deep_stack([&]() -> Status {
    TRY(const Json document, read_schema(schema));
    const std::string text = dump_json(document);
    char* error = nullptr;
    compiled = kv_schema_new(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), &error);
    const std::string message = take(error);
    if (!compiled) return fail(Code::invalid, schema_error(message));
    return {};
  }));
  return SchemaCheck(compiled);
}

SchemaCheck::SchemaCheck(SchemaCheck&& other) noexcept : schema_(std::exchange(other.schema_, nullptr)) {}

SchemaCheck& SchemaCheck::operator=(SchemaCheck&& other) noexcept {
  std::swap(schema_, other.schema_);
  return *this;
}

SchemaCheck::~SchemaCheck() { kv_schema_free(static_cast<KvSchema*>(schema_)); }

Status SchemaCheck::check(std::string_view json) const {
  return on_deep_stack([this, json]() -> Status {
    char* errors = nullptr;
    const std::int32_t count =
        kv_schema_validate(static_cast<const KvSchema*>(schema_), reinterpret_cast<const std::uint8_t*>(json.data()),
                           json.size(), kErrors, &errors);
    const std::string list = take(errors);
    if (count == 0) return {};
    if (count == -1) return fail(Code::invalid, "the value is not JSON: " + errors_text(list));
    if (count < 0) return fail(Code::failed, "the schema check broke down");
    return fail(Code::invalid, errors_text(list));
  });
}

}  // namespace kvern::constrain
