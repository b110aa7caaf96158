#include "support/explorer.hpp"

#define BOOST_TEST_MODULE map_model
#include "support/model_check.hpp"

#include <boost/test/unit_test.hpp>

#include <memory>

using namespace cofutures::test::explorer;

// As pool_model.cpp.

namespace {

enum class WaitFault {
    none,
    looks_before_it_ends,     // who ends an item looks whether it is awaited, then ends it
    awaits_after_a_look,      // the consumer looks at the item, then says that it sleeps for it
    wakes_without_the_mutex,  // a wake-up may fall between the consumer's look and its sleep
    wakes_for_the_first,      // of several that end together, not for the others
};

/// include/cofutures/detail/map_numbered_job.hpp and MapJob::sleep_until: the consumer waits for
/// item after item, which are ended one by one or both together. That stores are seen in order is
/// AsymmetricFence's part.
struct NumberedItems {
    static constexpr int items = 2;
    static constexpr int nobody = -1;

    NumberedItems(Run& in, int together_, WaitFault fault_)
        : run(in), together(together_), fault(fault_) {}

    Step<> worker() {
        for (int first = 0; first < items; first += together) {
            int sleeper = nobody;
            if (fault == WaitFault::looks_before_it_ends) {
                sleeper = co_await awaited.load();
            }
            for (int item = first; item < first + together; ++item) {
                co_await ended.store(item);
            }
            if (fault != WaitFault::looks_before_it_ends) {
                sleeper = co_await awaited.load();
            }
            const int past = fault == WaitFault::wakes_for_the_first ? first + 1 : first + together;
            if (first <= sleeper && sleeper < past) {
                if (fault != WaitFault::wakes_without_the_mutex) {
                    co_await mutex.lock();
                }
                co_await is_asleep.store(false);
                if (fault != WaitFault::wakes_without_the_mutex) {
                    mutex.unlock();
                }
            }
        }
    }

    Step<> consumer() {
        for (int item = 0; item < items; ++item) {
            int last = co_await ended.load();
            if (last >= item) {
                continue;
            }
            if (fault != WaitFault::awaits_after_a_look) {
                co_await awaited.store(item);
            }
            co_await mutex.lock();
            last = co_await ended.load();
            while (last < item) {
                if (fault == WaitFault::awaits_after_a_look) {
                    co_await awaited.store(item);
                }
                co_await is_asleep.store(true);
                mutex.unlock();
                co_await run.until("sleeps", [this] { return !is_asleep.peek(); });
                co_await mutex.lock();
                last = co_await ended.load();
            }
            mutex.unlock();
            co_await awaited.store(nobody);
        }
        got_all = true;
    }

    Run& run;
    Mutex mutex{run};
    Atomic<int> ended{run, "the last item that has ended", nobody};
    Atomic<int> awaited{run, "awaited", nobody};
    Atomic<bool> is_asleep{run, "asleep", false};
    bool got_all = false;
    int together;
    WaitFault fault;
};

Result explore_wait(int together, WaitFault fault) {
    return explore({.preemptions = 3}, [=](Run& run) {
        auto map = std::make_shared<NumberedItems>(run, together, fault);
        run.spawn("worker", map->worker());
        run.spawn("consumer", map->consumer());
        run.at_end([map] { return map->got_all; }, "an item was not given out");
    });
}

enum class CloseFault {
    none,
    looks_before_it_ends,   // who ends an item looks whether it is wanted, then ends it
    disowns_what_is_taken,  // who ends an item does not ask whether the consumer has taken it
    both_may_destroy,       // what is disowned is looked at, and not taken
};

/// The same: end, want_none_from and disown. The consumer takes the first item, and closes.
struct ClosedMap {
    static constexpr int items = 2;
    static constexpr int no_more = -2;
    enum Phase { pending, returned, gone };

    ClosedMap(Run& in, int together_, CloseFault fault_)
        : run(in), together(together_), fault(fault_) {}

    Step<> worker() {
        for (int first = 0; first < items; first += together) {
            int sleeper = 0;
            if (fault == CloseFault::looks_before_it_ends) {
                sleeper = co_await awaited.load();
            }
            for (int item = first; item < first + together; ++item) {
                co_await phase[item].store(returned);
            }
            if (fault != CloseFault::looks_before_it_ends) {
                sleeper = co_await awaited.load();
            }
            for (int item = first; sleeper == no_more && item < first + together; ++item) {
                if (item >= first_unwanted || fault == CloseFault::disowns_what_is_taken) {
                    co_await disown(item);
                }
            }
        }
    }

    Step<> consumer() {
        co_await run.until("waits", [this] { return phase[0].peek() == returned; });
        ++ends[0];
        first_unwanted = 1;
        co_await awaited.store(no_more);
        co_await disown(1);
    }

    Step<> disown(int item) {
        const int before = co_await phase[item].load();
        if (before != returned) {
            co_return;
        }
        if (fault == CloseFault::both_may_destroy) {
            co_await phase[item].store(gone);
            ++ends[item];
            co_return;
        }
        const bool mine = co_await phase[item].compare_exchange(returned, gone);
        ends[item] += mine ? 1 : 0;
    }

    Run& run;
    Atomic<int> phase[items] = {
        {run, "the first item", pending}, {run, "the second item", pending}};
    Atomic<int> awaited{run, "awaited", -1};
    int first_unwanted = 0;
    int ends[items] = {};  // how often an outcome was taken or destroyed
    int together;
    CloseFault fault;
};

Result explore_close(int together, CloseFault fault) {
    return explore({.preemptions = 3}, [=](Run& run) {
        auto map = std::make_shared<ClosedMap>(run, together, fault);
        run.spawn("worker", map->worker());
        run.spawn("consumer", map->consumer());
        run.at_end(
            [map] { return map->ends[0] == 1 && map->ends[1] == 1; }, "an outcome did not end once"
        );
    });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(map_model)

BOOST_AUTO_TEST_CASE(what_nobody_wants_is_destroyed_once) {
    using enum CloseFault;
    for (const int together : {1, 2}) {
        must_hold(explore_close(together, none));
        for (const auto fault : {looks_before_it_ends, disowns_what_is_taken, both_may_destroy}) {
            must_fail(explore_close(together, fault), "an outcome did not end once");
        }
    }
}

BOOST_AUTO_TEST_CASE(a_consumer_that_sleeps_is_woken) {
    using enum WaitFault;
    for (const int together : {1, 2}) {
        must_hold(explore_wait(together, none));
        for (const auto fault :
             {looks_before_it_ends, awaits_after_a_look, wakes_without_the_mutex}) {
            must_fail(explore_wait(together, fault), "nobody can go on");
        }
    }
    must_fail(explore_wait(2, wakes_for_the_first), "nobody can go on");
}

BOOST_AUTO_TEST_SUITE_END()
