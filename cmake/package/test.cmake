# package.toy_kernel: installs the build into a temporary prefix, moves it to where nobody built it for, and has a project of
# its own (examples/toy_kernel) find, build and run with what lies there. Run by CTest with BUILD, SOURCE, CONFIG, COMPILER,
# LAUNCHER, GENERATOR, TOOLCHAIN, EIGEN (its version) and NATIVE.
cmake_minimum_required(VERSION 3.22)
set(work ${BUILD}/package_test)
set(prefix ${work}/moved)
file(REMOVE_RECURSE ${work})

function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  set(out "${out}" PARENT_SCOPE)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${what}: ended with ${code}:\n${out}")
  endif()
endfunction()

run("install" ${CMAKE_COMMAND} --install ${BUILD} --config ${CONFIG} --prefix ${work}/installed)
file(RENAME ${work}/installed ${prefix})

# What has to be there, wherever GNUInstallDirs puts it.
foreach(pattern bin/aneval "lib*/libaneval_validate.a" share/man/man1/aneval.1 share/zsh/site-functions/_aneval
                share/bash-completion/completions/aneval share/doc/aneval/LICENSE share/doc/aneval/THIRD_PARTY.md
                share/doc/aneval/licences/notices.txt share/doc/aneval/licences/BSD-3-Clause.txt
                include/aneval/ane/kernels/parts.h include/aneval/reference/kernels.h include/aneval/validate/judge.h)
  file(GLOB_RECURSE found ${prefix}/${pattern})
  if(NOT found)
    file(GLOB found ${prefix}/${pattern} ${prefix}/lib/*/libaneval_validate.a)
  endif()
  if(NOT found)
    message(FATAL_ERROR "not installed: ${pattern}")
  endif()
endforeach()

# Nothing that CMake, a compiler or a person reads names where it was built.
file(GLOB_RECURSE texts ${prefix}/*.cmake ${prefix}/*.h ${prefix}/share/*)
foreach(text ${texts})
  file(READ ${text} content)
  foreach(place ${SOURCE} ${BUILD})
    string(FIND "${content}" "${place}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${text} names ${place}")
    endif()
  endforeach()
endforeach()

# The program runs without the build's libraries.
set(emulated "")
if(TOOLCHAIN)
  include(${TOOLCHAIN})
  set(emulated ${CMAKE_CROSSCOMPILING_EMULATOR})
endif()
run("installed program" ${emulated} ${prefix}/bin/aneval --version)
if(NOT out MATCHES "^aneval [0-9]")
  message(FATAL_ERROR "aneval --version says ${out}")
endif()

# All headers in one file: each has to be complete in what is installed.
file(COPY ${SOURCE}/examples/toy_kernel DESTINATION ${work})
file(GLOB_RECURSE headers RELATIVE ${prefix}/include/aneval ${prefix}/include/aneval/*.h)
set(includes "")
foreach(header ${headers})
  string(APPEND includes "#include \"${header}\"\n")
endforeach()
file(WRITE ${work}/toy_kernel/headers.cpp "${includes}")
file(APPEND ${work}/toy_kernel/CMakeLists.txt "\nadd_library(headers OBJECT headers.cpp)\ntarget_link_libraries(headers aneval::validate)\n")

# By the package's own folder: a cross build looks for packages in its system only.
file(GLOB_RECURSE config ${prefix}/lib*/anevalConfig.cmake)
get_filename_component(package "${config}" DIRECTORY)
set(settings -G ${GENERATOR} -Daneval_DIR=${package} -DCMAKE_BUILD_TYPE=${CONFIG})
if(TOOLCHAIN)
  list(APPEND settings -DCMAKE_TOOLCHAIN_FILE=${TOOLCHAIN})
else()
  list(APPEND settings -DCMAKE_CXX_COMPILER=${COMPILER})
endif()
if(LAUNCHER)
  list(APPEND settings -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER})
endif()
run("configure" ${CMAKE_COMMAND} -S ${work}/toy_kernel -B ${work}/build ${settings})
run("build" ${CMAKE_COMMAND} --build ${work}/build)
run("toy_kernel" ${emulated} ${work}/build/toy_kernel)
message("${out}")

# What find_package has to refuse, with its reason: another Eigen, and another meaning of -march=native.
function(refused reason from to)
  file(REMOVE_RECURSE ${work}/changed)
  file(COPY ${prefix} DESTINATION ${work}/changed)
  string(REPLACE ${prefix} ${work}/changed/moved changed "${package}")
  file(READ ${changed}/anevalConfig.cmake content)
  string(REPLACE "${from}" "${to}" other "${content}")
  if(other STREQUAL content)
    message(FATAL_ERROR "anevalConfig.cmake does not say ${from}")
  endif()
  file(WRITE ${changed}/anevalConfig.cmake "${other}")
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${work}/toy_kernel -B ${work}/changed/build ${settings} -Daneval_DIR=${changed}
                  RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  string(REGEX REPLACE "[ \n]+" " " out "${out}")
  if(code EQUAL 0 OR NOT out MATCHES "${reason}")
    message(FATAL_ERROR "find_package does not refuse ${to}: ${code}: ${out}")
  endif()
endfunction()
refused("aneval was built with Eigen [0-9.]+ and this is" "VERSION_EQUAL \"${EIGEN}\"" "VERSION_EQUAL \"3.0.1\"")
if(NATIVE)
  refused("install the preset `portable` instead" "simd STREQUAL \"" "simd STREQUAL \"__OTHER__;")
endif()

# Code compiled with another alignment than the library's must not link: it would free what the library took in another way.
file(MAKE_DIRECTORY ${work}/misaligned)
file(WRITE ${work}/misaligned/CMakeLists.txt "cmake_minimum_required(VERSION 3.22)
project(misaligned LANGUAGES CXX)
find_package(aneval CONFIG REQUIRED)
file(WRITE \${CMAKE_BINARY_DIR}/main.cpp \"#include <reference/kernels.h>\\nint main() { return (int)aneval::reference::KernelTable::builtin().find(\\\"woFwd\\\").name.size(); }\\n\")
add_executable(misaligned \${CMAKE_BINARY_DIR}/main.cpp)
target_link_libraries(misaligned aneval::reference)
if(OTHER)
  target_compile_definitions(misaligned PRIVATE EIGEN_MAX_ALIGN_BYTES=128)
endif()
")
run("configure" ${CMAKE_COMMAND} -S ${work}/misaligned -B ${work}/misaligned/build ${settings})
run("build of what is aligned as the library" ${CMAKE_COMMAND} --build ${work}/misaligned/build)
run("configure" ${CMAKE_COMMAND} -S ${work}/misaligned -B ${work}/misaligned/build -DOTHER=ON)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${work}/misaligned/build RESULT_VARIABLE code OUTPUT_VARIABLE out
                ERROR_VARIABLE out)
if(code EQUAL 0 OR NOT out MATCHES "MatricesAlignedTo<128>|MatricesAlignedToILi128E")
  message(FATAL_ERROR "other alignment than the library's is not refused by the linker: ${code}: ${out}")
endif()

file(REMOVE_RECURSE ${work})
