#include "support/explorer.hpp"

#define BOOST_TEST_MODULE pool_model
#include "support/model_check.hpp"

#include <boost/test/unit_test.hpp>

#include <memory>

using namespace cofutures::test::explorer;

// The protocol in miniature, and with faults put in, which the explorer has to find: a model in
// which nothing can go wrong proves nothing. Whoever changes the code changes its model.
// No co_await stands in a condition: g++ 12 makes a trap of some of them.

namespace {

enum class PoolFault {
    none,
    decides_after_the_mutex,  // submit() asks whether somebody must be woken when it has let go
    ceases_without_looking,   // a searching drainer ceases by what it saw without the mutex
    forgets_called_drainers,  // threads are let go while a drainer is called and not yet posted
    never_calls_for_help,     // who takes a task leaves the others to nobody
};

/// lib/thread/thread_pool.cpp: submit, call_for_help, wake, drain, next_task, take_task, shutdown
/// and let_threads_go. Asio is a number of posted handlers, and threads that leave when they are
/// let go and none is left; whoever is woken after that is lost.
///
/// Why no task is lost: `queued > 0` implies `drainers > 0`, at every moment at which the mutex is
/// free. submit() keeps it, as it calls a drainer unless one searches or has yet to arrive, both of
/// which are drainers. A drainer ceases only in the critical section in which it finds the queue
/// empty. Threads are let go only in one in which there is no drainer; so the queue is empty then,
/// and submit() refuses from then on. What is left is speed: that more than one drainer comes when
/// more are needed. The searching one suppresses calls, and whoever takes a task while others stay
/// behind calls in its place.
struct Pool {
    Pool(Run& in, int threads, PoolFault fault_) : run(in), free(threads), fault(fault_) {}

    Step<> submit() {
        bool called = false;
        co_await mutex.lock();
        if (shut_down) {
            mutex.unlock();
            co_return;
        }
        if (fault != PoolFault::decides_after_the_mutex) {
            called = needs_help(queued >= arriving) && call_for_help();
        }
        ++queued;
        ++taken_in;
        co_await filled.store(true);
        mutex.unlock();
        if (fault == PoolFault::decides_after_the_mutex) {
            const bool wanted = needs_help(queued > arriving);
            co_await mutex.lock();
            called = wanted && call_for_help();
            mutex.unlock();
        }
        co_await wake(called);
    }

    Step<> worker() {
        for (;;) {
            co_await run.until("waits in Asio", [this] { return posted.peek() > 0 || let_go; });
            // Another thread may have come first.
            const int before = posted.peek();
            if (before == 0) {
                if (let_go) {
                    ++ended;
                    co_return;
                }
            } else {
                const bool took = co_await posted.compare_exchange(before, before - 1);
                if (took) {
                    co_await drain();
                }
            }
        }
    }

    Step<> drain() {
        bool took = co_await next_task(true);
        while (took) {
            ++ran;
            took = co_await next_task(false);
        }
    }

    Step<bool> next_task(bool arrives) {
        co_await mutex.lock();
        arriving -= arrives ? 1 : 0;
        bool saw_work = false;
        if (queued == 0 && searching == 0) {
            ++searching;
            mutex.unlock();
            saw_work = co_await filled.load();  // a spin that may give up before there is work
            co_await mutex.lock();
            --searching;
            if (fault == PoolFault::ceases_without_looking && !saw_work) {
                cease();
                mutex.unlock();
                co_return false;
            }
        }
        if (queued == 0) {
            cease();
            mutex.unlock();
            co_return false;
        }
        --queued;
        bool called = false;
        if (queued == 0) {
            co_await filled.store(false);
        } else if (fault != PoolFault::never_calls_for_help && needs_help(queued > arriving)) {
            called = call_for_help();
        }
        mutex.unlock();
        co_await wake(called);
        co_return true;
    }

    Step<> shutdown() {
        co_await mutex.lock();
        shut_down = true;
        let_threads_go();
        mutex.unlock();
    }

    Step<> wake(bool called) {
        if (called) {
            co_await posted.fetch_add(1);
        }
    }

