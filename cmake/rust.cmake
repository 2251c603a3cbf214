# The Rust umbrella crate -> one static library (llguidance's C API, jsonschema).
#
# Two Rust static libraries in one program clash on `std`, hence one crate. Its output folder is
# shared by all presets: the library does not depend on C++ flags and costs minutes to build.

find_program(CARGO cargo REQUIRED)
set(KVERN_RUST_TARGET_DIR ${CMAKE_SOURCE_DIR}/build/rust CACHE PATH "cargo's output folder")
set(KVERN_CARGO_FLAGS --release --locked CACHE STRING "list; add --offline where there is no registry")
set(rust_src ${CMAKE_SOURCE_DIR}/rust)
set(rust_out ${KVERN_RUST_TARGET_DIR}/release)
file(GLOB_RECURSE rust_files CONFIGURE_DEPENDS ${rust_src}/src/*.rs)
add_custom_command(OUTPUT ${rust_out}/libkvern_rust.a ${rust_out}/llguidance.h
  COMMAND ${CMAKE_COMMAND} -E env CARGO_TARGET_DIR=${KVERN_RUST_TARGET_DIR}
          ${CARGO} build ${KVERN_CARGO_FLAGS} --manifest-path ${rust_src}/Cargo.toml
  DEPENDS ${rust_files} ${rust_src}/Cargo.toml ${rust_src}/Cargo.lock
  USES_TERMINAL VERBATIM COMMENT "cargo build (llguidance, jsonschema)")
add_custom_target(kvern_rust_build DEPENDS ${rust_out}/libkvern_rust.a)
add_library(kvern_rust STATIC IMPORTED GLOBAL)
set_target_properties(kvern_rust PROPERTIES IMPORTED_LOCATION ${rust_out}/libkvern_rust.a)
file(MAKE_DIRECTORY ${rust_out})  # an imported target's include folder must exist at configure time
target_include_directories(kvern_rust INTERFACE ${rust_out} ${rust_src})
add_dependencies(kvern_rust kvern_rust_build)
find_package(Threads REQUIRED)
target_link_libraries(kvern_rust INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)
