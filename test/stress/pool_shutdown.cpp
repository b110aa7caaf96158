#include <cofutures/thread_pool_executor.hpp>

#include <cofutures/error.hpp>
#include <cofutures/promise.hpp>

#define BOOST_TEST_MODULE pool_shutdown
#include <boost/test/unit_test.hpp>

#include "support/books.hpp"
#include "support/crew.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/rounds.hpp"

#include <array>
#include <optional>
#include <utility>
#include <vector>

using namespace cofutures;
using cofutures::test::Books;
using cofutures::test::Crew;
using cofutures::test::generous;
using cofutures::test::LeakCheck;
using cofutures::test::rounds;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

BOOST_AUTO_TEST_SUITE(pool_shutdown)

BOOST_AUTO_TEST_CASE(shutdown_races_submit) {
    Crew crew(1);
    for (long round = 0; round < rounds(); ++round) {
        Books books;
        std::vector<Future<void>> futures;
        const bool cancel = round % 2 == 0;
        {
            ThreadPoolExecutor pool(1 + static_cast<int>(round % 3 / 2));
            crew.play(
                [&](std::size_t) {
                    for (int i = 0; i < 3; ++i) {
                        if (auto future = books.submit(pool)) {
                            futures.push_back(*std::move(future));
                        }
                    }
                },
                [&] { pool.shutdown(round % 4 < 2, cancel); }
            );
        }
        for (const auto& future : futures) {
            BOOST_REQUIRE(future.done());
            books.settle(future);
        }
        BOOST_REQUIRE(books.balance());
        BOOST_REQUIRE(cancel || books.cancelled == 0);
    }
}

// Whoever comes first, nobody hangs, and the tasks of the pool are refused.
BOOST_AUTO_TEST_CASE(a_wait_and_a_destructor_that_begin_at_the_same_time_both_end) {
    ThreadPoolExecutor other(1);
    for (long round = 0; round < rounds(2000); ++round) {
        std::optional<ThreadPoolExecutor> inner(std::in_place, 2);
        Promise<Future<void>> promise;
        const auto known = promise.get_future();
        const auto waits = [&] {
            known.result().result();
        };
        const std::array calls{inner->submit(waits), inner->submit(waits)};
        const auto outer = other.submit([&] { inner.reset(); });
        promise.set_result(outer);
        outer.result(generous);
        for (const Future<void>& call : calls) {
            BOOST_REQUIRE_THROW(call.result(generous), DeadlockError);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