    // All under the mutex.
    [[nodiscard]] bool needs_help(bool too_few) const { return searching == 0 && too_few; }
    bool call_for_help() {
        if (free == 0) {
            return false;
        }
        --free;
        ++drainers;
        ++arriving;
        return true;
    }
    void cease() {
        ++free;
        --drainers;
        let_threads_go();
    }
    void let_threads_go() {
        const bool nobody = fault == PoolFault::forgets_called_drainers
                                ? posted.peek() == 0 && queued == 0
                                : drainers == 0;
        let_go = let_go || (shut_down && nobody);
    }

    Run& run;
    Mutex mutex{run};
    int queued = 0;
    int free;
    int drainers = 0;
    int arriving = 0;
    int searching = 0;
    bool shut_down = false;
    bool let_go = false;
    Atomic<bool> filled{run, "queue_filled", false};
    Atomic<int> posted{run, "Asio's queue", 0};
    int taken_in = 0;
    int ran = 0;
    int ended = 0;
    PoolFault fault;
};

Step<> submit_two_then_shut_down(Pool& pool) {
    co_await pool.submit();
    co_await pool.submit();
    co_await pool.shutdown();
}

/// Two producers and so many threads; every task that was taken in must run, and all threads end.
Result explore_pool(int threads, int preemptions, PoolFault fault) {
    return explore({.preemptions = preemptions}, [=](Run& run) {
        auto pool = std::make_shared<Pool>(run, threads, fault);
        run.spawn("owner", submit_two_then_shut_down(*pool));
        run.spawn("producer", pool->submit());
        run.spawn("thread 0", pool->worker());
        if (threads == 2) {
            run.spawn("thread 1", pool->worker());
        }
        run.at_end([pool] { return pool->ran == pool->taken_in; }, "a task was lost");
        run.at_end([pool, threads] { return pool->ended == threads; }, "a thread is left");
        run.at_end(
            [pool] { return pool->drainers == 0 && pool->arriving == 0 && pool->searching == 0; },
            "the counts of drainers do not come back to zero"
        );
    });
}

/// Two tasks that wait for each other to begin, after one that makes a thread search: if one of
/// them stays in the queue while a thread is idle, nobody can go on.
struct PoolOfBlockingTasks : Pool {
    using Pool::Pool;

    Step<> worker() {
        for (;;) {
            co_await run.until("waits in Asio", [this] { return posted.peek() > 0 || ran == 3; });
            const int before = posted.peek();
            if (before == 0) {
                co_return;
            }
            const bool called = co_await posted.compare_exchange(before, before - 1);
            bool took = false;
            if (called) {
                took = co_await next_task(true);
            }
            while (took) {
                if (++ran > 1) {
                    co_await run.until("waits for the other task", [this] { return ran == 3; });
                }
                took = co_await next_task(false);
            }
        }
    }
    Step<> submit_three() {
        co_await submit();
        co_await submit();
        co_await submit();
    }
};

Result explore_help(PoolFault fault) {
    return explore({.preemptions = 2}, [=](Run& run) {
        auto pool = std::make_shared<PoolOfBlockingTasks>(run, 2, fault);
        run.spawn("owner", pool->submit_three());
        run.spawn("thread 0", pool->worker());
        run.spawn("thread 1", pool->worker());
        run.at_end([pool] { return pool->ran == 3; }, "a task was lost");
    });
}

enum class RoomFault {
    none,
    counts_once,             // a submitter says that room is wanted, and does not count it again
    looks_before_it_counts,  // a task looks whether room is wanted before it makes some
    forgets_who_is_left,     // who admits some says that no more room is wanted
};

/// lib/thread/thread_pool.cpp: must_wait_for_room, has_room, begun, cancelled, room_made and admit.
///
/// Why nobody waits for room that is there: a submitter that is about to wait has said so before it
/// counts the room for the last time, and a task that begins counts before it looks whether anybody
/// has. If the submitter does not see the room, the task sees the wish, and takes the mutex, behind
/// the submitter. The wish is withdrawn under the mutex, when nobody waits.
struct BoundedQueue {
    static constexpr int bound = 1;
    static constexpr int tasks = 3;

