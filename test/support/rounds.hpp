#pragma once

#include <boost/test/unit_test.hpp>

#include <cstdlib>

namespace cofutures::test {

/// How many rounds each case of a race plays: the program's last argument, behind the framework's
/// own and `--`, else 100,000; a tenth of that where a sanitizer makes each round that much slower.
inline long rounds() {
    const auto& suite = boost::unit_test::framework::master_test_suite();
    if (suite.argc > 1) {
        return std::strtol(suite.argv[suite.argc - 1], nullptr, 10);
    }
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    return 10'000;
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
    return 10'000;
#    else
    return 100'000;
#    endif
#else
    return 100'000;
#endif
}

}  // namespace cofutures::test
