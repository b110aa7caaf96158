#include "core/cpu.hpp"

#define BOOST_TEST_MODULE cpu
#include <boost/test/unit_test.hpp>

#include "support/leak_check.hpp"

#include <algorithm>
#include <thread>

#include <sched.h>

using namespace cofutures::detail;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// How many processors a new thread finds that may run on the first `count` of its creator's.
unsigned usable_with(int count) {
    unsigned found = 0;
    std::thread([count, &found] {
        cpu_set_t all;
        sched_getaffinity(0, sizeof(all), &all);
        cpu_set_t some;
        CPU_ZERO(&some);
        for (int cpu = 0, taken = 0; cpu < CPU_SETSIZE && taken < count; ++cpu) {
            if (CPU_ISSET(cpu, &all)) {
                CPU_SET(cpu, &some);
                ++taken;
            }
        }
        sched_setaffinity(0, sizeof(some), &some);
        found = usable_cpus();
    }).join();
    return found;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cpu)

BOOST_AUTO_TEST_CASE(there_is_at_least_one_processor_and_no_more_than_the_machine_has) {
    BOOST_TEST(usable_cpus() >= 1u);
    BOOST_TEST(usable_cpus() <= std::max(1U, std::thread::hardware_concurrency()));
}

BOOST_AUTO_TEST_CASE(the_affinity_mask_is_respected) {
    const unsigned all = usable_cpus();
    BOOST_TEST(usable_with(1) == 1u);
    BOOST_TEST(usable_with(static_cast<int>(all)) == all);
}

BOOST_AUTO_TEST_CASE(relaxing_returns) {
    for (int i = 0; i < 1000; ++i) {
        cpu_relax();
    }
}

BOOST_AUTO_TEST_SUITE_END()
