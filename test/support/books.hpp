#pragma once

#include <cofutures/executor.hpp>

#include <boost/test/unit_test.hpp>

namespace cofutures::test {

/// Ends an executor: no call is lost from its books.
inline void end_and_balance(Executor& executor) {
    executor.shutdown();
    const ExecutorStats stats = executor.stats();
    BOOST_TEST(stats.submitted == stats.completed + stats.failed + stats.cancelled);
}

}  // namespace cofutures::test
