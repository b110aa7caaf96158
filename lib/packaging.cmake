# Debian packages, by `cpack -G DEB` in a build folder: the shared library, if there is one, and what
# is needed to build against it. CPack adds only what the package itself does not say.

set(soversion ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(CPACK_PACKAGE_NAME cofutures)
set(CPACK_PACKAGE_VENDOR cofutures)
set(CPACK_PACKAGE_CONTACT "cofutures maintainers <maintainers@cofutures.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_GENERATOR DEB)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)

set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "The shared library.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libcofutures${soversion})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_GENERATE_SHLIBS ON)

set(CPACK_COMPONENT_DEV_DESCRIPTION "Headers, CMake package and pkg-config file.")
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libcofutures-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
# Debian keeps several versions of Boost; libboost-dev is the one that it prefers.
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "libboost-dev (>= 1.81) | libboost1.81-dev | libboost1.83-dev | libboost1.88-dev"
)

set(CPACK_COMPONENTS_ALL dev)
if(BUILD_SHARED_LIBS)
    list(APPEND CPACK_COMPONENTS_ALL runtime)
    string(
        PREPEND CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
        "${CPACK_DEBIAN_RUNTIME_PACKAGE_NAME} (= ${PROJECT_VERSION}), "
    )
endif()

include(CPack)
