# Counts the instructions of the hot paths and compares them with a baseline; more than 5 % above it
# is a failure. Run as:
#
#   cmake -DPROGRAM=<bench.instructions> -DVALGRIND=<valgrind> -DBASELINE=<instructions.txt>
#         -DCOMPILER=<name and version> [-DUPDATE=ON] -P check_instructions.cmake
#
# A baseline is good for the compiler that its first line names; with another one the counts are
# only shown. UPDATE writes them as the new baseline.

cmake_minimum_required(VERSION 3.25)

set(tolerance 5)
cmake_path(GET PROGRAM PARENT_PATH folder)
set(folder ${folder}/instructions)
file(REMOVE_RECURSE ${folder})
file(MAKE_DIRECTORY ${folder})
execute_process(
    COMMAND ${VALGRIND} --tool=callgrind --callgrind-out-file=${folder}/counts ${PROGRAM}
    OUTPUT_VARIABLE output
    ERROR_VARIABLE errors
    RESULT_VARIABLE status
)
if(status OR output MATCHES "wrong")
    message(FATAL_ERROR "the program failed: ${status}\n${output}${errors}")
endif()

set(names "")
file(GLOB files ${folder}/counts.*)
foreach(file IN LISTS files)
    file(STRINGS ${file} lines REGEX "^(desc: Trigger: Client Request: |totals: )")
    string(REGEX MATCH "Client Request: ([a-z_]+)/([0-9]+)" matched "${lines}")
    if(matched)
        set(name ${CMAKE_MATCH_1})
        set(operations ${CMAKE_MATCH_2})
        string(REGEX MATCH "totals: ([0-9]+)" matched "${lines}")
        math(EXPR count_${name} "${CMAKE_MATCH_1} / ${operations}")
        list(APPEND names ${name})
    endif()
endforeach()
if(NOT names)
    message(FATAL_ERROR "callgrind counted nothing:\n${errors}")
endif()
list(SORT names)

file(STRINGS ${BASELINE} baseline)
list(GET baseline 0 head)
set(comparable OFF)
if(head STREQUAL "# instructions of one operation, ${COMPILER}")
    set(comparable ON)
endif()

set(text "# instructions of one operation, ${COMPILER}\n")
set(risen "")
foreach(name IN LISTS names)
    set(count ${count_${name}})
    string(APPEND text "${name} ${count}\n")
    set(line ${baseline})
    list(FILTER line INCLUDE REGEX "^${name} [0-9]+$")
    if(NOT comparable OR NOT line)
        message("${name}: ${count}, no baseline")
    else()
        string(REGEX MATCH "[0-9]+$" before "${line}")
        math(EXPR permille "(${count} - ${before}) * 1000 / ${before}")
        math(EXPR limit "${tolerance} * 10")
        message("${name}: ${count}, baseline ${before} (${permille} per mille)")
        if(permille GREATER limit)
            string(APPEND risen "\n  ${name}: ${count} instructions, ${before} before")
        elseif(permille LESS -${limit})
            message("  it has fallen: write a new baseline")
        endif()
    endif()
endforeach()

if(UPDATE)
    file(WRITE ${BASELINE} "${text}")
elseif(risen)
    message(FATAL_ERROR "More than ${tolerance} % above ${BASELINE}:${risen}")
elseif(NOT comparable)
    message("no baseline for ${COMPILER}: nothing is compared")
endif()
