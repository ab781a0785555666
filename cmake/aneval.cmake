# How every target of the project is built: one function for libraries, one for tests.

# -ffp-contract=off: a compiler that may or may not fuse a*b+c gives other bits per CPU and per version. Where the
# code wants a fused multiply-add it says so (Eigen and Highway use intrinsics and keep theirs).
add_library(aneval_options INTERFACE)
set_target_properties(aneval_options PROPERTIES EXPORT_NAME options)
target_compile_features(aneval_options INTERFACE cxx_std_20)
target_include_directories(aneval_options INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
target_compile_definitions(aneval_options INTERFACE EIGEN_DONT_PARALLELIZE)
target_compile_options(aneval_options INTERFACE -ffp-contract=off)
# Position-independent code keeps its inlining: nobody replaces our functions at run time.
target_compile_options(aneval_options INTERFACE
                       $<BUILD_INTERFACE:$<$<CXX_COMPILER_ID:GNU>:-fno-semantic-interposition>>)
target_link_libraries(aneval_options INTERFACE Threads::Threads)
if(ANEVAL_NATIVE)
  target_compile_options(aneval_options INTERFACE -march=native)
  # clang-19 warns about its own choice of AVX10 features on some CPUs, even for an empty file.
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-Winvalid-feature-combination ANEVAL_HAS_FEATURE_COMBINATION_WARNING)
  if(ANEVAL_HAS_FEATURE_COMBINATION_WARNING)
    target_compile_options(aneval_options INTERFACE $<BUILD_INTERFACE:-Wno-invalid-feature-combination>)
  endif()
endif()
# Every library counts the edges that it takes, which is what libFuzzer steers by; only the targets have its main.
if(ANEVAL_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "ANEVAL_FUZZ needs clang, whose libFuzzer it is, and this is ${CMAKE_CXX_COMPILER_ID}: "
                        "install clang-19 and libclang-rt-19-dev, then cmake --preset fuzz")
  endif()
  if(NOT ANEVAL_SANITIZE)
    message(FATAL_ERROR "ANEVAL_FUZZ without sanitizers would see crashes only: cmake --preset fuzz has them")
  endif()
  target_compile_options(aneval_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(ANEVAL_SANITIZE)
  target_compile_options(aneval_options INTERFACE -fsanitize=${ANEVAL_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(aneval_options INTERFACE -fsanitize=${ANEVAL_SANITIZE})
endif()

add_library(aneval_warnings INTERFACE)
target_compile_options(aneval_warnings INTERFACE -Wall -Wextra -Wshadow -Wconversion
                       $<$<BOOL:${ANEVAL_WERROR}>:-Werror>)
# g++-12 warns about its own AVX-512 intrinsics (GCC PR105593) and about string concatenation (GCC PR105651).
target_compile_options(aneval_warnings INTERFACE
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-restrict>)
# clang-19 reports what stable_sort of libstdc++ 12 does as if we did it.
target_compile_options(aneval_warnings INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)

# aneval_library(NAME SOURCES a.cpp … [LINK lib …] [PRIVATE_LINK lib …] [HEADERS lib …])
# HEADERS are libraries of headers that no header of ours includes: whoever uses an installed library needs none of them.
function(aneval_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK;HEADERS" ${ARGN})
  add_library(aneval_${name} STATIC ${ARG_SOURCES})
  add_library(aneval::${name} ALIAS aneval_${name})
  target_link_libraries(aneval_${name} PUBLIC aneval_options ${ARG_LINK}
                        PRIVATE $<BUILD_INTERFACE:aneval_warnings> ${ARG_PRIVATE_LINK})
  foreach(headers ${ARG_HEADERS})
    target_link_libraries(aneval_${name} PRIVATE $<BUILD_INTERFACE:${headers}>)
  endforeach()
  set_target_properties(aneval_${name} PROPERTIES CXX_EXTENSIONS OFF EXPORT_NAME ${name})
endfunction()

# aneval_test(NAME SOURCES a_test.cpp … LINK lib …): one executable per folder, registered test by test with CTest.
function(aneval_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  if(NOT BUILD_TESTING)
    return()
  endif()
  add_executable(${name}_test ${ARG_SOURCES})
  target_link_libraries(${name}_test PRIVATE ${ARG_LINK} aneval_warnings GTest::gmock GTest::gtest_main)
  set_target_properties(${name}_test PROPERTIES CXX_EXTENSIONS OFF)
  include(GoogleTest)
  gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
                       WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} PROPERTIES TIMEOUT 600)
endfunction()
