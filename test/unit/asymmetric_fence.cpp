#include <cofutures/detail/asymmetric_fence.hpp>

#define BOOST_TEST_MODULE asymmetric_fence
#include <boost/test/unit_test.hpp>

#include "support/crew.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

using cofutures::detail::AsymmetricFence;
using cofutures::test::Crew;

BOOST_AUTO_TEST_SUITE(asymmetric_fence)

// Without the fences there are rounds in an optimised program in which neither sees the other, as
// stores wait in the processors.
BOOST_AUTO_TEST_CASE(one_of_two_sides_sees_the_other) {
    struct Round {
        alignas(64) std::atomic<bool> light_stored{false};
        alignas(64) std::atomic<bool> heavy_stored{false};
        bool light_saw = false;
        bool heavy_saw = false;
    };
    std::vector<Round> rounds(5'000);
    const AsymmetricFence fence;
    std::atomic<std::size_t> arrived{0};
    Crew crew(2);
    crew.play([&](std::size_t index) {
        std::size_t everybody = 0;
        for (Round& round : rounds) {
            everybody += 2;
            ++arrived;
            for (int looks = 0; arrived < everybody; ++looks) {
                if (looks > 10'000) {
                    std::this_thread::yield();
                }
            }
            if (index == 0) {
                round.light_stored.store(true, std::memory_order_relaxed);
                fence.light();
                round.light_saw = round.heavy_stored.load(std::memory_order_relaxed);
            } else {
                round.heavy_stored.store(true, std::memory_order_relaxed);
                fence.heavy();
                round.heavy_saw = round.light_stored.load(std::memory_order_relaxed);
            }
        }
    });
    const auto blind = std::count_if(rounds.begin(), rounds.end(), [](const Round& round) {
        return !round.light_saw && !round.heavy_saw;
    });
    BOOST_TEST(blind == 0);
}

BOOST_AUTO_TEST_SUITE_END()
