#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE thread_pool_threads
#include <boost/test/unit_test.hpp>

#include <cofutures/promise.hpp>

#include "core/cpu.hpp"
#include "support/blocker.hpp"
#include "support/eventually.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/object_observer.hpp"
#include "support/thread_state.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include <pthread.h>
#include <time.h>
#include <unistd.h>

using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// Has an idle thread in the pool, and gives its id.
pid_t warm_up(ThreadPoolExecutor& pool) {
    const pid_t worker = pool.submit(gettid).result();
    BOOST_REQUIRE(falls_asleep(worker));
    return worker;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(thread_pool_threads)

BOOST_AUTO_TEST_CASE(an_idle_thread_is_used_before_another_is_started) {
    const std::size_t before = Holdings::now().threads;
    ThreadPoolExecutor pool(8);
    const pid_t worker = warm_up(pool);
    for (int i = 0; i < 5; ++i) {
        BOOST_TEST(pool.submit(gettid).result() == worker);
        BOOST_REQUIRE(falls_asleep(worker));
    }
    BOOST_TEST(Holdings::now().threads == before + 1);
}

BOOST_AUTO_TEST_CASE(each_blocking_call_gets_a_thread_up_to_the_limit) {
    const std::size_t before = Holdings::now().threads;
    constexpr std::size_t limit = 5;
    ThreadPoolExecutor pool(limit);
    std::vector<std::unique_ptr<Blocker>> blockers;
    for (std::size_t i = 1; i <= limit; ++i) {
        blockers.push_back(std::make_unique<Blocker>(pool));
        BOOST_TEST(Holdings::now().threads == before + i);
    }
    for (int i = 0; i < 100; ++i) {
        pool.submit([] {});
    }
    BOOST_TEST(Holdings::now().threads == before + limit);
}

BOOST_AUTO_TEST_CASE(no_more_threads_are_started_than_there_are_calls) {
    const std::size_t before = Holdings::now().threads;
    for (int round = 0; round < 100; ++round) {
        ThreadPoolExecutor pool(8);
        std::array<Gate, 3> began;
        Gate may_end;
        for (Gate& gate : began) {
            pool.submit([&] {
                gate.open();
                may_end.wait();
            });
        }
        for (const Gate& gate : began) {
            gate.wait();
        }
        const std::size_t threads = Holdings::now().threads;
        may_end.open();
        BOOST_REQUIRE(threads == before + 3);
        pool.shutdown();
        // A joined thread's entry may linger for an instant.
        BOOST_REQUIRE(eventually([before] { return Holdings::now().threads <= before; }));
    }
}

BOOST_AUTO_TEST_CASE(calls_that_wait_for_each_other_all_get_a_thread_also_after_shutdown) {
    const std::size_t before = Holdings::now().threads;
    for (int round = 0; round < 500; ++round) {
        ThreadPoolExecutor pool(3);
        pool.submit([] {}).result();  // its thread may be looking for work now
        std::array<Gate, 2> gates;
        pool.submit([&] { gates[0].wait(); });
        pool.submit([&] { gates[1].wait(), gates[0].open(); });
        pool.submit([&] { gates[1].open(); });
        pool.shutdown();
        BOOST_REQUIRE(gates[0].is_open());
        // A joined thread's entry may linger for an instant.
        BOOST_REQUIRE(eventually([before] { return Holdings::now().threads <= before; }));
    }
}

BOOST_AUTO_TEST_CASE(the_default_limit_is_the_usable_processors_and_four_at_most_32) {
    const std::size_t before = Holdings::now().threads;
    const unsigned limit = std::min(32U, detail::usable_cpus() + 4);
    ThreadPoolExecutor pool;
    std::vector<std::unique_ptr<Blocker>> blockers;
    for (unsigned i = 0; i < limit; ++i) {
        blockers.push_back(std::make_unique<Blocker>(pool));
    }
    const auto one_too_many = pool.submit([] {});
    BOOST_TEST(Holdings::now().threads == before + limit);
    BOOST_TEST(!one_too_many.running());
}

BOOST_AUTO_TEST_CASE(threads_are_named_and_numbered) {
    ThreadPoolExecutor pool({.max_workers = 3, .thread_name_prefix = "io"});
    std::set<std::string> names;
    Gate all_began;
    std::mutex mutex;  // guards names
    std::vector<Future<void>> futures;
    for (int i = 0; i < 3; ++i) {
        futures.push_back(pool.submit([&] {
            {
                const std::lock_guard lock(mutex);
                names.insert(thread_name());
                if (names.size() == 3) {
                    all_began.open();
                }
            }
            all_began.wait();
        }));
    }
    for (const auto& future : futures) {
        future.result();
    }
    BOOST_TEST(
        names == (std::set<std::string>{"io_0", "io_1", "io_2"}), boost::test_tools::per_element()
    );
}

BOOST_AUTO_TEST_CASE(a_long_name_is_cut_and_keeps_its_number) {
    ThreadPoolExecutor pool({.max_workers = 1, .thread_name_prefix = "a_prefix_of_many_letters"});
    BOOST_TEST(pool.submit(thread_name).result() == "a_prefix_of_m_0");
}

BOOST_AUTO_TEST_CASE(a_name_of_just_the_room_is_not_cut) {
    ThreadPoolExecutor pool({.max_workers = 1, .thread_name_prefix = "thirteen_char"});
    BOOST_TEST(pool.submit(thread_name).result() == "thirteen_char_0");
}

BOOST_AUTO_TEST_CASE(without_a_prefix_the_pool_has_the_name_of_its_class) {
    ThreadPoolExecutor pool(1);
    BOOST_TEST(pool.submit(thread_name).result() == "ThreadPoolExe_0");
}

BOOST_AUTO_TEST_CASE(idle_threads_use_no_processor_time) {
    ThreadPoolExecutor pool(1);
    const pthread_t worker = pool.submit(pthread_self).result();
    BOOST_REQUIRE(falls_asleep(pool.submit(gettid).result()));
    const auto used = [worker] {
        clockid_t clock = 0;
        timespec time{};
        pthread_getcpuclockid(worker, &clock);
        clock_gettime(clock, &time);
        return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    };
    const auto before = used();
    Promise<void> never;
    BOOST_TEST(!never.get_future().wait_for(100ms));
    const bool idle = used() - before < 1ms;
    BOOST_TEST(idle);
}

BOOST_AUTO_TEST_CASE(a_thread_that_cannot_be_started_is_an_error_only_if_there_is_none) {
    pthread_attr_t original;
    pthread_attr_t impossible;
    BOOST_REQUIRE(pthread_getattr_default_np(&original) == 0);
    BOOST_REQUIRE(pthread_getattr_default_np(&impossible) == 0);
    pthread_attr_setstacksize(&impossible, std::size_t{1} << 50);
    const std::size_t before = Holdings::now().threads;
    {
        ThreadPoolExecutor none(4);
        ThreadPoolExecutor one(4);
        Blocker blocker(one);
        ObjectCounts counts;
        pthread_setattr_default_np(&impossible);
        BOOST_CHECK_THROW(none.submit([held = Observed(counts)] {}), std::system_error);
        BOOST_CHECK_THROW(static_cast<void>(none.get_executor()), std::system_error);
        const auto late = one.submit([] { return 1; });
        BOOST_CHECK_NO_THROW(static_cast<void>(one.get_executor()));
        pthread_setattr_default_np(&original);
        BOOST_TEST(counts.live() == 0);
        BOOST_TEST(Holdings::now().threads == before + 1);
        blocker.let_go();
        BOOST_TEST(late.result() == 1);
        BOOST_TEST(none.submit([] { return 2; }).result() == 2);
    }
    pthread_attr_destroy(&impossible);
    pthread_attr_destroy(&original);
}

BOOST_AUTO_TEST_SUITE_END()
