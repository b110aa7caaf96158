#include "process/oom_watch.hpp"

#define BOOST_TEST_MODULE oom_watch
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

using cofutures::process::OomWatch;

namespace {

// A folder that looks like the system's, for process 1.
struct FakeSystem {
    FakeSystem() : root(std::filesystem::temp_directory_path() / unique_name()) {}
    FakeSystem(const FakeSystem&) = delete;
    FakeSystem& operator=(const FakeSystem&) = delete;
    ~FakeSystem() { std::filesystem::remove_all(root); }

    void write(const std::string& file, const std::string& text) const {
        const auto path = root / file;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }

    [[nodiscard]] OomWatch watch() const {
        return OomWatch((root / "proc").string(), (root / "groups").string());
    }

    std::filesystem::path root;

private:
    static std::string unique_name() { return "cofutures-oom-" + std::to_string(::getpid()); }
};

constexpr const char* one_tree = "0::/user/app\n";
constexpr const char* many_trees = "5:devices:/\n4:memory:/app\n0::/\n";

}  // namespace

BOOST_FIXTURE_TEST_SUITE(oom_watch, FakeSystem)

BOOST_AUTO_TEST_CASE(a_count_that_grew_explains_one_end) {
    write("proc/1/cgroup", one_tree);
    write("groups/user/app/memory.events", "low 0\noom 4\noom_kill 4\noom_group_kill 0\n");
    OomWatch oom = watch();
    const auto first = oom.begin(1);
    const auto second = oom.begin(1);
    BOOST_REQUIRE(first);
    BOOST_TEST(first->count == 4U);
    BOOST_TEST(!oom.explains(*first));
    write("groups/user/app/memory.events", "oom_kill 5\n");
    BOOST_TEST(oom.explains(*first));
    BOOST_TEST(!oom.explains(*second));  // one that somebody else killed
    write("groups/user/app/memory.events", "oom_kill 6\n");
    BOOST_TEST(oom.explains(*second));
}

BOOST_AUTO_TEST_CASE(systems_with_a_tree_for_each_controller_count_too) {
    write("proc/1/cgroup", many_trees);
    write("groups/memory/app/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
    OomWatch oom = watch();
    const auto mark = oom.begin(1);
    BOOST_REQUIRE(mark);
    write("groups/memory/app/memory.oom_control", "oom_kill 2");
    BOOST_TEST(oom.explains(*mark));
}

BOOST_AUTO_TEST_CASE(a_container_may_see_its_group_as_the_root) {
    write("proc/1/cgroup", many_trees);
    write("groups/memory/memory.oom_control", "oom_kill 0\n");
    BOOST_TEST(watch().begin(1).has_value());
    write("proc/1/cgroup", one_tree);
    write("groups/memory.events", "oom_kill 7\n");
    BOOST_TEST(watch().begin(1)->count == 7U);
}

BOOST_AUTO_TEST_CASE(where_nothing_counts_nothing_is_known) {
    BOOST_TEST(!watch().begin(1));
    write("proc/1/cgroup", one_tree);
    BOOST_TEST(!watch().begin(1));
    write("groups/user/app/memory.events", "oom 1\noom_kill many\n");
    BOOST_TEST(!watch().begin(1));
    write("groups/user/app/memory.events", "oom_kill 1\n");
    OomWatch oom = watch();
    const auto mark = oom.begin(1);
    BOOST_REQUIRE(mark);
    std::filesystem::remove_all(root / "groups");
    BOOST_TEST(!oom.explains(*mark));
}

BOOST_AUTO_TEST_SUITE_END()
