#include "support/explorer.hpp"

#define BOOST_TEST_MODULE explorer
#include "support/model_check.hpp"

#include <boost/test/unit_test.hpp>

#include <memory>

using namespace cofutures::test::explorer;

// The explorer itself, on a protocol with a known fault.
// No co_await stands in a condition: g++ 12 makes a trap of some of them.

namespace {

/// One thread sleeps until there is something; the other wakes it only if it sleeps.
struct Parking {
    Parking(Run& in, bool looks_again_) : run(in), looks_again(looks_again_) {}

    Step<> sleeper() {
        const bool is_filled = co_await filled.load();
        if (is_filled) {
            co_return;
        }
        co_await sleeping.store(true);
        // The fault: what came between the two lines above is seen by nobody.
        if (looks_again) {
            const bool came_between = co_await filled.load();
            if (came_between) {
                co_return;
            }
        }
        co_await run.until("sleeps", [this] { return woken.peek(); });
    }
    Step<> filler() {
        co_await filled.store(true);
        const bool sleeps = co_await sleeping.load();
        if (sleeps) {
            co_await woken.store(true);
        }
    }

    Run& run;
    bool looks_again;
    Atomic<bool> filled{run, "filled", false};
    Atomic<bool> sleeping{run, "sleeping", false};
    Atomic<bool> woken{run, "woken", false};
};

Result explore_parking(bool looks_again) {
    return explore({}, [=](Run& run) {
        auto model = std::make_shared<Parking>(run, looks_again);
        run.spawn("sleeper", model->sleeper());
        run.spawn("filler", model->filler());
        run.at_end([model] { return model->filled.peek(); }, "nothing was filled in");
    });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(explorer)

BOOST_AUTO_TEST_CASE(finds_the_wake_up_that_is_lost_when_a_sleeper_does_not_look_again) {
    must_fail(explore_parking(false), "nobody can go on: sleeper at sleeps");
}

BOOST_AUTO_TEST_CASE(passes_the_sleeper_that_looks_again) {
    must_hold(explore_parking(true));
}

BOOST_AUTO_TEST_CASE(reports_the_steps_of_the_bad_order) {
    const Result result = explore_parking(false);
    BOOST_TEST(result.steps.find("  filler: filled\n") != std::string::npos, result.steps);
}

BOOST_AUTO_TEST_CASE(counts_every_order_once) {
    // Two threads of two steps after the first: with the first one, 3 + 3 steps.
    const auto two = [](Run& run) {
        auto word = std::make_shared<Atomic<int>>(run, "word", 0);
        const auto program = [](Atomic<int>& shared) -> Step<> {
            co_await shared.fetch_add(1);
            co_await shared.fetch_add(1);
        };
        run.spawn("one", program(*word));
        run.spawn("other", program(*word));
        run.at_end([word] { return word->peek() == 4; }, "an addition is lost");
    };
    const Result all = explore({.preemptions = 100}, two);
    BOOST_TEST(all.orders == 20U);  // of 6 places, 3 for one of them
    BOOST_TEST(all.complete);
    BOOST_TEST(explore({.preemptions = 0}, two).orders == 2U);
    BOOST_TEST(!explore({.preemptions = 100, .most_orders = 7}, two).complete);
}

BOOST_AUTO_TEST_SUITE_END()
