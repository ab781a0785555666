# aneval_native_simd(RESULT): which vector instructions -march=native means for this compiler on this machine, as the list of
# the macros that say so. The package of a build that is tuned for its machine is for such machines alone.
function(aneval_native_simd result)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -march=native -dM -E -x c++ /dev/null
                  OUTPUT_VARIABLE macros ERROR_QUIET)
  set(found "")
  foreach(macro __SSE4_2__ __AVX__ __AVX2__ __FMA__ __F16C__ __AVX512F__ __AVX512BW__ __AVX512DQ__ __AVX512VL__
                __ARM_NEON __ARM_FEATURE_FMA __ARM_FEATURE_FP16_VECTOR_ARITHMETIC __ARM_FEATURE_SVE)
    if(macros MATCHES "#define ${macro} ")
      list(APPEND found ${macro})
    endif()
  endforeach()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()
