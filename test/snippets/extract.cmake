# extract_snippets(<document> <folder> <result>)
#
# Writes each tagged sample of the document into the folder and lists their names in the result:
# <name>.cpp, <name>.run if it is to be run, <name>.txt with the output that is expected.

# CMake's lists split at semicolons and join at brackets; code has both. They travel as control
# characters that no source contains.
string(ASCII 1 escaped_semicolon)
string(ASCII 2 escaped_open)
string(ASCII 3 escaped_close)
string(ASCII 4 escaped_backslash)

function(escape_code variable)
    set(text "${${variable}}")
    string(REPLACE "\\" "${escaped_backslash}" text "${text}")
    string(REPLACE ";" "${escaped_semicolon}" text "${text}")
    string(REPLACE "[" "${escaped_open}" text "${text}")
    string(REPLACE "]" "${escaped_close}" text "${text}")
    set(${variable} "${text}" PARENT_SCOPE)
endfunction()

function(unescape_code variable)
    set(text "${${variable}}")
    string(REPLACE "${escaped_open}" "[" text "${text}")
    string(REPLACE "${escaped_close}" "]" text "${text}")
    string(REPLACE "${escaped_semicolon}" ";" text "${text}")
    string(REPLACE "${escaped_backslash}" "\\" text "${text}")
    set(${variable} "${text}" PARENT_SCOPE)
endfunction()

# Rewriting a file with the same text would compile it again.
function(write_if_different path text)
    if(EXISTS "${path}")
        file(READ "${path}" old)
        if(old STREQUAL text)
            return()
        endif()
    endif()
    file(WRITE "${path}" "${text}")
endfunction()

# The program for a sample: itself if it has a main, with what it leaves out included, else one
# around it.
function(make_program code document line result)
    set(begin "#line ${line} \"${document}\"\n")
    if(code MATCHES "(^|\n)(int|auto) main\\(")
        if(NOT code MATCHES "^#include")
            string(
                PREPEND
                begin
                "#include <cofutures/cofutures.hpp>\n"
                "#include <cassert>\n"
                "#include <numeric>\n"
            )
        endif()
        set(${result} "${begin}${code}" PARENT_SCOPE)
        return()
    endif()
    set(includes "")
    while(code MATCHES "^((#include [^\n]*)?\n)")
        string(LENGTH "${CMAKE_MATCH_1}" length)
        string(APPEND includes "${CMAKE_MATCH_1}")
        string(SUBSTRING "${code}" ${length} -1 code)
        math(EXPR line "${line} + 1")
    endwhile()
    string(
        CONCAT
        program
        "${begin}${includes}"
        "#include <cofutures/cofutures.hpp>\n"
        "#include <cassert>\n"
        "#include <iostream>\n"
        "int main([[maybe_unused]] int argc, [[maybe_unused]] char** argv) {\n"
        "using namespace cofutures;\n"
        "using namespace std::chrono_literals;\n"
        "namespace asio = boost::asio;\n"
        "#line ${line} \"${document}\"\n"
        "${code}"
        "}\n"
    )
    set(${result} "${program}" PARENT_SCOPE)
endfunction()

function(extract_snippets document folder result)
    cmake_path(RELATIVE_PATH document BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE shown)
    string(REPLACE "/" "." stem "snippet.${shown}")
    if(document MATCHES "\\.md$")
        set(begin_pattern "^```cpp (run|compile)$")
        set(end_pattern "^```$")
    else()
        set(begin_pattern "^ */// @code{\\.cpp} (run|compile)$")
        set(end_pattern "^ */// @endcode$")
    endif()

    file(READ "${document}" text)
    escape_code(text)
    string(REPLACE "\n" ";" lines "${text}")

    # looking -> code -> after (a text block may follow) -> output -> looking
    set(state looking)
    set(number 0)
    set(names "")
    foreach(line IN LISTS lines)
        math(EXPR number "${number} + 1")
        unescape_code(line)
        if(state STREQUAL "after" AND NOT line STREQUAL "")
            set(state looking)
            if(line STREQUAL "```text")
                set(state output)
                set(expected "")
                continue()
            endif()
        endif()

        if(state STREQUAL "looking" AND line MATCHES "${begin_pattern}")
            set(mode ${CMAKE_MATCH_1})
            set(state code)
            set(code "")
            math(EXPR first "${number} + 1")
        elseif(state STREQUAL "code" AND line MATCHES "${end_pattern}")
            set(name ${stem}.line_${first})
            make_program("${code}" "${document}" ${first} program)
            write_if_different(${folder}/${name}.cpp "${program}")
            file(REMOVE ${folder}/${name}.run ${folder}/${name}.txt)
            if(mode STREQUAL "run")
                file(TOUCH ${folder}/${name}.run)
            endif()
            list(APPEND names ${name})
            set(state looking)
            if(document MATCHES "\\.md$")
                set(state after)
            endif()
        elseif(state STREQUAL "code")
            string(REGEX REPLACE "^ */// ?" "" line "${line}")
            string(APPEND code "${line}\n")
        elseif(state STREQUAL "output" AND line STREQUAL "```")
            file(WRITE ${folder}/${name}.txt "${expected}")
            set(state looking)
        elseif(state STREQUAL "output")
            string(APPEND expected "${line}\n")
        endif()
    endforeach()
    if(state MATCHES "code|output")
        message(FATAL_ERROR "${shown}: the sample before the end of the file is not closed")
    endif()
    set(${result} "${names}" PARENT_SCOPE)
endfunction()
