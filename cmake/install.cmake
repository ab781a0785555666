# cmake --install: the program with its manual and its completions, and the libraries of ane/, reference/ and validate/ as a
# CMake package. docs/package.md says how it is used; cmake/package/test.cmake tries it.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The program needs no data: tables and the page of reports are parts of it. Outside macOS it needs the stand-in of Apple's
# frameworks that it is linked with, a library for nobody else.
install(TARGETS aneval RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(NOT APPLE)
  set(private_libraries ${CMAKE_INSTALL_LIBDIR}/aneval)
  install(TARGETS aneval_apple_platform LIBRARY DESTINATION ${private_libraries})
  file(RELATIVE_PATH from_program /${CMAKE_INSTALL_BINDIR} /${private_libraries})
  set_target_properties(aneval PROPERTIES INSTALL_RPATH "$ORIGIN/${from_program}")
endif()

# What the program writes about itself, by the program that was built; in an emulator when it was built for another machine,
# and not at all without one.
if(NOT CMAKE_CROSSCOMPILING OR CMAKE_CROSSCOMPILING_EMULATOR)
  set(written ${CMAKE_BINARY_DIR}/written)
  file(MAKE_DIRECTORY ${written})
  add_custom_command(
    OUTPUT ${written}/aneval.1 ${written}/aneval ${written}/_aneval
    COMMAND aneval man > ${written}/aneval.1
    COMMAND aneval completion bash > ${written}/aneval
    COMMAND aneval completion zsh > ${written}/_aneval
    DEPENDS aneval COMMENT "Writing the manual and the completions" VERBATIM)
  add_custom_target(aneval_written ALL DEPENDS ${written}/aneval.1 ${written}/aneval ${written}/_aneval)
  install(FILES ${written}/aneval.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${written}/aneval DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/bash-completion/completions)
  install(FILES ${written}/_aneval DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/zsh/site-functions)
endif()

install(FILES LICENSE THIRD_PARTY.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY licences DESTINATION ${CMAKE_INSTALL_DOCDIR})
get_property(chart_licences GLOBAL PROPERTY ANEVAL_CHART_LICENCES)
if(chart_licences)
  install(FILES ${chart_licences} DESTINATION ${CMAKE_INSTALL_DOCDIR}/licences RENAME charts.txt)
endif()

# The libraries. aneval::options are what code that includes our headers has to be compiled with: see docs/package.md.
set(libraries options eigen common model_shape memory mil kernels device layer emulator reference validate)
set(rooms common ane ane/mil ane/kernels ane/emulator reference validate validate/shadow validate/self_test validate/weights
          validate/probe)
if(APPLE)
  list(APPEND libraries apple apple_platform)
  list(APPEND rooms ane/apple)
  set_target_properties(aneval_apple_platform PROPERTIES EXPORT_NAME apple_platform)
endif()
list(TRANSFORM libraries PREPEND aneval_)
set(include_folder ${CMAKE_INSTALL_INCLUDEDIR}/aneval)
target_include_directories(aneval_options INTERFACE $<INSTALL_INTERFACE:${include_folder}>)
install(TARGETS ${libraries} EXPORT aneval ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

# Headers, without what tests share, what two sources share, and what is compiled once per vector instruction set.
foreach(room ${rooms})
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${room}/*.h)
  list(FILTER headers EXCLUDE REGEX "(-inl|test_support|test_programs|_fixture|/faulty_[a-z]+|/every_target|/surface_region)\\.h$")
  install(FILES ${headers} DESTINATION ${include_folder}/${room})
endforeach()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/aneval)
set(ANEVAL_NATIVE_SIMD "")
if(ANEVAL_NATIVE)
  include(cmake/package/simd.cmake)
  aneval_native_simd(ANEVAL_NATIVE_SIMD)
endif()
configure_package_config_file(cmake/package/anevalConfig.cmake.in ${CMAKE_BINARY_DIR}/anevalConfig.cmake
                              INSTALL_DESTINATION ${package})
# Before version 1.0 a new minor version may change anything.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/anevalConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/anevalConfig.cmake ${CMAKE_BINARY_DIR}/anevalConfigVersion.cmake
              cmake/package/xxhash.cmake cmake/package/openblas.cmake cmake/package/simd.cmake DESTINATION ${package})
install(EXPORT aneval NAMESPACE aneval:: FILE anevalTargets.cmake DESTINATION ${package})

if(BUILD_TESTING AND (NOT CMAKE_CROSSCOMPILING OR CMAKE_CROSSCOMPILING_EMULATOR))
  add_test(NAME package.toy_kernel
           COMMAND ${CMAKE_COMMAND} -DBUILD=${CMAKE_BINARY_DIR} -DSOURCE=${PROJECT_SOURCE_DIR} -DCONFIG=$<CONFIG>
                   -DCOMPILER=${CMAKE_CXX_COMPILER} -DLAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER} -DGENERATOR=${CMAKE_GENERATOR}
                   -DTOOLCHAIN=${CMAKE_TOOLCHAIN_FILE} -DEIGEN=${Eigen3_VERSION} -DNATIVE=${ANEVAL_NATIVE}
                   -P ${PROJECT_SOURCE_DIR}/cmake/package/test.cmake)
  set_tests_properties(package.toy_kernel PROPERTIES TIMEOUT 600 LABELS package)
endif()
