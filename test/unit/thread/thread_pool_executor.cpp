#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE thread_pool_executor
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>
#include <cofutures/promise.hpp>

#include "core/cpu.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <pthread.h>
#include <time.h>
#include <unistd.h>

using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Gate;
using cofutures::test::generous;
using cofutures::test::Holdings;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

// What the calling thread takes from the heap, except where clang's sanitizers have taken the
// places of these functions. Asio takes its memory from std::aligned_alloc.
#if defined(__has_feature)
#    if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#        define COFUTURES_TEST_HEAP_IS_TAKEN
#    endif
#endif
#if !defined(COFUTURES_TEST_HEAP_IS_TAKEN)
namespace {
thread_local int allocations = 0;
}  // namespace

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    ++allocations;
    void* memory = nullptr;
    return posix_memalign(&memory, std::max(alignment, sizeof(void*)), size) == 0 ? memory
                                                                                  : nullptr;
}
void* operator new(std::size_t size) {
    ++allocations;
    void* memory = std::malloc(std::max<std::size_t>(size, 1));
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
    std::free(memory);
}
#endif

namespace {

template <class Condition>
void wait_until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + generous;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            throw std::runtime_error("what the test waits for did not happen in time");
        }
        std::this_thread::yield();
    }
}

// Waits until a thread sleeps: a worker does when it has nothing to do and has given up looking.
void wait_until_asleep(pid_t thread) {
    wait_until([path = "/proc/self/task/" + std::to_string(thread) + "/stat"] {
        std::string line;
        std::getline(std::ifstream(path), line);
        const auto end_of_name = line.rfind(')');
        return end_of_name != std::string::npos && line.substr(end_of_name, 3) == ") S";
    });
}

// Has an idle thread in the pool, and gives its id.
pid_t warm_up(ThreadPoolExecutor& pool) {
    const pid_t worker = pool.submit(gettid).result();
    wait_until_asleep(worker);
    return worker;
}

std::string thread_name() {
    std::array<char, 16> name{};
    pthread_getname_np(pthread_self(), name.data(), name.size());
    return name.data();
}

// Occupies a thread of the pool until it is let go.
class Blocker {
public:
    explicit Blocker(Executor& executor)
        : future_(executor.submit([gates = gates_] {
              gates->began.open();
              gates->may_end.wait();
          })) {
        gates_->began.wait();
    }
    Blocker(const Blocker&) = delete;
    Blocker& operator=(const Blocker&) = delete;
    ~Blocker() { let_go(); }

    void let_go() { gates_->may_end.open(); }
    [[nodiscard]] const Future<void>& future() const { return future_; }

private:
    struct Gates {
        Gate began;
        Gate may_end;
    };

    std::shared_ptr<Gates> gates_ = std::make_shared<Gates>();
    Future<void> future_;
};

template <class Error, class Call>
std::string message_of(Call call) {
    try {
        call();
    } catch (const Error& error) {
        return error.what();
    }
    return "nothing of that type was thrown";
}

// The message of the exception that is nested in the one that `call` throws.
template <class Outer, class Cause, class Call>
std::string cause_of(Call call) {
    try {
        call();
    } catch (const Outer& outer) {
        return message_of<Cause>([&outer] { std::rethrow_if_nested(outer); });
    }
    return "nothing of that type was thrown";
}

const std::string shutdown_text = "cannot schedule new futures after shutdown";

}  // namespace

BOOST_AUTO_TEST_SUITE(thread_pool_executor)

// --- making one ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(max_workers_must_be_positive) {
    for (const int bad : {0, -1, -1000}) {
        const std::string expected = "max_workers must be greater than 0";
        BOOST_TEST(message_of<std::invalid_argument>([bad] {
                       ThreadPoolExecutor pool(bad);
                   }) == expected);
        BOOST_TEST(message_of<std::invalid_argument>([bad] {
                       ThreadPoolExecutor pool({.max_workers = bad});
                   }) == expected);
    }
}

