#include <cofutures/thread_pool_executor.hpp>

#include <cofutures/as_completed.hpp>
#include <cofutures/as_future.hpp>
#include <cofutures/promise.hpp>
#include <cofutures/wait.hpp>
#include <cofutures/when_all.hpp>

#define BOOST_TEST_MODULE out_of_memory
#include <boost/test/unit_test.hpp>

#include "support/books.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/memory_shortage.hpp"
#include "support/thread_state.hpp"
#include "support/waits_for_caller.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

namespace asio = boost::asio;

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// Runs `use` on this thread, short of memory; says whether any was missed.
bool run_short(long allocations, bool lasts, const std::function<void()>& use) {
    shortage = {.allocations_left = allocations, .lasts = lasts};
    try {
        use();
    } catch (const std::bad_alloc&) {
    } catch (...) {
        shortage = {};
        throw;
    }
    return std::exchange(shortage, {}).came;
}

// A future that was made ends.
template <class T>
void require_end(const Future<T>& future) {
    if (future.valid()) {
        BOOST_TEST(future.wait_for(generous));
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(out_of_memory)

BOOST_AUTO_TEST_CASE(no_future_is_lost_when_submit_runs_out_of_memory) {
    at_every_allocation([](long allocations, bool lasts) {
        ThreadPoolExecutor pool(2);
        Future<int> plain;
        Future<int> named;
        const bool came = run_short(allocations, lasts, [&] {
            plain = pool.submit([] { return 1; });
            named = pool.submit(
                {.priority = 3, .timeout = generous, .name = "a name that is no small string"},
                [] { return 2; }
            );
        });
        require_end(plain);
        require_end(named);
        end_and_balance(pool);
        return came;
    });
}

BOOST_AUTO_TEST_CASE(no_future_is_lost_when_one_waits_for_room_out_of_memory) {
    at_every_allocation([](long allocations, bool lasts) {
        Gate gate;
        ThreadPoolExecutor pool({.max_workers = 1, .max_queue = 1});
        auto running = pool.submit([&] { gate.wait(); });
        while (!running.running()) {
            std::this_thread::yield();
        }
        auto queued = pool.submit([] {});
        asio::io_context io;
        Future<Future<int>> waiting;
        const bool came = run_short(allocations, lasts, [&] {
            waiting = pool.async_submit(asio::bind_executor(io, as_future), [] { return 1; });
        });
        gate.open();
        io.run();
        require_end(waiting);
        require_end(running);
        require_end(queued);
        return came;
    });
}

BOOST_AUTO_TEST_CASE(no_continuation_is_lost) {
    at_every_allocation([](long allocations, bool lasts) {
        Promise<int> promise;
        Future<int> next;
        bool called = false;
        const bool came = run_short(allocations, lasts, [&] {
            const auto future = promise.get_future();
            future.add_done_callback([&] { called = true; });
            next = future.then([](int n) { return n + 1; });
        });
        promise.set_result(1);
        require_end(next);
        BOOST_TEST((called || came));
        return came;
    });
}

BOOST_AUTO_TEST_CASE(a_task_that_runs_out_of_memory_costs_no_other) {
    at_every_allocation([](long allocations, bool lasts) {
        ThreadPoolExecutor pool(1);
        bool came = false;
        const auto grow = [] {
            return std::vector<int>(100, 1);
        };
        Gate queued;
        // From here on this thread of the pool is short of memory.
        auto first = pool.submit([&] {
            queued.wait();
            shortage = {.allocations_left = allocations, .lasts = lasts};
        });
        std::vector<Future<std::size_t>> futures;
        for (int i = 0; i < 4; ++i) {
            futures.push_back(pool.submit(grow).then([](const std::vector<int>& values) {
                return std::vector<int>(values).size();
            }));
        }
        auto all = when_all(futures);
        auto any = when_any(futures);
        auto last = pool.submit([&] { came = std::exchange(shortage, {}).came; });
        queued.open();
        require_end(first);
        for (const auto& future : futures) {
            require_end(future);
        }
        require_end(all);
        require_end(any);
        require_end(last);
        return came;
    });
}

BOOST_AUTO_TEST_CASE(waiting_for_several_out_of_memory_leaves_nothing_behind) {
    at_every_allocation([](long allocations, bool lasts) {
        ThreadPoolExecutor pool(2);
        Gate gate;
        std::vector<Future<int>> futures;
        for (int i = 0; i < 3; ++i) {
            futures.push_back(pool.submit([&gate, i] {
                gate.wait();
                return i;
            }));
        }
        Future<std::vector<int>> all;
        const bool came = run_short(allocations, lasts, [&] {
            all = when_all(futures);
            static_cast<void>(wait(futures, std::chrono::milliseconds(0)));
            const auto any = when_any(futures);
            gate.open();
            for (const auto& future : as_completed(futures)) {
                static_cast<void>(future.done());
            }
        });
        gate.open();
        for (const auto& future : futures) {
            require_end(future);
        }
        require_end(all);
        return came;
    });
}

BOOST_AUTO_TEST_CASE(a_map_out_of_memory_ends) {
    for (const bool ordered : {true, false}) {
        at_every_allocation([ordered](long allocations, bool lasts) {
            ThreadPoolExecutor pool(2);
            const std::vector<int> items{1, 2, 3, 4, 5};
            const auto text = [](int n) {
                return std::string(40, static_cast<char>('a' + n));
            };
            const bool came = run_short(allocations, lasts, [&] {
                if (ordered) {
                    for (const std::string& result : pool.map(text, items)) {
                        static_cast<void>(result.size());
                    }
                } else {
                    for (const std::string& result : pool.map_unordered(text, items)) {
                        static_cast<void>(result.size());
                    }
                }
            });
            end_and_balance(pool);
            return came;
        });
    }
}

BOOST_AUTO_TEST_CASE(an_item_that_throws_where_there_is_no_memory_left_throws_that) {
    ThreadPoolExecutor pool(1);
    auto results = pool.map(
        [](int item) {
            shortage = {.allocations_left = item == 1 ? 0 : -1, .lasts = true};
            if (item < 3) {
                throw item;
            }
            return item;
        },
        std::vector{1, 2, 3}
    );
    BOOST_CHECK_THROW(results.next(), std::bad_alloc);
    BOOST_CHECK_THROW(results.next(), int);
    BOOST_TEST(*results.next() == 3);
}

BOOST_AUTO_TEST_CASE(tasks_that_wait_for_tasks_out_of_memory_end) {
    at_every_allocation([](long allocations, bool lasts) {
        ThreadPoolExecutor pool(1);
        bool came = false;
        auto outer = pool.submit([&] {
            std::vector<Future<int>> parts;
            for (int i = 0; i < 3; ++i) {
                parts.push_back(pool.submit([i] { return i; }).then([](int n) { return n; }));
            }
            shortage = {.allocations_left = allocations, .lasts = lasts};
            try {
                static_cast<void>(when_all(parts).result());
            } catch (const std::bad_alloc&) {
            }
            came = std::exchange(shortage, {}).came;
        });
        require_end(outer);
        BOOST_TEST(!outer.exception());
        pool.shutdown();
        return came;
    });
}

BOOST_AUTO_TEST_CASE(the_end_of_a_pool_needs_no_memory) {
    for (const bool cancel : {false, true}) {
        std::vector<Future<int>> futures;
        bool came = false;
        {
            ThreadPoolExecutor pool(2);
            Gate gate;
            for (int i = 0; i < 4; ++i) {
                futures.push_back(pool.submit([&gate, i] {
                    gate.wait();
                    return i;
                }));
            }
            shortage = {.allocations_left = 0, .lasts = true};
            pool.shutdown(false, cancel);
            gate.open();
            pool.shutdown();
            came = std::exchange(shortage, {}).came;
        }
        for (const auto& future : futures) {
            require_end(future);
        }
        BOOST_TEST(!came);
    }
}

// It takes memory to see whether it could wait for ever.
BOOST_AUTO_TEST_CASE(a_destructor_out_of_memory_waits_for_tasks_that_wait) {
    at_every_allocation([](long allocations, bool lasts) {
        Gate awaited;
        Gate destroyed;
        ThreadPoolExecutor other(1);
        std::optional<ThreadPoolExecutor> pool(std::in_place, 1);
        Promise<Future<void>> known;
        const auto end_known = known.get_future();
        auto waits = pool->submit([&] { end_known.result().result(); });
        auto end = other.submit([&, destroyer = ::gettid()] {
            await_waiting_for_caller(waits);
            awaited.open();
            destroyed.wait();
            static_cast<void>(falls_asleep(destroyer));
        });
        known.set_result(end);
        awaited.wait();
        const bool came = run_short(allocations, lasts, [&] {
            destroyed.open();
            pool.reset();
        });
        BOOST_TEST(waits.done());
        require_end(end);
        return came;
    });
}

BOOST_AUTO_TEST_CASE(a_destructor_out_of_memory_refuses_waits_that_keep_it) {
    bool came = true;
    for (long allocations = 0; came; ++allocations) {
        BOOST_REQUIRE(allocations < 1000);
        Promise<Future<void>> known;
        const auto outer_known = known.get_future();
        ThreadPoolExecutor other(1);
        std::optional<ThreadPoolExecutor> pool(std::in_place, 1);
        auto waits = pool->submit([&] { outer_known.result().result(); });
        auto outer = other.submit([&] {
            await_waiting_for_caller(waits);
            came = run_short(allocations, false, [&] { pool.reset(); });
        });
        known.set_result(outer);
        require_end(outer);
        require_end(waits);
        BOOST_CHECK_THROW(waits.result(), DeadlockError);
    }
}

BOOST_AUTO_TEST_SUITE_END()
