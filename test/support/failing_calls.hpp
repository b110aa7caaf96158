#pragma once

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cerrno>
#include <functional>
#include <new>

#include <dlfcn.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/// @file
/// A system that refuses: at one call, or from one on, of those that make threads, processes and
/// descriptors. Stands in the way of the system's functions, so a program has this header in one of
/// its sources only.

namespace cofutures::test {

/// The whole program's, and that of its forks.
struct Refusal {
    std::atomic<long> calls{0};       ///< made so far
    std::atomic<long> first{never};   ///< the first that is refused
    std::atomic<bool> lasts = false;  ///< and so are all after it
    std::atomic<bool> came = false;

    static constexpr long never = -1;

    static Refusal* make() {
        void* memory = ::mmap(
            nullptr, sizeof(Refusal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0
        );
        return memory == MAP_FAILED ? nullptr : new (memory) Refusal;
    }
};

inline Refusal* const refusal = Refusal::make();

/// Whether the system is to refuse the call that is being made.
inline bool is_refused() {
    if (refusal == nullptr || refusal->first == Refusal::never) {
        return false;
    }
    const long call = refusal->calls.fetch_add(1);
    const bool refused = refusal->lasts ? call >= refusal->first : call == refusal->first;
    if (refused) {
        refusal->came = true;
    }
    return refused;
}

inline void begin_to_refuse(long calls, bool lasts) {
    refusal->calls = 0;
    refusal->came = false;
    refusal->lasts = lasts;
    refusal->first = calls;
}

/// @returns Whether a call was refused.
inline bool end_to_refuse() {
    refusal->first = Refusal::never;
    return refusal->came;
}

/// Has `use` fail at the first call, at the second, and so on, until none is left to fail.
///
/// @param use  Is given what to begin_to_refuse() with; says whether a call was refused.
inline void at_every_call(const std::function<bool(long calls, bool lasts)>& use) {
    for (const bool lasts : {false, true}) {
        long count = 0;
        while (use(count, lasts)) {
            ++count;
            BOOST_REQUIRE(count < 1000);
        }
        BOOST_TEST(count > 0);
    }
}

template <class Function>
Function* next_function(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace cofutures::test

// What they return in place of a result, and how they say why, is what their manual pages say.
extern "C" {

int pthread_create(
    pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*), void* argument
) noexcept {
    static auto* const create =
        cofutures::test::next_function<decltype(pthread_create)>("pthread_create");
    return cofutures::test::is_refused() ? EAGAIN : create(thread, attributes, start, argument);
}

pid_t fork() noexcept {
    static auto* const next = cofutures::test::next_function<pid_t()>("fork");
    if (cofutures::test::is_refused()) {
        errno = EAGAIN;
        return -1;
    }
    return next();
}

int pipe2(int* ends, int flags) noexcept {
    static auto* const next = cofutures::test::next_function<int(int*, int)>("pipe2");
    if (cofutures::test::is_refused()) {
        errno = EMFILE;
        return -1;
    }
    return next(ends, flags);
}

int memfd_create(const char* name, unsigned flags) noexcept {
    static auto* const next =
        cofutures::test::next_function<int(const char*, unsigned)>("memfd_create");
    if (cofutures::test::is_refused()) {
        errno = ENFILE;
        return -1;
    }
    return next(name, flags);
}

int epoll_create1(int flags) noexcept {
    static auto* const next = cofutures::test::next_function<int(int)>("epoll_create1");
    if (cofutures::test::is_refused()) {
        errno = EMFILE;
        return -1;
    }
    return next(flags);
}

int eventfd(unsigned initial, int flags) noexcept {
    static auto* const next = cofutures::test::next_function<int(unsigned, int)>("eventfd");
    if (cofutures::test::is_refused()) {
        errno = EMFILE;
        return -1;
    }
    return next(initial, flags);
}
}