BOOST_AUTO_TEST_CASE(is_neither_copied_nor_moved) {
    static_assert(!std::is_copy_constructible_v<ThreadPoolExecutor>);
    static_assert(!std::is_move_constructible_v<ThreadPoolExecutor>);
    static_assert(!std::is_convertible_v<int, ThreadPoolExecutor>);
    static_assert(std::has_virtual_destructor_v<Executor>);
}

BOOST_AUTO_TEST_CASE(no_thread_is_started_before_the_first_call) {
    const std::size_t before = Holdings::now().threads;
    ThreadPoolExecutor pool(4);
    BOOST_TEST(Holdings::now().threads == before);
}

BOOST_AUTO_TEST_CASE(a_pool_that_was_never_used_ends_at_once) {
    for (int i = 0; i < 100; ++i) {
        ThreadPoolExecutor pool;
    }
}

BOOST_AUTO_TEST_CASE(a_huge_limit_costs_nothing_until_threads_are_needed) {
    ThreadPoolExecutor pool(std::numeric_limits<int>::max());
    BOOST_TEST(pool.submit([] { return 1; }).result() == 1);
}

// --- calls --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(gives_values_references_and_nothing) {
    ThreadPoolExecutor pool(2);
    int number = 3;
    BOOST_TEST(pool.submit([](int a, int b) { return a * b; }, 6, 7).result() == 42);
    BOOST_TEST(&pool.submit([&number]() -> int& { return number; }).result() == &number);
    pool.submit([](int& out) { out = 5; }, std::ref(number)).result();
    BOOST_TEST(number == 5);
}

BOOST_AUTO_TEST_CASE(takes_move_only_callables_and_arguments) {
    ThreadPoolExecutor pool(1);
    auto future = pool.submit(
        [one = std::make_unique<int>(1)](std::unique_ptr<int> two) {
            *two += *one;
            return two;
        },
        std::make_unique<int>(2)
    );
    BOOST_TEST(*std::move(future).result() == 3);
}

BOOST_AUTO_TEST_CASE(works_through_the_base_class) {
    ThreadPoolExecutor pool(1);
    Executor& executor = pool;
    BOOST_TEST(*executor.submit([](auto p) { return p; }, std::make_unique<int>(4)).result() == 4);
    executor.shutdown();
    BOOST_TEST(message_of<ShutdownError>([&] { executor.submit([] {}); }) == shutdown_text);
}

BOOST_AUTO_TEST_CASE(whatever_a_call_throws_is_in_its_future_and_the_thread_goes_on) {
    ThreadPoolExecutor pool(1);
    BOOST_CHECK_THROW(
        pool.submit([] { throw std::out_of_range("far"); }).result(), std::out_of_range
    );
    BOOST_CHECK_THROW(pool.submit([]() -> int { throw 7; }).result(), int);
    BOOST_CHECK_THROW(pool.submit([] { throw CancelledError(); }).result(), CancelledError);
    BOOST_TEST(pool.submit([] { return 1; }).result() == 1);
}

BOOST_AUTO_TEST_CASE(a_callable_is_destroyed_before_its_future_is_done) {
    ThreadPoolExecutor pool(1);
    for (int i = 0; i < 100; ++i) {
        ObjectCounts counts;
        pool.submit([held = Observed(counts)](const Observed& /*argument*/) {}, Observed(counts))
            .result();
        BOOST_REQUIRE(counts.live() == 0);
    }
}

