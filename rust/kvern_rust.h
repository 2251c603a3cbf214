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
int32_t kv_schema_validate(const KvSchema* schema, const uint8_t* instance, size_t len,
                           size_t max_errors, char** errors);

#ifdef __cplusplus
}
#endif
