#include <cofutures/detail/isolated_call.hpp>

#define BOOST_TEST_MODULE isolated_call
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

// Compiled with all optimisations, whatever else is compiled how.

using cofutures::detail::call_and_tell_if_isolated;

namespace {

// What the compiler cannot know.
volatile int five = 5;

std::atomic<int> flag = 5;
std::mutex mutex;
std::condition_variable condition;
int shared = 5;

[[gnu::noinline]] int reads_out_of_line() {
    return flag.load(std::memory_order_relaxed);
}

[[gnu::noinline]] int computes_out_of_line(int value) {
    return value * 17 + 3;
}

[[noreturn, gnu::noinline]] void fail_when_told() {
    flag.wait(4);
    throw 1;
}

void nothing() {}
void (*volatile unknown)() = nothing;

/// Whether a call with an argument that only the run gives is isolated.
template <class Fn>
[[gnu::noinline]] bool is_isolated(Fn fn) {
    const int argument = five;
    int result = 0;
    const bool isolated = call_and_tell_if_isolated([&]() noexcept {
        try {
            result = fn(argument);
        } catch (...) {
            result = -1;
        }
    });
    BOOST_TEST(result != 0);
    return isolated;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(test_isolated_call)

BOOST_AUTO_TEST_CASE(who_may_wait_for_others_is_not_isolated) {
    BOOST_TEST(!is_isolated([](int value) {
        const std::lock_guard lock(mutex);
        return value;
    }));
    BOOST_TEST(!is_isolated([](int value) {
        std::unique_lock lock(mutex);
        condition.wait(lock, [] { return shared == 5; });
        return value;
    }));
    BOOST_TEST(!is_isolated([](int value) {
        while (flag.load(std::memory_order_acquire) != 5) {
        }
        return value;
    }));
    BOOST_TEST(!is_isolated([](int value) {
        while (flag.load(std::memory_order_relaxed) != 5) {
        }
        return value;
    }));
    BOOST_TEST(!is_isolated([](int) { return flag.load(std::memory_order_relaxed); }));
    BOOST_TEST(!is_isolated([](int) { return reads_out_of_line(); }));
    BOOST_TEST(!is_isolated([](int value) {
        flag.wait(4);
        return value;
    }));
    BOOST_TEST(!is_isolated([](int value) {
        unknown();
        return value;
    }));
    const std::function<int(int)> hidden = [](int value) {
        std::this_thread::yield();
        return value;
    };
    BOOST_TEST(!is_isolated([&](int value) { return hidden(value); }));
}

BOOST_AUTO_TEST_CASE(who_may_tell_others_is_not_isolated) {
    BOOST_TEST(!is_isolated([](int value) {
        flag.store(5, std::memory_order_relaxed);
        return value;
    }));
    BOOST_TEST(!is_isolated([](int value) { return flag.fetch_add(0) + value; }));
    BOOST_TEST(!is_isolated([](int value) {
        shared = value;
        std::atomic_thread_fence(std::memory_order_release);
        return value;
    }));
}

// The call that was made may have gone another way: all others need not.
BOOST_AUTO_TEST_CASE(who_waits_on_one_path_only_is_not_isolated) {
    BOOST_TEST(!is_isolated([](int value) {
        if (value == 77) {
            unknown();
        }
        return value;
    }));
    BOOST_TEST(!is_isolated([](int value) {
        return value == 77 ? flag.load(std::memory_order_relaxed) : value;
    }));
    BOOST_TEST(!is_isolated([](int value) {
        if (value % 1000 == 999) {
            const std::lock_guard lock(mutex);
            return shared;
        }
        return value;
    }));
    BOOST_TEST(!is_isolated([](int value) {
        for (int i = 0; i < value - 5; ++i) {
            unknown();
        }
        return value;
    }));
    const bool waits = five == 6;
    BOOST_TEST(!is_isolated([&](int value) {
        if (waits) {
            unknown();
        }
        return value;
    }));
    BOOST_TEST(!is_isolated([](int value) {
        switch (value) {
        case 1:
            return 7;
        case 2:
            return computes_out_of_line(value);
        case 3:
            unknown();
            return 8;
        default:
            return value;
        }
    }));
}

// A path that ends in an exception is one of them.
BOOST_AUTO_TEST_CASE(who_may_throw_is_not_isolated) {
    BOOST_TEST(!is_isolated([](int value) {
        if (value == 77) {
            throw value;
        }
        return value;
    }));
    BOOST_TEST(!is_isolated([](int value) {
        if (value == 77) {
            const std::lock_guard lock(mutex);
            throw value;
        }
        return value;
    }));
    BOOST_TEST(!is_isolated([](int value) {
        if (value == 77) {
            fail_when_told();
        }
        return value;
    }));
    BOOST_TEST(!is_isolated([](int value) { return value == 5 ? throw value : value; }));
}

#ifdef COFUTURES_TEST_ISOLATED_CALLS

BOOST_AUTO_TEST_CASE(who_only_computes_is_isolated) {
    BOOST_TEST(is_isolated([](int value) { return value + 1; }));
    BOOST_TEST(is_isolated([](int value) { return computes_out_of_line(value); }));
    BOOST_TEST(is_isolated([](int value) { return static_cast<int>(std::sqrt(value)); }));
    BOOST_TEST(is_isolated([](int value) {
        std::uint64_t sum = 1;
        for (int i = 0; i < 1000 * value; ++i) {
            sum = sum * 6364136223846793005U + 1;
        }
        return static_cast<int>(sum | 1);
    }));
    double squares[8] = {};
    BOOST_TEST(is_isolated([&](int value) {
        squares[value] = value * value;
        return value;
    }));
    BOOST_TEST(squares[5] == 25);
}

#endif

BOOST_AUTO_TEST_SUITE_END()
