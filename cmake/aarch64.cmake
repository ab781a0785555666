# Cross build for AArch64 Linux, whose tests run under qemu: NEON, and the Apple backend over the stand-in.
#
# Debian 12: dpkg --add-architecture arm64 && apt-get update, then g++-12-aarch64-linux-gnu gobjc-12-aarch64-linux-gnu
# qemu-user libgtest-dev:arm64 libgmock-dev:arm64 libbenchmark-dev:arm64 libhwy-dev:arm64 libfmt-dev:arm64
# libxxhash-dev:arm64; the other libraries are headers (.ci/aarch64 installs all of it, builds and tests).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(triple aarch64-linux-gnu)
set(CMAKE_C_COMPILER ${triple}-gcc-12)
set(CMAKE_CXX_COMPILER ${triple}-g++-12)
# The compiler's own libraries lie under the first, those of Debian's arm64 packages under the second.
set(CMAKE_FIND_ROOT_PATH /usr/${triple} /usr)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR
    "qemu-aarch64;-L;/usr/${triple};-E;LD_LIBRARY_PATH=/usr/${triple}/lib:/usr/lib/${triple}")
