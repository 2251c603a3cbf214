# kvern_module(NAME SOURCES a.cc ... DEPS lib ... TESTS a_test.cc ... TEST_DEPS lib ...)
#
# One static library a module, with listed sources, and one test binary beside it.
# DEPS repeats the layer graph of ARCHITECTURE.md; tests/layers checks the includes themselves.

set(KVERN_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False positives of GCC 12: 105651 ("literal" + std::string&&), 105593 (moved variants of strings).
  list(APPEND KVERN_WARNINGS -Wno-restrict -Wno-maybe-uninitialized)
endif()

set(KVERN_SANITIZE_FLAGS)
if(KVERN_SANITIZE)
  set(KVERN_SANITIZE_FLAGS -fsanitize=${KVERN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
endif()
if(KVERN_FUZZ)
  list(APPEND KVERN_SANITIZE_FLAGS -fsanitize=fuzzer-no-link)
endif()

function(kvern_target_options target)
  target_compile_options(${target} PRIVATE ${KVERN_CXX_OPTIONS} ${KVERN_WARNINGS} ${KVERN_SANITIZE_FLAGS})
  target_link_options(${target} PRIVATE ${KVERN_SANITIZE_FLAGS})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src)
endfunction()

function(kvern_module name)
  cmake_parse_arguments(M "" "" "SOURCES;DEPS;TESTS;TEST_DEPS" ${ARGN})
  add_library(kvern_${name} STATIC ${M_SOURCES})
  kvern_target_options(kvern_${name})
  target_link_libraries(kvern_${name} PUBLIC ${M_DEPS})
  if(KVERN_TESTS AND M_TESTS)
    add_executable(${name}_test ${M_TESTS})
    kvern_target_options(${name}_test)
    target_link_libraries(${name}_test PRIVATE kvern_${name} ${M_TEST_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
    add_test(NAME unit.${name} COMMAND ${name}_test --gtest_brief=1)
    set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 300)
    set_property(GLOBAL APPEND PROPERTY KVERN_TEST_TARGETS ${name}_test)
  endif()
endfunction()
