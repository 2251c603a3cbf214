# llama.cpp as a subproject: libllama, ggml, and the Jinja engine of its `common` folder.
#
# KVERN_LLAMA_DIR names the source tree (./dev fetches the pinned one). Only what is needed is
# built; nothing in it is patched (ggml_flags.cmake: how its kernels are compiled).

if(DEFINED ENV{KVERN_LLAMA_DIR})
  set(llama_default $ENV{KVERN_LLAMA_DIR})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(llama_default $ENV{XDG_CACHE_HOME}/kvern/src/llama.cpp-de3ff815)
else()
  set(llama_default $ENV{HOME}/.cache/kvern/src/llama.cpp-de3ff815)
endif()
set(KVERN_LLAMA_DIR ${llama_default} CACHE PATH "llama.cpp v0.5.0 source tree")
if(NOT EXISTS ${KVERN_LLAMA_DIR}/include/llama.h)
  message(FATAL_ERROR "KVERN_LLAMA_DIR='${KVERN_LLAMA_DIR}' holds no llama.cpp sources. "
                      "Run ./dev build, which fetches them, or name a tree with -DKVERN_LLAMA_DIR=PATH.")
endif()

set(BUILD_SHARED_LIBS OFF)
foreach(part COMMON TESTS TOOLS EXAMPLES SERVER APP UI MTMD)
  set(LLAMA_BUILD_${part} OFF)
endforeach()
set(LLAMA_ALL_WARNINGS OFF)
set(LLAMA_OPENSSL OFF)
set(GGML_LLAMAFILE ON)
option(GGML_NATIVE "compile ggml for this CPU only" ON)
option(GGML_OPENMP "" ON)
if(NOT GGML_NATIVE)
  # Spelled out because GGML_NATIVE=OFF alone gives plain SSE2 when SOURCE_DATE_EPOCH is set.
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    foreach(isa SSE42 AVX AVX2 FMA F16C BMI2)
      set(GGML_${isa} ON)
    endforeach()
  endif()
endif()
add_subdirectory(${KVERN_LLAMA_DIR} ${CMAKE_BINARY_DIR}/llama.cpp EXCLUDE_FROM_ALL SYSTEM)
include(ggml_flags)

set(llama_common ${KVERN_LLAMA_DIR}/common)
add_library(llama_jinja STATIC EXCLUDE_FROM_ALL
  ${llama_common}/jinja/caps.cpp ${llama_common}/jinja/lexer.cpp ${llama_common}/jinja/parser.cpp
  ${llama_common}/jinja/runtime.cpp ${llama_common}/jinja/string.cpp ${llama_common}/jinja/value.cpp
  ${llama_common}/json.cpp ${llama_common}/unicode.cpp)
target_include_directories(llama_jinja SYSTEM PUBLIC ${llama_common} PRIVATE ${KVERN_LLAMA_DIR}/vendor)
target_link_libraries(llama_jinja PUBLIC ggml-base)
