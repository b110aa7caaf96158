# Builds a program with what pkg-config says of the tree in PREFIX, and runs it.

cmake_minimum_required(VERSION 3.25)

function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(GLOB_RECURSE file ${PREFIX}/cofutures.pc)
cmake_path(GET file PARENT_PATH folder)
set(static)
if(KIND STREQUAL static)
    set(static --static)
endif()
execute_process(
    COMMAND ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${folder} ${PKG_CONFIG} ${static} --cflags --libs
            "cofutures >= 0.1"
    OUTPUT_VARIABLE flags
    COMMAND_ECHO STDOUT
    COMMAND_ERROR_IS_FATAL ANY
)
separate_arguments(flags UNIX_COMMAND "${flags}")

cmake_path(GET folder PARENT_PATH libraries)
file(MAKE_DIRECTORY ${BINARY})
run(${COMPILER} -std=c++20 ${SOURCE} ${flags} -Wl,-rpath,${libraries} -o ${BINARY}/consumer)
run(${BINARY}/consumer)
