# npm ci and bundle.mjs. What fails here costs the charts, never the build.
file(MAKE_DIRECTORY ${PAGE})
file(COPY ${SOURCE}/package.json ${SOURCE}/package-lock.json DESTINATION ${PAGE})
execute_process(COMMAND ${NPM} ci --ignore-scripts --no-audit --no-fund --loglevel=error WORKING_DIRECTORY ${PAGE}
                RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE said)
if(result EQUAL 0)
  execute_process(COMMAND ${NODE} ${SOURCE}/bundle.mjs ${PAGE}/node_modules ${PAGE}/charts.js ${PAGE}/licences.txt
                  RESULT_VARIABLE result ERROR_VARIABLE said)
endif()
if(NOT result EQUAL 0)
  message(WARNING "Reports of this build have no charts: npm ci or bundle.mjs failed:\n${said}\n"
                  "With a network: rm ${PAGE}/charts.js, and build again")
  file(WRITE ${PAGE}/charts.js "")
  file(WRITE ${PAGE}/licences.txt "")
endif()