BOOST_AUTO_TEST_CASE(a_refused_call_destroys_its_callable_and_runs_nothing) {
    ThreadPoolExecutor pool(1);
    pool.shutdown();
    ObjectCounts counts;
    BOOST_CHECK_THROW(pool.submit([held = Observed(counts)] {}), ShutdownError);
    BOOST_TEST(counts.made == 1);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(one_thread_runs_calls_in_the_order_submitted) {
    std::vector<int> ran;
    {
        ThreadPoolExecutor pool(1);
        const Blocker blocker(pool);
        for (int i = 0; i < 1000; ++i) {
            pool.submit([&ran, i] { ran.push_back(i); });
        }
    }
    BOOST_TEST(ran.size() == 1000u);
    BOOST_TEST(std::is_sorted(ran.begin(), ran.end()));
}

BOOST_AUTO_TEST_CASE(a_call_that_waits_in_the_queue_can_be_cancelled) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    BOOST_TEST(blocker.future().running());
    BOOST_TEST(!blocker.future().cancel());
    bool ran = false;
    const auto future = pool.submit([&ran] { ran = true; });
    BOOST_TEST(!future.running());
    BOOST_TEST(future.cancel());
    blocker.let_go();
    pool.shutdown();
    BOOST_TEST(!ran);
    BOOST_TEST(future.cancelled());
}

BOOST_AUTO_TEST_CASE(a_stop_request_reaches_the_running_call) {
    ThreadPoolExecutor pool(1);
    Gate began;
    const auto future = pool.submit([&began](const std::stop_token& token) {
        began.open();
        wait_until([&token] { return token.stop_requested(); });
        return 1;
    });
    began.wait();
    BOOST_TEST(future.request_stop());
    BOOST_TEST(future.result() == 1);
    BOOST_TEST(!future.request_stop());
}

BOOST_AUTO_TEST_CASE(a_call_may_submit_another) {
    ThreadPoolExecutor pool(1);
    auto outer = pool.submit([&pool] { return pool.submit([] { return 3; }); });
    BOOST_TEST(outer.result().result() == 3);
}

BOOST_AUTO_TEST_CASE(calls_that_submit_each_other_all_run) {
    std::atomic<int> runs{0};
    ThreadPoolExecutor pool(3);
    std::function<void(int)> split = [&](int depth) {
        ++runs;
        if (depth > 0) {
            pool.submit(split, depth - 1);
            pool.submit(split, depth - 1);
        }
    };
    pool.submit(split, 12);
    wait_until([&] { return runs == (1 << 13) - 1; });
}

BOOST_AUTO_TEST_CASE(a_done_callback_may_submit) {
    Promise<int> seen;
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    pool.submit([] {}).add_done_callback([&] {
        pool.submit([] { return 4; }
        ).add_done_callback([&](const Future<int>& done) { seen.set_result(done.result()); });
    });
    blocker.let_go();
    BOOST_TEST(seen.get_future().result(generous) == 4);
}

BOOST_AUTO_TEST_CASE(futures_outlive_the_pool) {
    std::optional<ThreadPoolExecutor> pool(std::in_place, 2);
    const auto value = pool->submit([] { return std::string("kept"); });
    const auto error = pool->submit([] { throw std::runtime_error("kept too"); });
    pool.reset();
    BOOST_TEST(value.result() == "kept");
    BOOST_CHECK_THROW(error.result(), std::runtime_error);
    BOOST_TEST(value.then([](std::string text) { return text.size(); }).result() == 4u);
}

BOOST_AUTO_TEST_CASE(the_pool_may_be_destroyed_as_soon_as_a_result_is_there) {
    for (int i = 0; i < 200; ++i) {
        std::optional<ThreadPoolExecutor> pool(std::in_place, 2);
        const int got = pool->submit([i] { return i; }).result();
        pool.reset();
        BOOST_REQUIRE(got == i);
    }
}

