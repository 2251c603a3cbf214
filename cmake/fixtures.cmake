# model_fixtures: tiny models with random weights, one of each kind of state, in build/PRESET/fixtures.
#
# Optional (`ninja model_fixtures`, seconds): the generator is llama.cpp's own test of architectures,
# linked to the libraries we build anyway. They have 128 token ids, no tokenizer, and always the same
# weights. tests/model/README.md says what they are good for.

set(KVERN_FIXTURES_DIR ${CMAKE_BINARY_DIR}/fixtures)
set(fixture_files)
foreach(model llama-dense gemma3-dense lfm2-dense qwen3next-moe jamba-dense mamba-dense)
  list(APPEND fixture_files ${KVERN_FIXTURES_DIR}/${model}.gguf)
endforeach()

add_executable(fixture_generator EXCLUDE_FROM_ALL
  ${KVERN_LLAMA_DIR}/tests/test-llama-archs.cpp ${llama_common}/log.cpp
  ${CMAKE_SOURCE_DIR}/tests/model/fixture_support.cc)
target_compile_options(fixture_generator PRIVATE -O1 -w)
target_include_directories(fixture_generator SYSTEM PRIVATE
  ${llama_common} ${KVERN_LLAMA_DIR}/src ${KVERN_LLAMA_DIR}/vendor)
target_link_libraries(fixture_generator PRIVATE llama llama_jinja)

add_custom_command(OUTPUT ${fixture_files}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${KVERN_FIXTURES_DIR}
  COMMAND fixture_generator -s 1 -a "^(llama|gemma3|lfm2|qwen3next|jamba|mamba)$$" -o ${KVERN_FIXTURES_DIR}
  DEPENDS fixture_generator
  VERBATIM COMMENT "random tiny models in ${KVERN_FIXTURES_DIR}")
add_custom_target(model_fixtures DEPENDS ${fixture_files})
