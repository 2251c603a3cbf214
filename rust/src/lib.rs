//! The one Rust static library of kvern: llguidance's C API as it is, JSON-Schema validation, and the
//! rewriting of regular expressions.
//!
//! Every function catches panics; none keeps a pointer it was given. Thread: any.

mod regex;

use std::ffi::{c_char, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};

// Naming the crate keeps its 51 `llg_*` C symbols in the archive; without this line there are none.
extern crate llguidance as _;

fn to_c(text: String) -> *mut c_char {
    CString::new(text.replace('\0', "\\u0000")).unwrap_or_default().into_raw()
}

unsafe fn set(slot: *mut *mut c_char, text: String) {
    if !slot.is_null() {
        *slot = to_c(text);
    }
}

/// Frees a string this library returned.
///
/// # Safety
/// `text` comes from a `kv_*` function, or is null.
#[no_mangle]
pub unsafe extern "C" fn kv_string_free(text: *mut c_char) {
    if !text.is_null() {
        drop(CString::from_raw(text));
    }
}

pub struct KvSchema(jsonschema::Validator);

/// Compiles a JSON Schema. On failure returns null and sets `error` (free it with `kv_string_free`).
///
/// # Safety
/// `schema` points to `len` bytes; `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn kv_schema_new(schema: *const u8, len: usize, error: *mut *mut c_char) -> *mut KvSchema {
    let bytes = std::slice::from_raw_parts(schema, len);
    let compiled = catch_unwind(AssertUnwindSafe(|| -> Result<KvSchema, String> {
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| format!("schema is not JSON: {e}"))?;
        jsonschema::options()
            .should_validate_formats(true)
            .offline()
            .build(&value)
            .map(KvSchema)
            .map_err(|e| format!("{}: {e}", e.instance_path()))
    }));
    match compiled {
        Ok(Ok(schema)) => Box::into_raw(Box::new(schema)),
        Ok(Err(message)) => {
            set(error, message);
            std::ptr::null_mut()
        }
        Err(_) => {
            set(error, "the schema compiler panicked".into());
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// `schema` comes from `kv_schema_new`, or is null.
#[no_mangle]
pub unsafe extern "C" fn kv_schema_free(schema: *mut KvSchema) {
    if !schema.is_null() {
        drop(Box::from_raw(schema));
    }
}

/// 0: valid. n > 0: the number of errors listed in `errors`, a JSON array of
/// {"path", "keyword", "message"}. -1: the instance is not JSON. -2: panic.
///
/// # Safety
/// `schema` comes from `kv_schema_new`; `instance` points to `len` bytes; `errors` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn kv_schema_validate(
    schema: *const KvSchema,
    instance: *const u8,
    len: usize,
    max_errors: usize,
    errors: *mut *mut c_char,
) -> i32 {
    let bytes = std::slice::from_raw_parts(instance, len);
    let outcome = catch_unwind(AssertUnwindSafe(|| -> (i32, String) {
        let value: serde_json::Value = match serde_json::from_slice(bytes) {
            Ok(value) => value,
            Err(e) => {
                let list = serde_json::json!([{"path": "", "keyword": "", "message": e.to_string()}]);
                return (-1, list.to_string());
            }
        };
        if (*schema).0.is_valid(&value) {
            return (0, "[]".into());
        }
        let list: Vec<serde_json::Value> = (*schema)
            .0
            .iter_errors(&value)
            .take(max_errors.max(1))
            .map(|e| {
                serde_json::json!({
                    "path": e.instance_path().as_str(),
                    "keyword": e.kind().keyword(),
                    "message": e.to_string(),
                })
            })
            .collect();
        (list.len() as i32, serde_json::Value::Array(list).to_string())
    }));
    let (code, text) = outcome.unwrap_or((-2, "[]".into()));
    set(errors, text);
    code
}

/// Rewrites a regular expression (see regex.rs). 0: `out` is the rewritten one; -1: `out` says why not.
///
/// # Safety
/// `pattern` points to `len` bytes; `out` is null or writable; free what it gets with `kv_string_free`.
#[no_mangle]
pub unsafe extern "C" fn kv_regex_rewrite(pattern: *const u8, len: usize, flags: u32, out: *mut *mut c_char) -> i32 {
    let bytes = std::slice::from_raw_parts(pattern, len);
    let outcome = catch_unwind(AssertUnwindSafe(|| match std::str::from_utf8(bytes) {
        Ok(text) => regex::rewrite(text, flags),
        Err(_) => Err("it is not UTF-8".into()),
    }));
    let (code, text) = match outcome {
        Ok(Ok(text)) => (0, text),
        Ok(Err(message)) => (-1, message),
        Err(_) => (-1, "the regular expression compiler panicked".into()),
    };
    set(out, text);
    code
}

/// Whether a text matches all of `{"all": [..], "none": [..]}`'s first and none of its second regular
/// expressions, each about the whole text. 1: yes; 0: no, or it cannot be found out cheaply.
///
/// # Safety
/// `json` points to `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn kv_regex_satisfiable(json: *const u8, len: usize) -> i32 {
    let bytes = std::slice::from_raw_parts(json, len);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        type Query = std::collections::HashMap<String, Vec<String>>;
        let mut query: Query = serde_json::from_slice(bytes).unwrap_or_default();
        let mut list = |name: &str| query.remove(name).unwrap_or_default();
        regex::some_text_matches(&list("all"), &list("none")).unwrap_or(false)
    }));
    i32::from(outcome.unwrap_or(false))
}

/// Bits of `regex::traits`.
///
/// # Safety
/// `pattern` points to `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn kv_regex_traits(pattern: *const u8, len: usize) -> i32 {
    let bytes = std::slice::from_raw_parts(pattern, len);
    let all = regex::OPEN | regex::ESCAPES | regex::NULLABLE;
    catch_unwind(AssertUnwindSafe(|| std::str::from_utf8(bytes).map_or(all, regex::traits))).unwrap_or(all)
}
