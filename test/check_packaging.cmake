# The vcpkg port and the Conan recipe, and the scripts of the benchmarks, are good as far as it shows
# without the tools. Run as: cmake -DROOT=<project> -DVERSION=<its version> -P check_packaging.cmake

cmake_minimum_required(VERSION 3.25)

file(READ ${ROOT}/examples/packaging/vcpkg/cofutures/vcpkg.json port)
string(JSON version GET "${port}" version)
if(NOT version STREQUAL VERSION)
    message(FATAL_ERROR "vcpkg.json says ${version}, version.hpp ${VERSION}")
endif()

# The port brings every library of Boost that the sources include; those for Serialization's archives
# are brought by who uses them.
string(JSON count LENGTH "${port}" dependencies)
math(EXPR last "${count} - 1")
set(ported boost-archive boost-serialization)
foreach(index RANGE ${last})
    string(JSON name GET "${port}" dependencies ${index} name)
    list(APPEND ported ${name})
endforeach()
file(GLOB_RECURSE sources ${ROOT}/include/*.hpp ${ROOT}/lib/*.hpp ${ROOT}/lib/*.cpp)
foreach(source IN LISTS sources)
    file(STRINGS ${source} includes REGEX "^# *include <boost/")
    foreach(include IN LISTS includes)
        string(REGEX REPLACE "^# *include <boost/([a-z_]+).*" "boost-\\1" library "${include}")
        string(REPLACE _ - library ${library})
        string(REPLACE boost-version boost-config library ${library})
        if(NOT library IN_LIST ported)
            message(FATAL_ERROR "vcpkg.json lacks ${library}, which ${source} includes")
        endif()
    endforeach()
endforeach()

find_program(PYTHON python3)
if(NOT PYTHON)
    message("python3 not found: the scripts are not looked at")
    return()
endif()
foreach(
    script IN
    ITEMS examples/packaging/conan/conanfile.py
          examples/packaging/conan/test_package/conanfile.py
          test/bench/peers.py
          test/bench/report.py
)
    execute_process(
        COMMAND ${PYTHON} -c "import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])"
                ${ROOT}/${script}
        COMMAND_ERROR_IS_FATAL ANY
    )
endforeach()
