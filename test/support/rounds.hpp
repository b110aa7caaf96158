#pragma once

#include "support/sanitizer.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdlib>

namespace cofutures::test {

/// How many rounds each case of a race plays: the program's last argument, behind the framework's
/// own and `--`, else `usual`; a tenth of that where a sanitizer makes each round that much slower.
inline long rounds(long usual = 100'000) {
    const auto& suite = boost::unit_test::framework::master_test_suite();
    if (suite.argc > 1) {
        return std::strtol(suite.argv[suite.argc - 1], nullptr, 10);
    }
    return sanitized ? (usual + 9) / 10 : usual;
}

}  // namespace cofutures::test