// --- threads ------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(an_idle_thread_is_used_before_another_is_started) {
    const std::size_t before = Holdings::now().threads;
    ThreadPoolExecutor pool(8);
    const pid_t worker = warm_up(pool);
    for (int i = 0; i < 5; ++i) {
        BOOST_TEST(pool.submit(gettid).result() == worker);
        wait_until_asleep(worker);
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
        wait_until([before] { return Holdings::now().threads <= before; });
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
        wait_until([before] { return Holdings::now().threads <= before; });
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
    wait_until_asleep(pool.submit(gettid).result());
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

#if !defined(COFUTURES_TEST_HEAP_IS_TAKEN)
BOOST_AUTO_TEST_CASE(a_submit_allocates_the_task_and_nothing_else) {
    ThreadPoolExecutor pool(1);
    for (int i = 0; i < 20; ++i) {
        warm_up(pool);  // so that the thread has to be woken
        allocations = 0;
        const auto future = pool.submit([] {});
        const int allocated = allocations;
        future.result();
        BOOST_TEST(allocated == 1);
    }
    const int inside = pool.submit([&pool] {
                               allocations = 0;
                               pool.submit([] {});
                               return allocations;
                           }
    ).result();
    BOOST_TEST(inside == 1);
}
#endif

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

// --- the initializer ----------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_initializer_runs_once_in_each_thread_before_its_first_call) {
    static thread_local int initialized = 0;
    std::atomic<int> runs{0};
    {
        ThreadPoolExecutor pool({.max_workers = 3, .initializer = [&runs] {
                                     ++initialized, ++runs;
                                 }});
        for (int i = 0; i < 20; ++i) {
            BOOST_REQUIRE(pool.submit([] { return initialized; }).result() == 1);
        }
        std::vector<std::unique_ptr<Blocker>> blockers;
        for (int i = 0; i < 3; ++i) {
            blockers.push_back(std::make_unique<Blocker>(pool));
        }
    }
    BOOST_TEST(runs == 3);
}

BOOST_AUTO_TEST_CASE(a_failing_initializer_breaks_the_pool_with_its_exception_nested) {
    ThreadPoolExecutor pool({.max_workers = 2, .initializer = [] {
                                 throw std::runtime_error("no disk");
                             }});
    const auto future = pool.submit([] {});
    BOOST_TEST(message_of<BrokenThreadPool>([&] {
                   future.result();
               }) == "A thread initializer failed, the thread pool is not usable anymore");
    const std::string cause = "no disk";
    const auto submit = [&] {
        pool.submit([] {});
    };
    BOOST_TEST((cause_of<BrokenThreadPool, std::runtime_error>([&] { future.result(); }) == cause));
    BOOST_TEST((cause_of<BrokenThreadPool, std::runtime_error>(submit) == cause));
    pool.shutdown();
    BOOST_TEST((cause_of<BrokenThreadPool, std::runtime_error>(submit) == cause));
}

BOOST_AUTO_TEST_CASE(what_is_nested_may_be_of_any_type) {
    ThreadPoolExecutor pool({.max_workers = 1, .initializer = [] {
                                 throw 42;
                             }});
    const auto future = pool.submit([] {});
    try {
        future.result();
        BOOST_FAIL("the future holds no error");
    } catch (const BrokenThreadPool& error) {
        BOOST_CHECK_THROW(std::rethrow_if_nested(error), int);
    }
}

