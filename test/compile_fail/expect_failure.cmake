# Passes when SOURCE does not compile and the compiler's words match the regex of its first line.

cmake_minimum_required(VERSION 3.25)

file(STRINGS "${SOURCE}" first LIMIT_COUNT 1)
if(NOT first MATCHES "^// expect: (.+)$")
    message(FATAL_ERROR "${SOURCE}: the first line must be `// expect: <regex>`")
endif()
set(expected "${CMAKE_MATCH_1}")

list(TRANSFORM INCLUDES PREPEND "-I")
execute_process(
    COMMAND ${COMPILER} -std=c++20 -fsyntax-only ${INCLUDES} ${SOURCE}
    RESULT_VARIABLE code
    ERROR_VARIABLE words
)
if(code EQUAL 0)
    message(FATAL_ERROR "${SOURCE} compiles, and must not")
endif()
if(NOT words MATCHES "${expected}")
    message(FATAL_ERROR "${SOURCE}: `${expected}` is not in the compiler's words:\n${words}")
endif()
