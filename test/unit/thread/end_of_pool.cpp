#include <cofutures/thread_pool_executor.hpp>

#include <cofutures/promise.hpp>
#include <cofutures/wait.hpp>

#define BOOST_TEST_MODULE end_of_pool
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/refusal.hpp"
#include "support/thread_state.hpp"
#include "support/waits_for_caller.hpp"

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

// A task ends another pool, one of whose tasks waits for it.

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

/// A pool, and a task of another one, which ends it when the tasks that it is given have come to
/// wait for it.
class Scene {
public:
    using Inner = std::optional<ThreadPoolExecutor>;
    using Task = std::function<void(const Future<void>& outer)>;

    explicit Scene(int threads) : inner_(std::in_place, options(threads)) {}

    /// Submits a task to the pool that is to be ended, and gives its future.
    Future<void> add(const std::string& name, Task task) {
        calls_.push_back(inner_->submit({.name = name}, [this, task = std::move(task)] {
            task(outer_known_.result());
        }));
        return calls_.back();
    }

    /// Has the other pool's task do something with the pool.
    Future<void> when_all_wait(std::function<void(Inner&)> act) {
        auto outer = other_.submit({.name = "outer"}, [this, act = std::move(act)] {
            for (const Future<void>& call : calls_) {
                await_waiting_for_caller(call);
            }
            act(inner_);
        });
        outer_.set_result(outer);
        return outer;
    }

private:
    Promise<Future<void>> outer_;
    const Future<Future<void>> outer_known_ = outer_.get_future();
    std::vector<Future<void>> calls_;
    Inner inner_;
    ThreadPoolExecutor other_{1};

    static ThreadPoolOptions options(int threads) {
        return {.max_workers = threads, .thread_name_prefix = "inner pool"};
    }
};

void destroy(Scene::Inner& pool) {
    pool.reset();
}

