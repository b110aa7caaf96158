#pragma once

#include "support/leak_check.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/system_context.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>

namespace cofutures::test {

/// As LeakCheck, for tests whose handlers have no executor: those start Asio's own threads, and
/// timers there its descriptors, which would stay until the program ends.
struct LeakCheckWithoutSystemThreads : LeakCheck {
    void setup() {
        const boost::asio::steady_timer opens_descriptors{boost::asio::system_executor()};
        LeakCheck::setup();
    }
    void teardown() {
        auto& threads =
            boost::asio::query(boost::asio::system_executor(), boost::asio::execution::context);
        threads.stop();
        threads.join();
        LeakCheck::teardown();
    }
};

inline std::exception_ptr an_error() {
    return std::make_exception_ptr(std::runtime_error("failed"));
}

/// Whether an exception is of a type.
template <class E>
bool holds(const std::exception_ptr& error) {
    try {
        if (error) {
            std::rethrow_exception(error);
        }
    } catch (const E&) {
        return true;
    } catch (...) {
        return false;
    }
    return false;
}

/// Whether an operation ended as it was cancelled.
inline bool is_aborted(const std::exception_ptr& error) {
    try {
        if (error) {
            std::rethrow_exception(error);
        }
    } catch (const boost::system::system_error& aborted) {
        return aborted.code() == boost::asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
    return false;
}

/// Runs a coroutine to its end on a context; what it throws comes out.
template <class Coroutine>
void run(boost::asio::io_context& context, Coroutine coroutine) {
    auto end = boost::asio::co_spawn(context, std::move(coroutine), boost::asio::use_future);
    context.run();
    end.get();
}
template <class Coroutine>
void run(Coroutine coroutine) {
    boost::asio::io_context context;
    run(context, std::move(coroutine));
}

struct NoDefault {
    explicit NoDefault(int v) : value(v) {}
    int value;
};

/// Counts the allocations that are live, and all there were.
struct AllocationCounts {
    int live = 0;
    int all = 0;
};

template <class T>
class CountingAllocator {
public:
    using value_type = T;

    explicit CountingAllocator(AllocationCounts& counts) : counts_(&counts) {}
    template <class U>
    CountingAllocator(const CountingAllocator<U>& other) : counts_(other.counts_) {}

    T* allocate(std::size_t n) {
        ++counts_->live;
        ++counts_->all;
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) {
        --counts_->live;
        std::allocator<T>().deallocate(p, n);
    }
    friend bool operator==(const CountingAllocator& a, const CountingAllocator& b) {
        return a.counts_ == b.counts_;
    }

    AllocationCounts* counts_;
};

}  // namespace cofutures::test
