# Makes the reference documentation; whatever Doxygen warns of is an error. Run as:
#
#   cmake -DDOXYGEN=<doxygen> -DDOXYFILE=<configured Doxyfile> -DFOLDER=<where it goes> -P make.cmake
#
# One comment stands for all overloads of a name and for the functions that override it, and copies
# and moves need none: Doxygen warns of those, and they are let pass.

cmake_minimum_required(VERSION 3.25)

file(MAKE_DIRECTORY ${FOLDER})
set(log ${FOLDER}/warnings.txt)
set(tags ${FOLDER}/tags.xml)
file(REMOVE ${log} ${tags})
execute_process(
    COMMAND ${DOXYGEN} ${DOXYFILE}
    RESULT_VARIABLE status
    OUTPUT_QUIET
    ERROR_VARIABLE errors
)
if(status OR NOT EXISTS ${tags})
    message(FATAL_ERROR "doxygen: ${status}\n${errors}")
endif()

# Brackets and semicolons would join or split a list's elements.
file(READ ${log} text)
string(REGEX REPLACE "[][;]" " " text "${text}")
string(REPLACE "\n" ";" lines "${text}")
file(READ ${tags} documented)
set(wrong "")
foreach(line IN LISTS lines)
    if(line MATCHES "scope for class (std::hash|boost::asio::async_result)")
        continue()  # Doxygen 1.9 does not find a template that it is not shown
    endif()
    if(line MATCHES "Member (operator)?([~A-Za-z_0-9]*).* of [a-z]+ ([A-Za-z_0-9:]+).* is not documented")
        set(name "${CMAKE_MATCH_1}${CMAKE_MATCH_2}")
        string(REGEX REPLACE ".*::" "" class "${CMAKE_MATCH_3}")
        if(
            name MATCHES "^operator"
            OR name STREQUAL class
            OR line MATCHES "=default"
            # Constructors that a class takes over from its base.
            OR name MATCHES "(Error|Executor)$"
            OR name MATCHES "^(enqueue|try_enqueue|enqueue_when_room|make_strand|task_sink|begin_shutdown|default_completion_token_type|iterator_concept|value_type|difference_type)$"
            OR documented MATCHES "<name>${name}</name>"
        )
            continue()
        endif()
    endif()
    if(line)
        string(APPEND wrong "\n${line}")
    endif()
endforeach()
if(wrong)
    message(FATAL_ERROR "The reference documentation:${wrong}")
endif()
message("${FOLDER}/html/index.html")
