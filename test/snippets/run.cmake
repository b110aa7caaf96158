# Runs PROGRAM and, if the file EXPECTED is there, compares what it prints with it.

cmake_minimum_required(VERSION 3.25)

execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
if(EXISTS "${EXPECTED}")
    file(READ "${EXPECTED}" expected)
    if(NOT printed STREQUAL expected)
        message(FATAL_ERROR "printed:\n${printed}\nbut the document shows:\n${expected}")
    endif()
else()
    message(NOTICE "${printed}")
endif()
