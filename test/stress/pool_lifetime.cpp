#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE pool_lifetime
#include <boost/test/unit_test.hpp>

#include "support/books.hpp"
#include "support/crew.hpp"
#include "support/leak_check.hpp"
#include "support/rounds.hpp"

#include <memory>
#include <optional>
#include <utility>

using namespace cofutures;
using cofutures::test::Books;
using cofutures::test::LeakCheck;
using cofutures::test::rounds;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// Each starts a thread, or two.
long pools() {
    return rounds(20'000);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pool_lifetime)

BOOST_AUTO_TEST_CASE(made_and_destroyed_under_load) {
    for (long round = 0; round < pools(); ++round) {
        Books books;
        {
            ThreadPoolExecutor pool(1 + static_cast<int>(round % 2));
            for (long i = round % 4; i >= 0; --i) {
                books.submit(pool);
            }
        }
        BOOST_REQUIRE(books.ran == books.wanted);
    }
}

BOOST_AUTO_TEST_CASE(the_last_owner_is_a_task) {
    for (long round = 0; round < pools(); ++round) {
        Books books;
        auto owner = std::make_shared<ThreadPoolExecutor>(1);
        ThreadPoolExecutor& pool = *owner;
        const Future<void> last = pool.submit([owner] {});
        const Future<void> other = *books.submit(pool);
        owner.reset();
        last.result();
        other.result();
        BOOST_REQUIRE(books.ran == 1);
    }
}

BOOST_AUTO_TEST_SUITE_END()
