#include "process/claim_table.hpp"

#define BOOST_TEST_MODULE claim_table
#include "support/leak_check.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstdint>
#include <thread>
#include <utility>

using namespace cofutures::process;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

/// The same memory, mapped twice, as pool and worker have it.
struct Shared {
    Shared() {
        auto [made, descriptor] = ClaimTable::make();
        pool = std::move(made);
        worker = ClaimTable::open(std::move(descriptor));
    }
    ClaimTable pool;
    ClaimTable worker;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(claim_table)

BOOST_AUTO_TEST_CASE(whoever_comes_first_has_the_task) {
    Shared shared;
    BOOST_REQUIRE(shared.pool);
    BOOST_REQUIRE(shared.worker);
    shared.pool.offer(1);
    BOOST_TEST(shared.worker.begin(1));
    BOOST_TEST(!shared.pool.take_back(1));
    shared.pool.offer(2);
    BOOST_TEST(shared.pool.take_back(2));
    BOOST_TEST(!shared.worker.begin(2));
    BOOST_TEST(!shared.pool.take_back(2));
}

BOOST_AUTO_TEST_CASE(a_task_is_prevented_unless_it_is_begun) {
    Shared shared;
    shared.pool.offer(1);
    BOOST_TEST(!shared.pool.begun(1));
    BOOST_TEST(shared.worker.begin(1));
    BOOST_TEST(shared.pool.begun(1));
    BOOST_TEST(!shared.pool.prevent(1));
    shared.pool.offer(2);
    BOOST_TEST(shared.pool.prevent(2));
    BOOST_TEST(shared.pool.prevent(2));
    BOOST_TEST(!shared.pool.begun(2));
    BOOST_TEST(!shared.worker.begin(2));
}

BOOST_AUTO_TEST_CASE(a_task_that_was_not_offered_is_nobodys) {
    Shared shared;
    BOOST_TEST(!shared.worker.begin(1));
    BOOST_TEST(!shared.pool.take_back(1));
}

BOOST_AUTO_TEST_CASE(numbers_that_share_a_place_are_told_apart) {
    Shared shared;
    shared.pool.offer(1);
    shared.pool.offer(1 + ClaimTable::size);
    BOOST_TEST(!shared.worker.begin(1));
    BOOST_TEST(shared.worker.begin(1 + ClaimTable::size));
}

BOOST_AUTO_TEST_CASE(without_a_table_everything_is_begun) {
    ClaimTable none;
    BOOST_TEST(!none);
    none.offer(1);
    BOOST_TEST(!none.take_back(1));
    BOOST_TEST(!none.prevent(1));
    BOOST_TEST(none.begun(1));
    BOOST_TEST(none.begin(1));
    BOOST_TEST(!ClaimTable::open(FileDescriptor()));
}

BOOST_AUTO_TEST_CASE(a_race_has_one_winner) {
    Shared shared;
    constexpr std::uint64_t rounds = 20'000;
    std::atomic<std::uint64_t> offered{0};
    std::atomic<std::uint64_t> begun{0};
    std::uint64_t taken_back = 0;
    std::thread worker([&] {
        for (std::uint64_t number = 1; number <= rounds; ++number) {
            while (offered.load() < number) {
                std::this_thread::yield();
            }
            begun += shared.worker.begin(number) ? 1U : 0U;
        }
    });
    for (std::uint64_t number = 1; number <= rounds; ++number) {
        shared.pool.offer(number);
        offered = number;
        taken_back += shared.pool.take_back(number) ? 1U : 0U;
    }
    worker.join();
    BOOST_TEST(begun + taken_back == rounds);
}

BOOST_AUTO_TEST_SUITE_END()
