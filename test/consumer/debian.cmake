# Makes the Debian packages, unpacks them into an empty tree, and builds and runs a program there.

cmake_minimum_required(VERSION 3.25)

function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# field(<package> <field> <regex>): what the package says of itself.
function(field package name regex)
    execute_process(
        COMMAND ${DPKG_DEB} --field ${package} ${name}
        OUTPUT_VARIABLE value
        COMMAND_ERROR_IS_FATAL ANY
    )
    if(NOT value MATCHES "${regex}")
        message(FATAL_ERROR "${package}: ${name} is '${value}', not '${regex}'")
    endif()
endfunction()

file(REMOVE_RECURSE ${BINARY}/packages ${BINARY}/root ${BINARY}/consumer)
run(
    ${CMAKE_COMMAND} -S ${COFUTURES} -B ${BINARY}/build -G Ninja
    -DCMAKE_BUILD_TYPE=Release
    -DCMAKE_INSTALL_PREFIX=/usr
    -DCMAKE_UNITY_BUILD=ON
    -DBUILD_SHARED_LIBS=ON
    -DCOFUTURES_BUILD_TESTS=OFF
    -DCOFUTURES_BUILD_EXAMPLES=OFF
    -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}
)
run(${CMAKE_COMMAND} --build ${BINARY}/build --parallel 2)
run(
    ${CMAKE_CPACK_COMMAND} -G DEB --config ${BINARY}/build/CPackConfig.cmake -B ${BINARY}/packages
)

file(GLOB library ${BINARY}/packages/libcofutures0.*.deb)
file(GLOB dev ${BINARY}/packages/libcofutures-dev_*.deb)
field(${library} Depends "libc6.*libstdc\\+\\+6")
field(${dev} Depends "libcofutures0[.][0-9]+ \\(= .*libboost")
foreach(package IN ITEMS ${library} ${dev})
    run(${DPKG_DEB} --extract ${package} ${BINARY}/root)
endforeach()

run(
    ${CMAKE_COMMAND} -S ${SOURCE} -B ${BINARY}/consumer -G Ninja
    -DCMAKE_PREFIX_PATH=${BINARY}/root/usr
    -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}
)
run(${CMAKE_COMMAND} --build ${BINARY}/consumer)
run(${BINARY}/consumer/consumer)