BOOST_AUTO_TEST_CASE(each_waiting_future_gets_an_exception_of_its_own) {
    Gate may_fail;
    ThreadPoolExecutor pool({.max_workers = 1, .initializer = [&may_fail] {
                                 may_fail.wait();
                                 throw std::runtime_error("failed");
                             }});
    std::vector<Future<void>> futures;
    ObjectCounts counts;
    for (int i = 0; i < 5; ++i) {
        futures.push_back(pool.submit([held = Observed(counts)] {}));
    }
    futures[2].cancel();
    may_fail.open();
    std::set<const void*> errors;
    for (const auto& future : futures) {
        if (future == futures[2]) {
            BOOST_TEST(future.cancelled());
            continue;
        }
        try {
            future.result();
        } catch (const BrokenThreadPool& error) {
            errors.insert(&error);
        }
    }
    BOOST_TEST(errors.size() == 4u);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(healthy_threads_end_what_they_run) {
    std::atomic<int> runs{0};
    ThreadPoolExecutor pool({.max_workers = 2, .initializer = [&runs] {
                                 if (++runs == 2) {
                                     throw std::runtime_error("the second one");
                                 }
                             }});
    Blocker blocker(pool);
    BOOST_CHECK_THROW(pool.submit([] {}).result(), BrokenThreadPool);
    BOOST_CHECK_THROW(pool.submit([] {}), BrokenThreadPool);
    BOOST_TEST(blocker.future().running());
    blocker.let_go();
    blocker.future().result();
    pool.shutdown();
}

BOOST_AUTO_TEST_CASE(an_initializer_that_fails_during_shutdown_does_not_hang_it) {
    Gate may_fail;
    ThreadPoolExecutor pool({.max_workers = 1, .initializer = [&may_fail] {
                                 may_fail.wait();
                                 throw std::runtime_error("failed");
                             }});
    const auto future = pool.submit([] {});
    std::thread other([&pool] { pool.shutdown(); });
    wait_until([&pool] {
        try {
            pool.submit([] {}).cancel();
        } catch (const ShutdownError&) {
            return true;
        }
        return false;
    });
    may_fail.open();
    other.join();
    BOOST_CHECK_THROW(future.result(), BrokenThreadPool);
}

BOOST_AUTO_TEST_CASE(callbacks_of_futures_that_broke_may_use_and_destroy_the_pool) {
    Gate may_fail;
    auto pool = std::make_unique<ThreadPoolExecutor>(ThreadPoolOptions{
        .max_workers = 1, .thread_name_prefix = "", .initializer = [&may_fail] {
            may_fail.wait();
            throw 1;
        }});
    std::string refused;
    std::string deadlock;
    Gate told;
    pool->submit([] {}).add_done_callback([&] {
        refused = message_of<BrokenThreadPool>([&] { pool->submit([] {}); });
        deadlock = message_of<DeadlockError>([&] { pool->shutdown(); });
        pool.reset();
        told.open();
    });
    may_fail.open();
    told.wait();
    BOOST_TEST(refused.starts_with("A thread initializer failed"));
    BOOST_TEST(deadlock.starts_with("shutdown(wait=true) was called inside a task"));
}

BOOST_AUTO_TEST_CASE(shutdown_inside_the_initializer_is_refused) {
    std::optional<ThreadPoolExecutor> pool;
    pool.emplace(ThreadPoolOptions{
        .max_workers = 1, .thread_name_prefix = "", .initializer = [&pool] {
            pool->shutdown();
        }});
    const auto future = pool->submit([] {});
    BOOST_TEST((cause_of<BrokenThreadPool, DeadlockError>([&] { future.result(); }
    ).starts_with("shutdown(wait=true) was called inside a task")));
}

// --- the end ------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(after_shutdown_nothing_can_be_submitted) {
    ThreadPoolExecutor pool(1);
    pool.shutdown();
    BOOST_TEST(message_of<ShutdownError>([&] { pool.submit([] {}); }) == shutdown_text);
}

BOOST_AUTO_TEST_CASE(shutdown_waits_for_all_that_was_submitted) {
    std::atomic<int> runs{0};
    ThreadPoolExecutor pool(2);
    for (int i = 0; i < 1000; ++i) {
        pool.submit([&runs] { ++runs; });
    }
    pool.shutdown();
    BOOST_TEST(runs == 1000);
}

BOOST_AUTO_TEST_CASE(the_destructor_waits_for_all_that_was_submitted) {
    std::atomic<int> runs{0};
    {
        ThreadPoolExecutor pool(2);
        for (int i = 0; i < 1000; ++i) {
            pool.submit([&runs] { ++runs; });
        }
    }
    BOOST_TEST(runs == 1000);
}

BOOST_AUTO_TEST_CASE(shutdown_without_waiting_returns_and_what_was_submitted_still_runs) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    const auto queued = pool.submit([] { return 1; });
    pool.shutdown(false);
    BOOST_TEST(!queued.done());
    BOOST_CHECK_THROW(pool.submit([] {}), ShutdownError);
    blocker.let_go();
    BOOST_TEST(queued.result() == 1);
}

BOOST_AUTO_TEST_CASE(shutdown_may_be_called_again_with_more_to_ask) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    const auto queued = pool.submit([] {});
    pool.shutdown(false);
    pool.shutdown(false);
    BOOST_TEST(!queued.cancelled());
    pool.shutdown(false, true);
    BOOST_TEST(queued.cancelled());
    blocker.let_go();
    pool.shutdown(true);
    pool.shutdown(true, true);
}

