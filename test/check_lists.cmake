# Every source stands in a list: one that no CMakeLists.txt names is a test that never runs, or a
# header that is never installed. Run as: cmake -DROOT=<project> -P check_lists.cmake

cmake_minimum_required(VERSION 3.25)

file(
    GLOB_RECURSE sources
    RELATIVE "${ROOT}"
    "${ROOT}/include/*.hpp"
    "${ROOT}/lib/*.cpp"
    "${ROOT}/test/*.cpp"
    "${ROOT}/examples/*.cpp"
)
set(missing "")
foreach(source IN LISTS sources)
    # The list is in the nearest folder above that has one.
    cmake_path(GET source PARENT_PATH folder)
    while(folder AND NOT EXISTS "${ROOT}/${folder}/CMakeLists.txt")
        cmake_path(GET folder PARENT_PATH folder)
    endwhile()
    if(folder)
        cmake_path(RELATIVE_PATH source BASE_DIRECTORY "${folder}" OUTPUT_VARIABLE name)
        set(list "${folder}/CMakeLists.txt")
    else()
        set(name "${source}")
        set(list CMakeLists.txt)
    endif()

    # Test folders list `future` for future.cpp.
    string(REGEX REPLACE "\\.cpp$" "" name "${name}")
    file(READ "${ROOT}/${list}" text)
    if(NOT text MATCHES "[ \n(]${name}(\\.cpp)?[ \n)]")
        string(APPEND missing "\n  ${source} is not in ${list}")
    endif()
endforeach()
if(missing)
    message(FATAL_ERROR "A source that no list names:${missing}")
endif()
