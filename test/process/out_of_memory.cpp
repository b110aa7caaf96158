#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE out_of_memory
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"
#include "support/memory_shortage.hpp"

#include <new>
#include <utility>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

std::vector<int> echo(std::vector<int> values) {
    return values;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(out_of_memory)

// The manager starts another worker, sends it a task, reads, decodes, and ends workers.
BOOST_AUTO_TEST_CASE(no_future_is_lost_when_the_manager_runs_out_of_memory) {
    at_every_allocation([](long allocations, bool lasts) {
        Gate armed;
        bool came = false;
        {
            ProcessGate gate;
            ProcessPoolExecutor pool(2);
            std::vector<Future<std::vector<int>>> futures;
            auto first = pool.submit(pass, gate.name());
            first.add_done_callback([&] {
                armed.wait();
                shortage = {.allocations_left = allocations, .lasts = lasts};
            });
            for (int i = 0; i < 5; ++i) {
                futures.push_back(pool.submit(echo, std::vector<int>(100, i)));
            }
            gate.open();
            armed.open();
            for (const auto& future : futures) {
                BOOST_TEST(future.wait_for(generous));
            }
            // Asked on the manager if it lives, else it has gone for that reason.
            Gate asked;
            try {
                pool.submit(echo, std::vector<int>(1)).add_done_callback([&] {
                    came = shortage.came;
                    shortage = {};
                    asked.open();
                });
                asked.wait();
            } catch (const BrokenProcessPool&) {
                came = true;
            } catch (const std::bad_alloc&) {
                came = true;
            }
            pool.shutdown();
            BOOST_TEST(pool.worker_pids().empty());
        }
        return came;
    });
}

BOOST_AUTO_TEST_CASE(no_future_is_lost_when_submit_runs_out_of_memory) {
    at_every_allocation([](long allocations, bool lasts) {
        ProcessGate gate;
        ProcessPoolExecutor pool(2);
        auto before = pool.submit(pass, gate.name());
        std::vector<int> values(100, 7);
        Future<std::vector<int>> future;
        shortage = {.allocations_left = allocations, .lasts = lasts};
        try {
            future = pool.submit(echo, std::move(values));
        } catch (...) {
        }
        const bool came = std::exchange(shortage, {}).came;
        gate.open();
        BOOST_TEST(before.wait_for(generous));
        if (future.valid()) {
            BOOST_TEST(future.wait_for(generous));
        }
        pool.shutdown();
        BOOST_TEST(pool.worker_pids().empty());
        return came;
    });
}

BOOST_AUTO_TEST_CASE(no_future_is_lost_when_shutdown_runs_out_of_memory) {
    at_every_allocation([](long allocations, bool lasts) {
        ProcessGate gate;
        ProcessPoolExecutor pool(2);
        auto running = pool.submit(pass, gate.name());
        auto waiting = pool.submit(pass, gate.name());
        auto last = pool.submit(echo, std::vector<int>(100, 7));
        gate.wait_for_arrivals(2);
        shortage = {.allocations_left = allocations, .lasts = lasts};
        pool.shutdown(false, true);
        pool.terminate_workers();
        const bool came = std::exchange(shortage, {}).came;
        gate.open();
        for (const auto& future : {running, waiting}) {
            BOOST_TEST(future.wait_for(generous));
        }
        BOOST_TEST(last.wait_for(generous));
        pool.shutdown();
        BOOST_TEST(pool.worker_pids().empty());
        return came;
    });
}

BOOST_AUTO_TEST_SUITE_END()
