#pragma once

#include "support/explorer.hpp"

#include <boost/test/unit_test.hpp>

#include <string>

namespace cofutures::test::explorer {

/// Checks that no order is bad, and that all of them were run.
inline void must_hold(const Result& result) {
    BOOST_TEST_MESSAGE(result.orders << " orders");
    BOOST_TEST(result.failure.empty(), result.failure << ", after\n" << result.steps);
    BOOST_TEST(result.complete, "there are more orders than that");
}

/// Checks that an order is bad in this way.
inline void must_fail(const Result& result, const char* how) {
    BOOST_TEST_MESSAGE(result.orders << " orders, then: " << result.failure);
    BOOST_TEST(result.failure.find(how) != std::string::npos, result.failure);
    BOOST_TEST(!result.steps.empty());
}

}  // namespace cofutures::test::explorer
