#include "core/cpu.hpp"

#define BOOST_TEST_MODULE cpu
#include <boost/test/unit_test.hpp>

#include "support/leak_check.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
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

// A folder in which files stand for those of the kernel.
class FakeKernel {
public:
    FakeKernel() {
        std::string name = (std::filesystem::temp_directory_path() / "cofutures.XXXXXX").string();
        folder_ = mkdtemp(name.data());
    }
    FakeKernel(const FakeKernel&) = delete;
    FakeKernel& operator=(const FakeKernel&) = delete;
    ~FakeKernel() { std::filesystem::remove_all(folder_); }

    void write(const std::string& path, const std::string& text) const {
        std::filesystem::create_directories((folder_ / path).parent_path());
        std::ofstream(folder_ / path) << text;
    }
    [[nodiscard]] double quota() const {
        return cpus_by_quota((folder_ / "cgroup").string(), (folder_ / "fs").string());
    }

private:
    std::filesystem::path folder_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(cpu)

BOOST_AUTO_TEST_CASE(without_groups_there_is_no_quota) {
    const FakeKernel kernel;
    BOOST_TEST(std::isinf(kernel.quota()));
    kernel.write("cgroup", "0::/\n");
    kernel.write("fs/cpu.max", "max 100000\n");
    BOOST_TEST(std::isinf(kernel.quota()));
}

BOOST_AUTO_TEST_CASE(version_2_takes_the_tightest_quota_up_to_the_root) {
    const FakeKernel kernel;
    kernel.write("cgroup", "0::/outer/inner\n");
    kernel.write("fs/outer/inner/cpu.max", "400000 100000\n");
    BOOST_TEST(kernel.quota() == 4.0);
    kernel.write("fs/outer/cpu.max", "150000 100000\n");
    BOOST_TEST(kernel.quota() == 1.5);
    kernel.write("fs/cpu.max", "50000 100000\n");
    BOOST_TEST(kernel.quota() == 0.5);
}

BOOST_AUTO_TEST_CASE(version_1_has_a_controller_of_its_own) {
    const FakeKernel kernel;
    kernel.write("cgroup", "4:memory:/other\n3:cpu,cpuacct:/group\n");
    kernel.write("fs/cpu/group/cpu.cfs_quota_us", "-1\n");
    kernel.write("fs/cpu/group/cpu.cfs_period_us", "100000\n");
    BOOST_TEST(std::isinf(kernel.quota()));
    kernel.write("fs/cpu/group/cpu.cfs_quota_us", "250000\n");
    BOOST_TEST(kernel.quota() == 2.5);
}

BOOST_AUTO_TEST_CASE(in_a_container_the_group_is_where_its_hierarchy_begins) {
    const FakeKernel kernel;
    kernel.write("cgroup", "3:cpu,cpuacct:/docker/4711\n");
    kernel.write("fs/cpu/cpu.cfs_quota_us", "200000\n");
    kernel.write("fs/cpu/cpu.cfs_period_us", "100000\n");
    BOOST_TEST(kernel.quota() == 2.0);
}

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
