#include <cofutures/map.hpp>

#include <cofutures/asio_executor.hpp>
#include <cofutures/error.hpp>
#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE stress_map
#include <boost/test/unit_test.hpp>

#include "support/leak_check.hpp"
#include "support/map_inputs.hpp"
#include "support/object_observer.hpp"
#include "support/seed.hpp"

#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

// Maps of random shape on random executors, read to the end, closed, timed out or shut down in the
// middle: every item has one outcome, results are right, nothing is left. Rounds: `program -- <n>`.

namespace asio = boost::asio;
using namespace cofutures;
using cofutures::test::LeakCheck;
using cofutures::test::Naturals;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int rounds_or(int otherwise) {
    const auto& suite = boost::unit_test::framework::master_test_suite();
    return suite.argc > 1 ? std::atoi(suite.argv[1]) : otherwise;
}

class Dice {
public:
    explicit Dice(std::uint32_t seed) : random_(seed) {}
    int roll(int sides) { return std::uniform_int_distribution<int>(0, sides - 1)(random_); }
    bool one_in(int sides) { return roll(sides) == 0; }
    std::optional<int> maybe(int sides) {
        return roll(2) == 0 ? std::optional<int>() : std::optional(1 + roll(sides));
    }

private:
    std::mt19937 random_;
};

void spin_for(int loops) {
    std::atomic<int> sink{0};
    for (int i = 0; i < loops; ++i) {
        sink.store(i, std::memory_order_relaxed);
    }
}

struct Outcomes {
    int returned = 0;
    int raised = 0;
    int cancelled = 0;
    bool ended = false;  // by a timeout or a shutdown
};

/// Reads so many outcomes at most.
template <class Range>
Outcomes read(Range& range, int most, bool ordered) {
    Outcomes seen;
    int last = -1;
    for (int i = 0; i < most; ++i) {
        try {
            const auto value = range.next();
            if (!value) {
                break;
            }
            ++seen.returned;
            if (ordered) {
                BOOST_TEST_REQUIRE(value->value() > last);
                last = value->value();
            }
        } catch (const std::domain_error&) {
            ++seen.raised;
        } catch (const CancelledError&) {
            ++seen.cancelled;
        } catch (const TimeoutError&) {
            seen.ended = true;
        } catch (const ShutdownError&) {
            seen.ended = true;
        }
    }
    return seen;
}

/// One map on `executor`; another thread may shut that down meanwhile.
void one_round(Dice& dice, Executor& executor, ObjectCounts& counts) {
    const int size = dice.one_in(4) ? dice.roll(3000) : dice.roll(40);
    const bool ordered = dice.one_in(2);
    const int failing = 2 + dice.roll(20);
    const int slow = 1 + dice.roll(50);
    MapOptions options{.chunksize = dice.maybe(20), .buffersize = dice.maybe(60)};
    if (dice.one_in(6)) {
        options.timeout = std::chrono::microseconds(dice.roll(300));
    }
    const auto call = [&counts, failing, slow](int value) {
        if (value % slow == 0) {
            spin_for(200);
        }
        if (value % failing == 1) {
            throw std::domain_error("x");
        }
        return Observed(counts, value);
    };
    std::optional<std::jthread> shuts_down;
    const bool shut = dice.one_in(3);
    const bool cancel = dice.one_in(2);
    try {
        if (shut) {
            shuts_down.emplace([&executor, cancel, delay = dice.roll(20'000)] {
                spin_for(delay);
                executor.shutdown(true, cancel);
            });
        }
        const Naturals input(size);
        auto range = ordered ? executor.map(options, call, input)
                             : executor.map_unordered(options, call, input);
        const bool whole = dice.one_in(2);
        const Outcomes seen = read(range, whole ? size + 2 : dice.roll(size + 1), ordered);
        if (whole && !seen.ended) {
            BOOST_TEST_REQUIRE(seen.returned + seen.raised + seen.cancelled == size);
            BOOST_TEST_REQUIRE((seen.cancelled == 0 || shut));
        }
    } catch (const ShutdownError&) {
        BOOST_TEST_REQUIRE(shut);
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(stress_map)

BOOST_AUTO_TEST_CASE(every_item_has_one_outcome) {
    const int rounds = rounds_or(400);
    Dice dice(cofutures::test::seed());
    ObjectCounts counts;
    asio::thread_pool threads(3);
    for (int round = 0; round < rounds; ++round) {
        switch (dice.roll(3)) {
        case 0: {
            ThreadPoolExecutor pool(1 + dice.roll(4));
            one_round(dice, pool, counts);
            break;
        }
        case 1: {
            AsioExecutor executor(threads.get_executor());
            one_round(dice, executor, counts);
            break;
        }
        default: {
            AsioExecutor executor(asio::make_strand(threads));
            one_round(dice, executor, counts);
        }
        }
        BOOST_TEST_REQUIRE(counts.live() == 0);
    }
    threads.join();
}

BOOST_AUTO_TEST_CASE(many_maps_share_a_pool) {
    const int rounds = rounds_or(400) / 40 + 1;
    ThreadPoolExecutor pool(3);
    std::vector<std::jthread> readers;
    for (int reader = 0; reader < 4; ++reader) {
        readers.emplace_back([&pool, rounds, reader] {
            for (int round = 0; round < rounds; ++round) {
                MapOptions options;
                if (reader % 2 == 1) {
                    options.buffersize = 16;
                }
                long sum = 0;
                for (const int value : pool.map(
                         options, [](int n) { return n + 1; }, Naturals(5000)
                     )) {
                    sum += value;
                }
                if (sum != 5000L * 5001 / 2) {
                    std::abort();
                }
            }
        });
    }
}

BOOST_AUTO_TEST_SUITE_END()
