// C API of the Rust umbrella library (src/lib.rs), beside llguidance.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct KvSchema KvSchema;

void kv_string_free(char* text);

// Null on failure, then *error says why (free with kv_string_free).
KvSchema* kv_schema_new(const uint8_t* schema, size_t len, char** error);
void kv_schema_free(KvSchema* schema);

// 0 valid; n > 0 errors, listed in *errors as JSON [{"path","keyword","message"}]; -1 instance is
// not JSON; -2 panic.
int32_t kv_schema_validate(const KvSchema* schema, const uint8_t* instance, size_t len, size_t max_errors,
                           char** errors);

// A regular expression (Rust syntax) as one that Lark takes between slashes and that matches whole texts.
// 0 and the expression in *out, or -1 and the reason.
enum {
  KV_REGEX_JSON = 1,   // matches the inside of a JSON string: quotes, backslashes and controls as escapes
  KV_REGEX_ECMA = 2,   // read as ECMA-262, and found anywhere in the text unless anchored
  KV_REGEX_BLANK = 4,  // refused unless it matches nothing but JSON's white space
};
int32_t kv_regex_rewrite(const uint8_t* pattern, size_t len, uint32_t flags, char** out);

// {"all": [...], "none": [...]}: 1 when a whole text matches all of the one and none of the other, 0 when
// there is none or it cannot be found out cheaply.
int32_t kv_regex_satisfiable(const uint8_t* json, size_t len);

// Of a whole-text regular expression inside a JSON string; all bits when in doubt.
enum {
  KV_REGEX_OPEN = 1,      // a match may go on with an escape and still match
  KV_REGEX_ESCAPES = 2,   // a match may hold an escape
  KV_REGEX_NULLABLE = 4,  // it matches the empty text
};
int32_t kv_regex_traits(const uint8_t* pattern, size_t len);

#ifdef __cplusplus
}
#endif