void wait_for(const Future<void>& future) {
    future.result();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(test_end_of_pool)

BOOST_AUTO_TEST_CASE(a_shutdown_that_would_wait_for_the_caller_is_refused) {
    Scene scene(1);
    const auto inner = scene.add("inner", wait_for);
    const auto outer = scene.when_all_wait([](Scene::Inner& pool) { pool->shutdown(true); });
    BOOST_TEST(
        refusal_of(outer) == "the wait would never end: \"outer\", which waits for the end of "
                             "\"inner pool\", which waits for \"inner\", which waits for \"outer\""
    );
    BOOST_CHECK_THROW(inner.result(generous), DeadlockError);  // outer's
}

BOOST_AUTO_TEST_CASE(a_shutdown_with_a_timeout_is_not) {
    Scene scene(1);
    const auto inner = scene.add("inner", wait_for);
    const auto outer = scene.when_all_wait([](Scene::Inner& pool) {
        BOOST_TEST(!pool->shutdown_for(std::chrono::milliseconds(1)));
    });
    outer.result(generous);
    inner.result(generous);
}

BOOST_AUTO_TEST_CASE(instead_of_a_destructor_the_wait_that_keeps_it_is_refused) {
    Scene scene(1);
    const auto inner = scene.add("inner", wait_for);
    const auto outer = scene.when_all_wait(destroy);
    BOOST_TEST(
        refusal_of(inner) == "the wait would never end: \"inner\", which waits for \"outer\", "
                             "which waits for the end of \"inner pool\""
    );
    outer.result(generous);
}

BOOST_AUTO_TEST_CASE(a_destructor_runs_what_is_queued_behind_the_refused_wait) {
    Scene scene(1);
    const auto inner = scene.add("inner", wait_for);
    std::optional<Future<void>> queued;
    const auto outer = scene.when_all_wait([&](Scene::Inner& pool) {
        queued = pool->submit([] {});
        pool.reset();
        BOOST_TEST(queued->done());
    });
    outer.result(generous);
    BOOST_CHECK_THROW(inner.result(generous), DeadlockError);
    queued->result(generous);
}

BOOST_AUTO_TEST_CASE(a_task_that_waits_again_is_refused_again) {
    Scene scene(1);
    const auto inner = scene.add("inner", [](const Future<void>& outer) {
        for (int i = 0; i < 3; ++i) {
            BOOST_CHECK_THROW(outer.wait(), DeadlockError);
        }
    });
    scene.when_all_wait(destroy).result(generous);
    inner.result(generous);
}

// The destructor waits first here, if it falls asleep for nothing else.
BOOST_AUTO_TEST_CASE(a_wait_for_who_destroys_the_pool_is_refused_from_the_start) {
    std::optional<ThreadPoolExecutor> inner(std::in_place, 1);
    ThreadPoolExecutor other(1);
    Promise<pid_t> destroyer;
    Promise<Future<void>> known;
    const auto waits = inner->submit([&] {
        const Future<void> outer = known.get_future().result();
        static_cast<void>(falls_asleep(destroyer.get_future().result()));
        outer.result();
    });
    const auto outer = other.submit([&] {
        destroyer.set_result(::gettid());
        inner.reset();
    });
    known.set_result(outer);
    BOOST_CHECK_THROW(waits.result(generous), DeadlockError);
    outer.result(generous);
}

BOOST_AUTO_TEST_CASE(only_the_wait_that_the_others_need_is_refused) {
    Scene scene(3);
    const auto first = scene.add("first", wait_for);
    const auto second = scene.add("second", [&](const Future<void>&) { first.wait(); });
    const auto third = scene.add("third", [&](const Future<void>&) { second.wait(); });
    scene.when_all_wait(destroy).result(generous);
    BOOST_CHECK_THROW(first.result(generous), DeadlockError);
    second.result(generous);
    third.result(generous);
}

BOOST_AUTO_TEST_CASE(a_wait_for_any_that_ends_thereby_is_not_refused) {
    ThreadPoolExecutor third(1);
    ThreadPoolExecutor fourth(1);
    Scene scene(2);
    const auto first = scene.add("first", [&](const Future<void>& outer) {
        const auto between = third.submit([outer] { outer.wait(); });
        fourth.submit([between] { between.wait(); }).result();
    });
    const auto second = scene.add("second", [&](const Future<void>& outer) {
        wait(std::vector{first, outer}, FIRST_COMPLETED);
    });
    scene.when_all_wait(destroy).result(generous);
    BOOST_CHECK_THROW(first.result(generous), DeadlockError);
    second.result(generous);
}

BOOST_AUTO_TEST_CASE(pools_that_are_destroyed_in_tasks_of_each_other_all_end) {
    std::optional<ThreadPoolExecutor> innermost(std::in_place, 1);
    std::optional<Future<void>> call;
    Scene scene(1);
    const auto inner = scene.add("inner", [&](const Future<void>& outer) {
        call = innermost->submit([outer] { outer.result(); });
        innermost.reset();
    });
    scene.when_all_wait(destroy).result(generous);
    inner.result(generous);
    BOOST_CHECK_THROW(call->result(generous), DeadlockError);
}

BOOST_AUTO_TEST_CASE(every_wait_that_needs_it_is_refused) {
    Scene scene(3);
    const std::array calls{
        scene.add("a", wait_for),
        scene.add("b", wait_for),
        scene.add("c", [](const Future<void>& outer) { outer.then([] {}).result(); }),
    };
    scene.when_all_wait(destroy).result(generous);
    for (const Future<void>& call : calls) {
        BOOST_CHECK_THROW(call.result(generous), DeadlockError);
    }
}

BOOST_AUTO_TEST_CASE(the_task_of_a_third_pool_that_waits_too_gets_what_it_waits_for) {
    ThreadPoolExecutor third(1);
    Scene scene(1);
    std::optional<Future<void>> between;
    const auto inner = scene.add("inner", [&](const Future<void>& outer) {
        between = third.submit({.name = "between"}, [outer] { outer.result(); });
        between->result();
    });
    scene.when_all_wait(destroy).result(generous);
    BOOST_TEST(
        refusal_of(inner) == "the wait would never end: \"inner\", which waits for \"between\", "
                             "which waits for \"outer\", which waits for the end of \"inner pool\""
    );
    between->result(generous);
}

BOOST_AUTO_TEST_CASE(a_wait_for_several_is_refused) {
    for (const ReturnWhen when : {FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED}) {
        Scene scene(1);
        const auto inner = scene.add("inner", [&](const Future<void>& outer) {
            wait(std::vector{outer, outer.then([] {})}, when);
        });
        scene.when_all_wait(destroy).result(generous);
        BOOST_CHECK_THROW(inner.result(generous), DeadlockError);
    }
}

BOOST_AUTO_TEST_CASE(a_wait_for_any_that_may_still_end_is_not_refused) {
    std::optional<ThreadPoolExecutor> pool(std::in_place, 1);
    ThreadPoolExecutor other(1);
    Promise<void> ends;
    Promise<Future<void>> known;
    Promise<pid_t> destroyer;
    const auto inner = pool->submit([&] {
        wait(std::vector{known.get_future().result(), ends.get_future()}, FIRST_COMPLETED);
    });
    const auto outer = other.submit([&] {
        destroyer.set_result(::gettid());
        pool.reset();
    });
    known.set_result(outer);
    BOOST_TEST(falls_asleep(destroyer.get_future().result()));
    ends.set_result();
    inner.result(generous);
    outer.result(generous);
}

BOOST_AUTO_TEST_CASE(who_reads_a_map_is_refused) {
    ThreadPoolExecutor mapping(2);
    const auto read_in_order = [&](const Future<void>& outer) {
        for ([[maybe_unused]] const int item :
             mapping.map([outer](int value) { return outer.wait(), value; }, std::vector{1})) {
        }
    };
    const auto read_buffered = [&](const Future<void>& outer) {
        for ([[maybe_unused]] const int item : mapping.map(
                 MapOptions{.buffersize = 1},
                 [outer](int value) { return outer.wait(), value; },
                 std::vector{1}
             )) {
        }
    };
    const auto read_unordered = [&](const Future<void>& outer) {
        for ([[maybe_unused]] const int item : mapping.map_unordered(
                 [outer](int value) { return outer.wait(), value; }, std::vector{1}
             )) {
        }
    };
    for (const Scene::Task& read :
         {Scene::Task(read_in_order), Scene::Task(read_buffered), Scene::Task(read_unordered)}) {
        Scene scene(1);
        const auto inner = scene.add("inner", read);
        scene.when_all_wait(destroy).result(generous);
        BOOST_CHECK_THROW(inner.result(generous), DeadlockError);
    }
}

BOOST_AUTO_TEST_SUITE_END()
