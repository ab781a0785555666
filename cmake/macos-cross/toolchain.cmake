# Compiles what a Mac would compile, on Linux: Zig's clang and libc++ for arm64 macOS, with its copy of Apple's C headers;
# CoreFoundation, IOSurface and notify are declared by headers with Apple's interface. Nothing is linked: the libraries
# that are found are this system's, and only their headers are used. .ci/macos-cross runs it.
#
# ANEVAL_ZIG names the zig binary, ANEVAL_HEADERS a folder with links to the headers of the libraries alone: what lies
# beside them in /usr/include is another system's.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ANEVAL_ZIG ANEVAL_HEADERS)
set(CMAKE_C_COMPILER ${ANEVAL_ZIG} cc)
set(CMAKE_CXX_COMPILER ${ANEVAL_ZIG} c++)
set(CMAKE_C_COMPILER_TARGET aarch64-macos.13.0)
set(CMAKE_CXX_COMPILER_TARGET aarch64-macos.13.0)
set(CMAKE_OSX_SYSROOT "")
set(CMAKE_OSX_DEPLOYMENT_TARGET "")
set(CMAKE_OSX_ARCHITECTURES "")
set(CMAKE_PREFIX_PATH /usr)
set(CMAKE_LIBRARY_ARCHITECTURE x86_64-linux-gnu)
set(here ${CMAKE_CURRENT_LIST_DIR})
set(CMAKE_PROJECT_INCLUDE ${here}/implicit.cmake)
set(CMAKE_CXX_FLAGS_INIT
    "-isystem ${ANEVAL_HEADERS} -isystem ${here}/include -isystem ${here}/../../ane/apple/standin/include")
set(CMAKE_CXX_LINK_EXECUTABLE "${CMAKE_COMMAND} -E touch <TARGET>")
set(CMAKE_CXX_CREATE_STATIC_LIBRARY "${CMAKE_COMMAND} -E touch <TARGET>")
