# Minimum versions, never exact ones: Debian 12 and Homebrew both satisfy them. Every missing package is named with
# the remedy, because find_package's own message does not say what to install.
macro(aneval_find package)
  find_package(${package} ${ARGN})
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "aneval needs ${package} ${ARGN}: run ./run_all.sh once, it installs what is missing")
  endif()
endmacro()

find_package(Threads REQUIRED)
# Eigen 5 refuses a plain 3.4, Eigen 3.4 does not understand a range: ask for both.
find_package(Eigen3 3.4...5 QUIET)
if(NOT Eigen3_FOUND)
  aneval_find(Eigen3 3.4)
endif()
aneval_find(fmt 9.0)
aneval_find(nlohmann_json 3.10)
aneval_find(CLI11 2.1)
aneval_find(hwy 1.0.3)
aneval_find(FastFloat 3.4)
aneval_find(GTest 1.11)
aneval_find(benchmark 1.7)

# fast-cpp-csv-parser has no CMake package: Debian installs <libfccp/csv.h>, upstream's header is <csv.h>.
find_path(FCCP_INCLUDE_DIR NAMES csv.h PATH_SUFFIXES libfccp fast-cpp-csv-parser)
if(NOT FCCP_INCLUDE_DIR)
  include(FetchContent)
  FetchContent_Declare(fccp
    GIT_REPOSITORY https://github.com/ben-strasser/fast-cpp-csv-parser.git
    GIT_TAG 5a417973b4cea674a5e4a3b88a23098a2ab75479)
  FetchContent_Populate(fccp)
  set(FCCP_INCLUDE_DIR ${fccp_SOURCE_DIR})
endif()
add_library(fccp INTERFACE)
target_include_directories(fccp SYSTEM INTERFACE ${FCCP_INCLUDE_DIR})
target_compile_definitions(fccp INTERFACE CSV_IO_NO_THREAD)

include(${CMAKE_CURRENT_LIST_DIR}/package/xxhash.cmake)
if(NOT TARGET aneval::xxhash)
  message(FATAL_ERROR "aneval needs xxhash: run ./run_all.sh once, it installs what is missing")
endif()
