# Who may include whom. Run as: cmake -DROOT=<project> -P check_layering.cmake
#
# The rules are about what a file reaches, not only what it names: an edge hidden behind a detail
# header or a private one counts as well.

cmake_minimum_required(VERSION 3.25)

# Public headers from the lowest layer to the highest; each reaches its own layer and those before.
set(layers
    "blocking_region chrome_trace error executor_stats export freeze_support is_move_only observer on_full task_options version worker_limits worker_output"
    "cancel_on_abort codec future promise register_exception share worker_initializer"
    "boost_serialization"
    "any_future as_completed as_future wait when_all"
    "map executor"
    "process_pool_options"
    "asio_executor thread_pool_executor process_pool_executor"
    "cofutures"
)

set(failures "")

macro(fail message)
    list(APPEND failures "${message}")
endmacro()

# The text between the brackets or quotes of every #include, brackets and quotes kept.
function(read_includes path result)
    file(STRINGS "${path}" lines REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
    set(includes "")
    foreach(line IN LISTS lines)
        string(REGEX MATCH "[<\"][^>\"]+[>\"]" include "${line}")
        list(APPEND includes "${include}")
    endforeach()
    set(${result} "${includes}" PARENT_SCOPE)
endfunction()

# Where an #include of ours leads, relative to ROOT; empty for anything else.
function(locate include result)
    set(found "")
    string(REGEX REPLACE "^.(.+).$" "\\1" name "${include}")
    if(include MATCHES "^<cofutures/")
        set(found "include/${name}")
    elseif(include MATCHES "^\"")
        set(found "lib/${name}")
    endif()
    if(NOT EXISTS "${ROOT}/${found}")
        set(found "")
    endif()
    set(${result} "${found}" PARENT_SCOPE)
endfunction()

# Every #include that the file reaches through files of ours.
function(reach path result)
    set(all "")
    set(seen "${path}")
    set(queue "${path}")
    while(queue)
        list(POP_FRONT queue file)
        read_includes("${ROOT}/${file}" includes)
        list(APPEND all ${includes})
        foreach(include IN LISTS includes)
            locate("${include}" next)
            if(next AND NOT next IN_LIST seen)
                list(APPEND seen "${next}")
                list(APPEND queue "${next}")
            endif()
        endforeach()
    endwhile()
    list(REMOVE_DUPLICATES all)
    set(${result} "${all}" PARENT_SCOPE)
endfunction()

set(rank 0)
foreach(layer IN LISTS layers)
    string(REPLACE " " ";" names "${layer}")
    foreach(name IN LISTS names)
        set(rank_${name} ${rank})
    endforeach()
    math(EXPR rank "${rank} + 1")
endforeach()

file(GLOB public_headers RELATIVE "${ROOT}" "${ROOT}/include/cofutures/*.hpp")
foreach(header IN LISTS public_headers)
    cmake_path(GET header STEM name)
    if(NOT DEFINED rank_${name})
        fail("${header} belongs to no layer: give it one in test/check_layering.cmake")
        continue()
    endif()
    reach(${header} includes)
    foreach(include IN LISTS includes)
        string(REGEX REPLACE "^<cofutures/(.+)\\.hpp>$" "\\1" reached "${include}")
        if(DEFINED rank_${reached} AND rank_${reached} GREATER rank_${name})
            fail("${header} reaches ${include}, which lies above it")
        endif()
    endforeach()
endforeach()

file(
    GLOB_RECURSE files
    RELATIVE "${ROOT}"
    "${ROOT}/include/*.hpp"
    "${ROOT}/lib/*.hpp"
    "${ROOT}/lib/*.cpp"
)
foreach(file IN LISTS files)
    read_includes("${ROOT}/${file}" includes)
    foreach(include IN LISTS includes)
        if(include STREQUAL "<boost/asio.hpp>")
            fail("${file} includes all of Asio: name the headers it needs")
        endif()
        if(file MATCHES "^include/" AND include MATCHES "^\"")
            fail("${file} includes ${include}: public headers are spelled <cofutures/...>")
        endif()
        if(include MATCHES "^<boost/(archive|serialization)/"
           AND NOT file MATCHES "^include/cofutures/(boost_serialization|detail/archive_probe)\\.hpp$")
            fail("${file} includes ${include}: only <cofutures/boost_serialization.hpp> may")
        endif()
        if(include MATCHES "^<boost/process" AND NOT file STREQUAL "lib/process/launch.cpp")
            fail("${file} includes ${include}: only lib/process/launch.cpp may")
        endif()
        if(include MATCHES "^<(sys/wait\\.h|spawn\\.h)"
           AND NOT file MATCHES "^lib/process/(child_process\\.cpp|system_calls\\.hpp)$")
            fail("${file} includes ${include}: only what starts and reaps processes may")
        endif()
    endforeach()
endforeach()

# What a folder of lib/, or a family of files there, must not reach.
function(forbid pattern forbidden why)
    foreach(file IN LISTS files)
        if(NOT file MATCHES "${pattern}")
            continue()
        endif()
        reach(${file} includes)
        foreach(include IN LISTS includes)
            if(include MATCHES "${forbidden}")
                fail("${file} reaches ${include}: ${why}")
            endif()
        endforeach()
    endforeach()
    set(failures "${failures}" PARENT_SCOPE)
endfunction()

forbid("^lib/core/" "^\"(thread|process)/|^<cofutures/(thread|process)_pool_executor"
       "lib/core knows no pool")
forbid("^lib/thread/" "^\"process/|^<cofutures/process_pool_executor"
       "lib/thread knows no processes")
forbid("^lib/process/" "^\"thread/|^<cofutures/thread_pool_executor"
       "lib/process knows no thread pool")
forbid("^lib/process/(pool_fsm|frame|message)\\.[hc]pp$" "^<boost/asio"
       "decisions and formats do no I/O")

foreach(failure IN LISTS failures)
    message(NOTICE "${failure}")
endforeach()
if(failures)
    message(FATAL_ERROR "The layers are not kept")
endif()