BOOST_AUTO_TEST_CASE(cancelling_spares_what_runs) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    std::vector<Future<void>> queued;
    std::thread::id told_on;
    for (int i = 0; i < 10; ++i) {
        queued.push_back(pool.submit([] {}));
    }
    queued.back().add_done_callback([&] { told_on = std::this_thread::get_id(); });
    pool.shutdown(false, true);
    for (const auto& future : queued) {
        BOOST_TEST(future.cancelled());
    }
    BOOST_TEST((told_on == std::this_thread::get_id()));
    blocker.let_go();
    blocker.future().result();
}

BOOST_AUTO_TEST_CASE(several_threads_may_shut_it_down_at_once) {
    std::atomic<int> runs{0};
    std::atomic<int> runs_seen{0};
    ThreadPoolExecutor pool(2);
    for (int i = 0; i < 100; ++i) {
        pool.submit([&runs] { ++runs; });
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            pool.shutdown();
            runs_seen += runs;
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    BOOST_TEST(runs_seen == 400);
}

BOOST_AUTO_TEST_CASE(waiting_for_its_own_end_inside_a_task_is_refused) {
    ThreadPoolExecutor pool(1);
    const auto future = pool.submit([&pool] { pool.shutdown(); });
    BOOST_CHECK_THROW(future.result(), DeadlockError);
    BOOST_TEST(pool.submit([] { return 1; }).result() == 1);  // the refused call changed nothing
}

BOOST_AUTO_TEST_CASE(waiting_for_its_own_end_inside_a_callback_is_refused) {
    std::string refused;
    {
        ThreadPoolExecutor pool(1);
        const Blocker blocker(pool);
        pool.submit([] {}
        ).add_done_callback([&] { refused = message_of<DeadlockError>([&] { pool.shutdown(); }); });
    }
    BOOST_TEST(refused.starts_with("shutdown(wait=true) was called inside a task"));
}

BOOST_AUTO_TEST_CASE(a_task_may_shut_its_pool_down_without_waiting) {
    ThreadPoolExecutor pool(1);
    const auto future = pool.submit([&pool] {
        pool.shutdown(false);
        pool.submit([] {});
    });
    BOOST_TEST(message_of<ShutdownError>([&] { future.result(); }) == shutdown_text);
}

BOOST_AUTO_TEST_CASE(a_task_may_wait_for_the_end_of_another_pool) {
    ThreadPoolExecutor outer(1);
    outer
        .submit([] {
            ThreadPoolExecutor inner(1);
            inner.submit([] {});
            inner.shutdown();
        })
        .result();
}

BOOST_AUTO_TEST_CASE(the_last_owner_may_be_one_of_its_own_tasks) {
    for (int round = 0; round < 50; ++round) {
        auto pool = std::make_shared<ThreadPoolExecutor>(3);
        ThreadPoolExecutor& borrowed = *pool;
        Gate owned_by_task;
        std::atomic<int> runs{0};
        std::vector<Future<void>> futures;
        futures.push_back(borrowed.submit([&, pool]() mutable {
            owned_by_task.wait();
            pool.reset();
        }));
        for (int i = 0; i < 20; ++i) {
            futures.push_back(borrowed.submit([&runs] { ++runs; }));
        }
        pool.reset();
        owned_by_task.open();
        for (const auto& future : futures) {
            future.result();
        }
        BOOST_REQUIRE(runs == 20);
    }
}

BOOST_AUTO_TEST_CASE(the_last_owner_may_be_the_callable_of_a_cancelled_task) {
    auto pool = std::make_shared<ThreadPoolExecutor>(1);
    auto blocker = std::make_unique<Blocker>(*pool);
    const auto future = pool->submit([pool] {});
    std::thread releaser([&blocker] { blocker->let_go(); });
    pool.reset();
    future.cancel();
    future.wait();
    releaser.join();
}

BOOST_AUTO_TEST_SUITE_END()
