# aneval::xxhash: Debian's and Homebrew's xxhash bring no CMake package. Used by the build and by the installed package,
# which finds the library anew on the machine it is used on. No target when there is none.
find_path(XXHASH_INCLUDE_DIR NAMES xxhash.h)
find_library(XXHASH_LIBRARY NAMES xxhash)
if(XXHASH_INCLUDE_DIR AND XXHASH_LIBRARY AND NOT TARGET aneval::xxhash)
  add_library(aneval::xxhash INTERFACE IMPORTED GLOBAL)
  set_target_properties(aneval::xxhash PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${XXHASH_INCLUDE_DIR}"
                        INTERFACE_INCLUDE_DIRECTORIES "${XXHASH_INCLUDE_DIR}" INTERFACE_LINK_LIBRARIES "${XXHASH_LIBRARY}")
endif()
