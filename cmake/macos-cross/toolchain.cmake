# Builds what a Mac would build, on Linux: Zig's clang, libc++ and linker for arm64 macOS, with its copy of Apple's C
# headers and libSystem. CoreFoundation, IOSurface and notify are declared by headers with Apple's interface; sdk/ has text
# stubs (.tbd) of what is linked beyond libSystem, each with the symbols that are used and no others. Nothing runs here.
# .ci/macos-cross has the steps.
#
# ANEVAL_ZIG names the zig binary, ANEVAL_PREFIX where libraries are installed that were built with this toolchain, and
# ANEVAL_HEADERS a folder with links to those that are headers only: what lies beside them in /usr/include is another
# system's.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ANEVAL_ZIG ANEVAL_HEADERS ANEVAL_PREFIX)
set(CMAKE_C_COMPILER ${ANEVAL_ZIG} cc)
set(CMAKE_CXX_COMPILER ${ANEVAL_ZIG} c++)
set(CMAKE_C_COMPILER_TARGET aarch64-macos.13.0)
set(CMAKE_CXX_COMPILER_TARGET aarch64-macos.13.0)
set(CMAKE_OSX_SYSROOT "")
set(CMAKE_OSX_DEPLOYMENT_TARGET "")
set(CMAKE_OSX_ARCHITECTURES "")
set(CMAKE_PREFIX_PATH ${ANEVAL_PREFIX} /usr)
set(CMAKE_LIBRARY_ARCHITECTURE x86_64-linux-gnu)
set(here ${CMAKE_CURRENT_LIST_DIR})
set(CMAKE_PROJECT_INCLUDE ${here}/implicit.cmake)
set(CMAKE_CXX_FLAGS_INIT
    "-isystem ${ANEVAL_HEADERS} -isystem ${here}/include -isystem ${here}/../../ane/apple/standin/include")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-F ${here}/sdk/Frameworks -L ${here}/sdk/lib")
foreach(language C CXX)
  set(CMAKE_${language}_CREATE_STATIC_LIBRARY "${ANEVAL_ZIG} ar rcs <TARGET> <OBJECTS>")
endforeach()
# Tests are built, and nothing that looks into them finds any.
set(CMAKE_CROSSCOMPILING_EMULATOR /usr/bin/true)
