# Run as: cmake -DROOT=<project> -DCLANG_FORMAT=<program> -P check_format.cmake

cmake_minimum_required(VERSION 3.25)

# Another version would format otherwise, and nobody could please both.
execute_process(COMMAND ${CLANG_FORMAT} --version OUTPUT_VARIABLE version)
if(NOT version MATCHES "version 14\\.")
    message(FATAL_ERROR "clang-format 14 is needed, this is: ${version}")
endif()

set(sources "")
foreach(folder IN ITEMS include lib test examples)
    file(GLOB_RECURSE found "${ROOT}/${folder}/*.hpp" "${ROOT}/${folder}/*.cpp")
    list(APPEND sources ${found})
endforeach()
execute_process(
    COMMAND ${CLANG_FORMAT} --dry-run --Werror ${sources}
    RESULT_VARIABLE code
    ERROR_VARIABLE complaints
)
if(code)
    # One line for each file says enough; the remedy is the same for all.
    string(REGEX MATCHALL "[^\n:]+:[0-9]+:[0-9]+: error" lines "${complaints}")
    list(TRANSFORM lines REPLACE "^(.+):[0-9]+:[0-9]+: error$" "\\1")
    list(REMOVE_DUPLICATES lines)
    list(JOIN lines "\n  " lines)
    message(FATAL_ERROR "Not formatted, clang-format -i mends it:\n  ${lines}")
endif()
