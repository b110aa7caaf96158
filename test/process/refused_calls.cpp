#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE refused_calls
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/failing_calls.hpp"
#include "support/leak_check.hpp"

#include <optional>
#include <system_error>
#include <utility>
#include <vector>

// The system refuses a process, a thread or a descriptor: whichever it is, every future ends and
// nothing is left behind.

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int twice(int value) {
    return 2 * value;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(refused_calls)

BOOST_AUTO_TEST_CASE(every_future_of_a_process_pool_ends) {
    for (const WorkerDeath on_death : {WorkerDeath::break_pool, WorkerDeath::replace}) {
        at_every_call([on_death](long calls, bool lasts) {
            std::vector<std::pair<int, Future<int>>> futures;
            bool came = false;
            begin_to_refuse(calls, lasts);
            try {
                ProcessPoolExecutor pool({
                    .max_workers = 2,
                    .on_worker_death = on_death,
                    .on_worker_output = [](const WorkerOutput&) {},
                });
                for (const int value : {1, 2, 3, 4}) {
                    try {
                        futures.emplace_back(2 * value, pool.submit(twice, value));
                    } catch (const BrokenProcessPool&) {
                    } catch (const std::system_error&) {
                    }
                }
                for (const auto& [value, future] : futures) {
                    BOOST_TEST(future.wait_for(generous));
                }
                came = end_to_refuse();
                check_sum(pool.stats());
                pool.shutdown();
                BOOST_TEST(pool.worker_pids().empty());
            } catch (const std::system_error&) {
                came = end_to_refuse();  // there is no pool at all
                BOOST_TEST(futures.empty());
            }
            for (const auto& [value, future] : futures) {
                try {
                    BOOST_TEST(future.result() == value);
                } catch (const BrokenProcessPool&) {
                    BOOST_TEST(came);
                }
            }
            return came;
        });
    }
}

BOOST_AUTO_TEST_CASE(a_pool_without_a_thread_for_itself_refuses_and_can_be_used_later) {
    bool refused_a_thread = false;
    at_every_call([&](long calls, bool lasts) {
        ProcessPoolExecutor pool(1);
        begin_to_refuse(calls, lasts);
        try {
            BOOST_TEST(pool.submit(twice, 1).wait_for(generous));
        } catch (const std::system_error& error) {
            end_to_refuse();
            refused_a_thread |= error.code() == std::errc::resource_unavailable_try_again;
            BOOST_TEST(pool.submit(twice, 21).result(generous) == 42);
        } catch (const BrokenProcessPool&) {
            end_to_refuse();
        }
        return end_to_refuse();
    });
    BOOST_TEST(refused_a_thread);
}

BOOST_AUTO_TEST_SUITE_END()
