# Shows that check_layering.cmake finds each kind of forbidden edge, and nothing in a clean tree.

cmake_minimum_required(VERSION 3.25)

string(RANDOM LENGTH 12 suffix)
if(DEFINED ENV{TMPDIR})
    set(tree "$ENV{TMPDIR}/cofutures_layering_${suffix}")
else()
    set(tree "/tmp/cofutures_layering_${suffix}")
endif()

# run_check(<file> <include> [<file> <include>]...): the check's output over a tree of these edges.
function(run_check output)
    file(REMOVE_RECURSE "${tree}")
    set(edges ${ARGN})
    while(edges)
        list(POP_FRONT edges file include)
        file(APPEND "${tree}/${file}" "#include ${include}\n")
    endwhile()
    execute_process(
        COMMAND ${CMAKE_COMMAND} -DROOT=${tree} -P ${CMAKE_CURRENT_LIST_DIR}/check_layering.cmake
        RESULT_VARIABLE code
        OUTPUT_VARIABLE text
        ERROR_VARIABLE text
    )
    file(REMOVE_RECURSE "${tree}")
    set(${output} "${code}: ${text}" PARENT_SCOPE)
endfunction()

function(expect_found pattern)
    run_check(text ${ARGN})
    if(NOT text MATCHES "^[^0].*${pattern}")
        message(SEND_ERROR "not found: ${ARGN}\n${text}")
    endif()
endfunction()

run_check(text
    include/cofutures/error.hpp <cofutures/export.hpp>
    include/cofutures/future.hpp <cofutures/error.hpp>
    include/cofutures/future.hpp <cofutures/detail/state.hpp>
    include/cofutures/detail/state.hpp <boost/asio/post.hpp>
    lib/thread/pool.hpp <cofutures/error.hpp>
    lib/process/frame.hpp <cofutures/error.hpp>
    lib/process/child_process.cpp <sys/wait.h>
)
if(NOT text MATCHES "^0: ")
    message(SEND_ERROR "a clean tree is refused: ${text}")
endif()

expect_found("lies above it" include/cofutures/error.hpp <cofutures/future.hpp>
             include/cofutures/future.hpp <string>)
expect_found("wait.hpp reaches <cofutures/executor.hpp>"
             include/cofutures/wait.hpp <cofutures/detail/waiting.hpp>
             include/cofutures/detail/waiting.hpp <cofutures/executor.hpp>
             include/cofutures/executor.hpp <string>)
expect_found("belongs to no layer" include/cofutures/stray.hpp <string>)
expect_found("all of Asio" lib/core/error.cpp <boost/asio.hpp>)
expect_found("public headers are spelled" include/cofutures/error.hpp "\"core/log.hpp\"")
expect_found("only what starts and reaps" lib/process/image.cpp <sys/wait.h>)
expect_found("only lib/process/launch.cpp may" lib/core/error.cpp <boost/process/v2.hpp>)
expect_found("knows no processes" lib/thread/pool.cpp "\"process/frame.hpp\"")
expect_found("knows no thread pool" lib/process/pool.cpp "\"thread/pool.hpp\"")
expect_found("knows no pool" lib/core/error.cpp "\"thread/pool.hpp\"")
expect_found("do no I/O" lib/process/frame.cpp "\"process/frame.hpp\""
             lib/process/frame.hpp <cofutures/detail/bytes.hpp>
             include/cofutures/detail/bytes.hpp <boost/asio/buffer.hpp>)
