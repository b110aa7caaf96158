#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE pool_shutdown
#include <boost/test/unit_test.hpp>

#include "support/books.hpp"
#include "support/crew.hpp"
#include "support/leak_check.hpp"
#include "support/rounds.hpp"

#include <optional>
#include <utility>
#include <vector>

using namespace cofutures;
using cofutures::test::Books;
using cofutures::test::Crew;
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

BOOST_AUTO_TEST_SUITE_END()
