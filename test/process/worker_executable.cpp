#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE worker_executable
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "process/tasks.hpp"
#include "support/leak_check.hpp"

#include <filesystem>
#include <string>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int own_task(int value) {
    return value * 2;
}

std::string program_name() {
    return std::filesystem::read_symlink("/proc/self/exe").filename().string();
}

bool says(const std::exception& error, const std::string& words) {
    return std::string(error.what()).find(words) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(worker_executable)

BOOST_AUTO_TEST_CASE(this_very_program_may_be_named) {
    const std::string path = std::filesystem::read_symlink("/proc/self/exe").string();
    ProcessPoolExecutor pool({.max_workers = 1, .worker_executable = path});
    BOOST_TEST(pool.submit(own_task, 21).result(generous) == 42);
    BOOST_TEST(pool.submit(program_name).result(generous) == program_name());
}

BOOST_AUTO_TEST_CASE(another_program_runs_the_tasks_of_a_library_that_both_link) {
    ProcessPoolExecutor pool({.max_workers = 1, .worker_executable = COFUTURES_OTHER_PROGRAM});
    BOOST_TEST(library::submit_from_shared(pool, 4).result(generous) == 7);
    // Also a call of the same types as one that is in this program.
    BOOST_TEST(library::submit_function_from_shared(pool, 4).result(generous) == 5);
}

BOOST_AUTO_TEST_CASE(another_program_refuses_what_is_in_this_one_and_goes_on) {
    ProcessPoolExecutor pool({.max_workers = 1, .worker_executable = COFUTURES_OTHER_PROGRAM});
    auto own = pool.submit(own_task, 21);
    const auto error = error_of<UnknownTaskError>(own);
    BOOST_REQUIRE(error);
    BOOST_TEST(says(*error, "must be in a shared library"));
    error_of<UnknownTaskError>(pool.submit([] { return 1; }));
    error_of<UnknownTaskError>(pool.submit(library::shared_task, 1));  // submitted in this program
    BOOST_TEST(library::submit_from_shared(pool, 4).result(generous) == 7);
}

BOOST_AUTO_TEST_CASE(a_program_of_another_version_breaks_the_pool_and_is_told_apart) {
    ProcessPoolExecutor pool(
        {.max_workers = 1,
         .environment = {{"COFUTURES_TEST_LATER_VERSION", "1"}},
         .worker_executable = COFUTURES_OTHER_PROGRAM}
    );
    const auto error = error_of<BrokenProcessPool>(library::submit_from_shared(pool, 4));
    BOOST_REQUIRE(error);
    BOOST_TEST(says(*error, "another version of cofutures"));
    BOOST_TEST(says(*error, "99"));
}

BOOST_AUTO_TEST_CASE(a_program_that_is_ready_before_it_greets_breaks_the_pool) {
    ProcessPoolExecutor pool(
        {.max_workers = 1,
         .environment = {{"COFUTURES_TEST_NO_GREETING", "1"}},
         .worker_executable = COFUTURES_OTHER_PROGRAM}
    );
    const auto error = error_of<BrokenProcessPool>(library::submit_from_shared(pool, 4));
    BOOST_REQUIRE(error);
    BOOST_TEST(says(*error, "before it has said who it is"));
}

BOOST_AUTO_TEST_CASE(a_program_that_is_not_there_breaks_the_pool_and_is_named) {
    for (const std::string program : {"/no/such/program", "no-such-program"}) {
        ProcessPoolExecutor pool({.max_workers = 1, .worker_executable = program});
        const auto error = error_of<BrokenProcessPool>(pool.submit(own_task, 1));
        BOOST_REQUIRE(error);
        BOOST_TEST(says(*error, program));
    }
}

BOOST_AUTO_TEST_CASE(a_program_that_is_no_worker_breaks_the_pool) {
    ProcessPoolExecutor pool({.max_workers = 1, .worker_executable = "true"});
    const auto error = error_of<BrokenProcessPool>(pool.submit(own_task, 1));
    BOOST_REQUIRE(error);
    BOOST_TEST((error->worker().exit_code == 0));
}

BOOST_AUTO_TEST_SUITE_END()
