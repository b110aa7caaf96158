#pragma once

#include "support/sanitizer.hpp"

#include <exception>
#include <string>

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cofutures::test {

/// Whether a child may allocate although another thread did while it was forked. The address
/// sanitizer of g++ 12, unlike glibc and the thread sanitizer, does not hold its allocator's locks
/// over fork(): one that is locked then stays so in the child.
inline constexpr bool allocator_survives_forks = !address_sanitizer;

/// A forked process that calls something, and ends.
class ForkedChild {
public:
    template <class Check>
    explicit ForkedChild(Check check) : pid_(::fork()) {
        if (pid_ == 0) {
            ::alarm(30);
            bool good = false;
            try {
                good = check();
            } catch (...) {
                good = false;
            }
            ::_exit(good ? 0 : 1);
        }
    }

    /// Waits for its end. Whether the call returned true, in time and without a crash. Once.
    [[nodiscard]] bool holds() const {
        int status = -1;
        return ::waitpid(pid_, &status, 0) == pid_ && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }

private:
    pid_t pid_;
};

/// Calls something in a forked child; says whether it returned true, in time and without a crash.
template <class Check>
bool holds_in_child(Check check) {
    return ForkedChild(check).holds();
}

/// In a forked child: whether the call is refused with an `E` that says why.
template <class E, class Call>
bool is_refused(Call call) {
    try {
        call();
    } catch (const E& error) {
        return std::string(error.what()).find("forked child") != std::string::npos;
    }
    return false;
}

}  // namespace cofutures::test
