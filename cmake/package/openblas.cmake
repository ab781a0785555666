# aneval::openblas, with its headers; used by the build and by the installed package. No target when there is none.
find_library(OPENBLAS_LIBRARY NAMES openblas HINTS /opt/homebrew/opt/openblas/lib /usr/local/opt/openblas/lib)
find_path(OPENBLAS_INCLUDE_DIR NAMES openblas_config.h PATH_SUFFIXES openblas openblas-pthread openblas-serial openblas-openmp
          HINTS /opt/homebrew/opt/openblas/include /usr/local/opt/openblas/include)
if(OPENBLAS_LIBRARY AND OPENBLAS_INCLUDE_DIR AND NOT TARGET aneval::openblas)
  add_library(aneval::openblas INTERFACE IMPORTED GLOBAL)
  set_target_properties(aneval::openblas PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${OPENBLAS_INCLUDE_DIR}"
                        INTERFACE_INCLUDE_DIRECTORIES "${OPENBLAS_INCLUDE_DIR}" INTERFACE_LINK_LIBRARIES "${OPENBLAS_LIBRARY}")
endif()
