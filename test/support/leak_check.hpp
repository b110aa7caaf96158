#pragma once

#include "support/eventually.hpp"

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#ifdef __has_feature
#    if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#        define COFUTURES_SANITIZER_SYMBOLIZES
#        include <sanitizer/common_interface_defs.h>
#    endif
#endif

namespace cofutures::test {

/// What a process holds that outlives a test which forgets it.
struct Holdings {
    std::size_t threads = 0;
    std::size_t children = 0;
    std::size_t descriptors = 0;

    static Holdings now() {
        Holdings holdings;
        for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
            ++holdings.threads;
            std::ifstream list(task.path() / "children");
            holdings.children +=
                static_cast<std::size_t>(std::distance(std::istream_iterator<std::string>(list), {})
                );
        }
        // One entry is the descriptor that reads the directory, now as at every other time.
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
            static_cast<void>(entry);
            ++holdings.descriptors;
        }
        return holdings;
    }
};

/// Checks at the end of the program that no thread, child process or descriptor is left.
///
/// Use: `BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);` in the namespace that knows the name.
class LeakCheck {
public:
    void setup() {
        // A sanitizer may start a thread of its own together with the program's first.
        std::thread([] {}).join();
#ifdef COFUTURES_SANITIZER_SYMBOLIZES
        // It starts a process that names addresses when it first has something to say, if only to
        // itself, about what a suppression then hides; that process stays.
        char name[64];
        __sanitizer_symbolize_pc(__builtin_return_address(0), "%f", name, sizeof name);
#endif
        before_ = Holdings::now();
    }

    void teardown() {
        // A joined thread's entry in /proc may linger for an instant: ask until it is gone.
        Holdings after;
        const auto threads_have_gone = [&] {
            after = Holdings::now();
            return after.threads <= before_.threads;
        };
        BOOST_TEST(eventually(threads_have_gone), "a thread is left");
        BOOST_TEST(after.children <= before_.children, "a child process is left");
        BOOST_TEST(after.descriptors <= before_.descriptors, "a descriptor is left");
    }

private:
    Holdings before_;
};

}  // namespace cofutures::test
