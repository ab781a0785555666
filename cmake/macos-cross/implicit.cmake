# After project(): what is found under /usr must not bring the headers of this system in (toolchain.cmake).
set(CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES /usr/include)
