# How ggml's CPU kernels are compiled, for kvern and for the llama-server it is compared with (./dev bench).
#
# Where a CPU computes in 16 bits (AVX512-FP16), ggml's f16 kernels advance 128 values at a time: heads of 64 fall to scalar
# code, which makes attention ten times slower (bench/engine_micro.cc), and larger ones are summed in 16 bits. Without it
# they advance by 64 and sum in 32 bits.

include_guard(GLOBAL)
include(CheckCXXCompilerFlag)

function(kvern_ggml_flags)
  check_cxx_compiler_flag(-mno-avx512fp16 KVERN_KNOWS_AVX512FP16)
  if(KVERN_KNOWS_AVX512FP16 AND TARGET ggml-cpu)
    target_compile_options(ggml-cpu PRIVATE -mno-avx512fp16)
  endif()
endfunction()

if(TARGET ggml-cpu)
  kvern_ggml_flags()
else() # given as CMAKE_PROJECT_INCLUDE: the target does not exist yet
  cmake_language(DEFER CALL kvern_ggml_flags)
endif()
