# cofutures_join_tests(<name> <test>...)
#
# Adds the programs <name>_1, <name>_2 and so on, each with the cases of several tests. It is one
# source, which reads all headers of its tests first, and then each test inside a namespace: there
# the test's own includes find nothing left to do.
function(cofutures_join_tests name)
    set(together 8)
    list(LENGTH ARGN count)
    set(number 0)
    set(first 0)
    while(first LESS count)
        math(EXPR number "${number} + 1")
        list(SUBLIST ARGN ${first} ${together} tests)
        math(EXPR first "${first} + ${together}")

        set(headers)
        set(bodies)
        foreach(test IN LISTS tests)
            set(file ${CMAKE_CURRENT_SOURCE_DIR}/${test}.cpp)
            set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
            file(STRINGS ${file} reopened REGEX "^namespace (boost|cofutures|std)[^=]*{")
            if(reopened)
                message(FATAL_ERROR "${test} cannot be inside a namespace: ${reopened}")
            endif()
            file(STRINGS ${file} includes REGEX "^#include ")
            list(APPEND headers ${includes})
            string(MAKE_C_IDENTIFIER in_${test} namespace)
            string(APPEND bodies "#undef BOOST_TEST_MODULE\nnamespace ${namespace} {\n"
                                 "#include \"${file}\"\n}\n"
            )
        endforeach()
        list(REMOVE_DUPLICATES headers)
        list(JOIN headers "\n" headers)
        set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}_${number}.cpp)
        file(CONFIGURE OUTPUT ${source} @ONLY
             CONTENT "#define BOOST_TEST_MODULE ${name}_${number}\n@headers@\n@bodies@"
        )
        cofutures_add_test(
            ${name}_${number} LABEL unit SOURCES ${source} INTERNALS TIMEOUT 300
        )
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
            # A fixture in an unnamed namespace is no fault, although this is not its own source.
            target_compile_options(unit.${name}_${number} PRIVATE -Wno-subobject-linkage)
        endif()
    endwhile()
endfunction()