    BoundedQueue(Run& in, RoomFault fault_) : run(in), fault(fault_) {}

    Step<> submit() {
        co_await mutex.lock();
        const bool waits = co_await must_wait_for_room();
        if (waits) {
            ++waiters;
        } else {
            take();
        }
        mutex.unlock();
    }

    Step<> submit_two() {
        co_await submit();
        co_await submit();
    }

    /// Begins tasks, or cancels them, until all have been.
    Step<> worker() {
        for (;;) {
            co_await run.until("waits for a task", [this] {
                return claimed < submitted || claimed == tasks;
            });
            if (claimed == tasks) {
                co_return;
            }
            ++claimed;
            bool wanted = false;
            if (fault == RoomFault::looks_before_it_counts) {
                wanted = co_await room_wanted.load();
            }
            co_await gone.fetch_add(1);
            if (fault != RoomFault::looks_before_it_counts) {
                wanted = co_await room_wanted.load();
            }
            if (wanted) {
                co_await mutex.lock();
                co_await admit();
                mutex.unlock();
            }
        }
    }

    // All under the mutex.
    Step<bool> must_wait_for_room() {
        bool room = co_await has_room();
        if (waiters == 0 && room) {
            co_return false;
        }
        co_await room_wanted.store(true);
        if (fault != RoomFault::counts_once) {
            room = co_await has_room();
        }
        co_return waiters != 0 || !room;
    }
    Step<> admit() {
        bool room = co_await has_room();
        while (waiters > 0 && room) {
            --waiters;
            take();
            room = co_await has_room();
        }
        if (waiters == 0 || fault == RoomFault::forgets_who_is_left) {
            co_await room_wanted.store(false);
        }
    }
    Step<bool> has_room() {
        const int begun = co_await gone.load();
        co_return submitted - begun < bound;
    }
    void take() {
        ++submitted;
        Run::check(submitted - gone.peek() <= bound, "too many wait to begin");
    }

    Run& run;
    Mutex mutex{run};
    int submitted = 0;
    int waiters = 0;
    int claimed = 0;
    Atomic<int> gone{run, "tasks gone", 0};
    Atomic<bool> room_wanted{run, "room_wanted", false};
    RoomFault fault;
};

/// Two submitters with three tasks, room for one, and two threads that begin them.
Result explore_room(RoomFault fault) {
    return explore({.preemptions = 2}, [=](Run& run) {
        auto queue = std::make_shared<BoundedQueue>(run, fault);
        run.spawn("owner", queue->submit_two());
        run.spawn("producer", queue->submit());
        run.spawn("thread 0", queue->worker());
        run.spawn("thread 1", queue->worker());
        run.at_end([queue] { return queue->waiters == 0; }, "somebody waits for room");
    });
}

enum class LocalFault {
    none,
    looks_once,            // a worker does not look again after it has submitted
    looks_before_it_says,  // a drainer ceases after a look, and says so after that
    takes_back_late,       // who collects says that nothing is left when it is through
};

/// lib/thread/: push_locally, collect, push, next_task and ceases.
///
/// Why no task stays where nobody looks: see push_locally(). Two drainers are at work. The task of
/// the first submits two and does not end before they have run, so the second has to run them; it
/// may have ceased, be about to, or be on its way back.
struct LocalTasks {
    static constexpr int tasks = 3;

    LocalTasks(Run& in, LocalFault fault_) : run(in), fault(fault_) {}

    Step<> task() {
        co_await submit();
        co_await submit();
        co_await run.until("waits for the tasks", [this] { return ran == tasks; });
    }

    Step<> submit() {
        co_await local_mutex.lock();
        bool to_all = co_await submit_to_all.load();
        if (to_all) {
            local_mutex.unlock();
            co_await submit_to_queue();
            co_return;
        }
        ++local;
        const bool said = co_await announced.load();
        if (!said) {
            co_await announced.store(true);
        }
        if (fault != LocalFault::looks_once) {
            to_all = co_await submit_to_all.load();
        }
        local_mutex.unlock();
        if (to_all) {
            co_await mutex.lock();
            co_await collect();
            co_await call_for_help();
            mutex.unlock();
        }
    }

