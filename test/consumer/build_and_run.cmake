# Configures, builds, installs and runs the consumer project in SOURCE, as a user would.

cmake_minimum_required(VERSION 3.25)

function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# Only the subdirectory project installs anything: nothing is left there from an earlier run.
if(SOURCE MATCHES "/subdirectory$")
    file(REMOVE_RECURSE "${PREFIX}")
endif()

run(
    ${CMAKE_COMMAND} -S ${SOURCE} -B ${BINARY} -G Ninja
    -DCMAKE_UNITY_BUILD=ON
    -DBUILD_SHARED_LIBS=${SHARED}
    -DCOFUTURES_SOURCE_DIR=${COFUTURES}
    -DCMAKE_PREFIX_PATH=${PREFIX}
    -DCMAKE_INSTALL_PREFIX=${PREFIX}
    -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}
)
run(${CMAKE_COMMAND} --build ${BINARY} --parallel 2)
if(SOURCE MATCHES "/subdirectory$")
    run(${CMAKE_COMMAND} --install ${BINARY})
endif()
run(${BINARY}/consumer)
