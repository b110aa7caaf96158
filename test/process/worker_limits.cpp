#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE worker_limits
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"
#include "support/sanitizer.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/resource.h>

using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

std::size_t allocate(std::size_t bytes) {
    const std::vector<char> memory(bytes, 'x');
    return memory.size();
}

void compute() {
    for (volatile bool forever = true; forever;) {
    }
}

/// How many files it could open, and why not more.
std::pair<int, int> open_files() {
    std::vector<int> files;
    for (;;) {
        const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (file < 0) {
            break;
        }
        files.push_back(file);
    }
    const int error = errno;
    for (const int file : files) {
        ::close(file);
    }
    return {static_cast<int>(files.size()), error};
}

std::vector<int> usable_cpus() {
    cpu_set_t set;
    ::sched_getaffinity(0, sizeof(set), &set);
    std::vector<int> cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set)) {
            cpus.push_back(cpu);
        }
    }
    return cpus;
}

int nice_level() {
    return ::getpriority(PRIO_PROCESS, 0);
}

std::string variable(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? "(none)" : value;
}

std::string directory() {
    return std::filesystem::current_path().string();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(worker_limits)

BOOST_AUTO_TEST_CASE(
    a_task_that_wants_more_memory_than_allowed_gets_bad_alloc,
    *boost::unit_test::enable_if<!sanitized>()
) {
    ProcessPoolExecutor pool({.max_workers = 1, .limits = {.address_space = 1U << 30}});
    auto much = pool.submit(allocate, std::size_t{2} << 30);
    error_of<std::bad_alloc>(much);
    BOOST_TEST(pool.submit(allocate, 1000).result(generous) == 1000U);
}

BOOST_AUTO_TEST_CASE(a_task_that_computes_too_long_ends_its_worker_and_the_error_says_why) {
    ProcessPoolExecutor pool({.max_workers = 1, .limits = {.cpu_time = 1s}});
    const auto error = error_of<BrokenProcessPool>(pool.submit(compute));
    BOOST_REQUIRE(error);
    BOOST_TEST((error->worker().signal == SIGXCPU));
    BOOST_TEST(std::string(error->what()).find(::strsignal(SIGXCPU)) != std::string::npos);
    BOOST_TEST(!error->worker().oom_killed);
}

BOOST_AUTO_TEST_CASE(
    a_task_runs_out_of_descriptors_and_the_worker_goes_on,
    *boost::unit_test::enable_if<!sanitized>()
) {
    ProcessPoolExecutor pool({.max_workers = 1, .limits = {.open_files = 20}});
    for (int i = 0; i < 2; ++i) {
        const auto [count, error] = pool.submit(open_files).result(generous);
        BOOST_TEST(error == EMFILE);
        BOOST_TEST(count > 10);
        BOOST_TEST(count < 20);
    }
}

BOOST_AUTO_TEST_CASE(a_worker_is_as_nice_and_where_it_was_told_to_be) {
    const int cpu = usable_cpus().back();
    ProcessPoolExecutor pool({.max_workers = 1, .limits = {.nice = 2, .cpus = {cpu}}});
    BOOST_TEST(pool.submit(nice_level).result(generous) == std::min(nice_level() + 2, 19));
    const std::vector<int> cpus = pool.submit(usable_cpus).result(generous);
    BOOST_TEST(cpus == std::vector<int>{cpu}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(limits_hold_behind_a_launcher) {
    ProcessPoolExecutor pool({.max_workers = 1, .limits = {.nice = 2}, .launcher = {"env"}});
    BOOST_TEST(pool.submit(nice_level).result(generous) == std::min(nice_level() + 2, 19));
}

BOOST_AUTO_TEST_CASE(a_limit_that_the_system_refuses_breaks_the_pool_and_is_named) {
    ProcessPoolExecutor pool({.max_workers = 1, .limits = {.cpus = {60'000}}});
    const auto error = error_of<BrokenProcessPool>(pool.submit(nice_level));
    BOOST_REQUIRE(error);
    BOOST_TEST(std::string(error->what()).find("processors") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_worker_sees_the_environment_and_the_directory) {
    ProcessPoolExecutor pool(
        {.max_workers = 1,
         .environment = {{"COFUTURES_TEST_A", "a=b c"}, {"PATH", "/nowhere"}},
         .working_directory = "/usr"}
    );
    BOOST_TEST(pool.submit(variable, "COFUTURES_TEST_A").result(generous) == "a=b c");
    BOOST_TEST(pool.submit(variable, "PATH").result(generous) == "/nowhere");
    BOOST_TEST(pool.submit(variable, "COFUTURES_WORKER").result(generous) == "(none)");
    BOOST_TEST(pool.submit(directory).result(generous) == "/usr");
}

BOOST_AUTO_TEST_CASE(a_directory_that_is_not_there_breaks_the_pool_and_is_named) {
    ProcessPoolExecutor pool({.max_workers = 1, .working_directory = "/no/such/directory"});
    const auto error = error_of<BrokenProcessPool>(pool.submit(directory));
    BOOST_REQUIRE(error);
    BOOST_TEST(std::string(error->what()).find("\"/no/such/directory\"") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(options_without_sense_are_refused_by_the_constructor) {
    const auto refused = [](ProcessPoolOptions options) {
        BOOST_CHECK_THROW(ProcessPoolExecutor{std::move(options)}, std::invalid_argument);
    };
    refused({.limits = {.address_space = 0}});
    refused({.limits = {.cpu_time = 0s}});
    refused({.limits = {.open_files = 0}});
    refused({.limits = {.cpus = {-1}}});
    refused({.environment = {{"", "x"}}});
    refused({.environment = {{"A=B", "x"}}});
    refused({.working_directory = std::string("/\0", 2)});
    refused({.launcher = {std::string("\0", 1)}});
}

BOOST_AUTO_TEST_SUITE_END()