    /// What others do, too.
    Step<> submit_to_queue() {
        co_await mutex.lock();
        co_await collect();
        ++queued;
        co_await call_for_help();
        mutex.unlock();
    }

    Step<> other_worker() {
        while (ran != tasks) {
            const bool took = co_await next_task();
            if (took) {
                ++ran;
            } else {
                co_await run.until("sleeps", [this] { return !is_free || ran == tasks; });
            }
        }
    }

    Step<bool> next_task() {
        co_await mutex.lock();
        co_await collect();
        bool took = queued != 0;
        if (!took) {
            co_await submit_to_all.store(true);
            if (fault != LocalFault::looks_before_it_says) {
                co_await collect();
            }
            took = queued != 0;
            if (took) {
                co_await submit_to_all.store(false);
            } else {
                is_free = true;
            }
        }
        queued -= took ? 1 : 0;
        mutex.unlock();
        co_return took;
    }

    // All under the mutex.
    Step<> collect() {
        const bool some = co_await announced.load();
        if (!some) {
            co_return;
        }
        if (fault != LocalFault::takes_back_late) {
            co_await announced.store(false);
        }
        co_await local_mutex.lock();
        queued += local;
        local = 0;
        local_mutex.unlock();
        if (fault == LocalFault::takes_back_late) {
            co_await announced.store(false);
        }
    }
    Step<> call_for_help() {
        if (queued != 0 && is_free) {
            co_await submit_to_all.store(false);
            is_free = false;
        }
    }

    Run& run;
    Mutex mutex{run};
    int queued = 0;
    bool is_free = false;
    Atomic<bool> submit_to_all{run, "submit_to_all", false};
    Atomic<bool> announced{run, "local_tasks", false};
    Mutex local_mutex{run};
    int local = 0;
    int ran = 0;
    LocalFault fault;
};

Result explore_local_tasks(LocalFault fault) {
    return explore({.preemptions = 3}, [=](Run& run) {
        auto pool = std::make_shared<LocalTasks>(run, fault);
        run.spawn("task", pool->task());
        run.spawn("other worker", pool->other_worker());
        run.spawn("producer", pool->submit_to_queue());
        run.at_end([pool] { return pool->queued == 0 && pool->local == 0; }, "a task is left");
    });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pool_model)

BOOST_AUTO_TEST_CASE(what_tasks_submit_is_found_by_others) {
    must_hold(explore_local_tasks(LocalFault::none));
    must_fail(explore_local_tasks(LocalFault::looks_once), "nobody can go on");
    must_fail(explore_local_tasks(LocalFault::looks_before_it_says), "nobody can go on");
    must_fail(explore_local_tasks(LocalFault::takes_back_late), "nobody can go on");
}

BOOST_AUTO_TEST_CASE(who_waits_for_room_is_admitted_when_there_is_some) {
    must_hold(explore_room(RoomFault::none));
    must_fail(explore_room(RoomFault::counts_once), "nobody can go on");
    must_fail(explore_room(RoomFault::looks_before_it_counts), "nobody can go on");
    must_fail(explore_room(RoomFault::forgets_who_is_left), "nobody can go on");
}

BOOST_AUTO_TEST_CASE(thread_pool_loses_no_task_and_no_thread) {
    must_hold(explore_pool(1, 3, PoolFault::none));
    must_hold(explore_pool(2, 2, PoolFault::none));
}

BOOST_AUTO_TEST_CASE(thread_pool_calls_a_second_thread_when_the_first_is_busy) {
    must_hold(explore_help(PoolFault::none));
    must_fail(explore_help(PoolFault::never_calls_for_help), "nobody can go on");
}

BOOST_AUTO_TEST_CASE(finds_faults_put_into_the_thread_pool) {
    must_fail(explore_pool(1, 3, PoolFault::decides_after_the_mutex), "do not come back to zero");
    must_fail(explore_pool(1, 3, PoolFault::ceases_without_looking), "a task was lost");
    must_fail(explore_pool(2, 3, PoolFault::forgets_called_drainers), "do not come back to zero");
}

BOOST_AUTO_TEST_SUITE_END()
