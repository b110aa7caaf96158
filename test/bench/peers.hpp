#pragma once

// Each peer that was found at configure time is in a macro COFUTURES_BENCH_<PEER>, from
// CMakeLists.txt.

#include "bench/harness.hpp"

#include <cofutures/thread_pool_executor.hpp>

#include <boost/asio/packaged_task.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#ifdef COFUTURES_BENCH_BOOST_THREAD
#    include <boost/thread/executors/basic_thread_pool.hpp>
#    include <boost/thread/future.hpp>
#endif
#ifdef COFUTURES_BENCH_TBB
#    include <oneapi/tbb/global_control.h>
#    include <oneapi/tbb/task_arena.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

/// @file
/// The peers in one shape, so that each figure is written once. To put another thread pool beside
/// them: a class like these, its name in AllPools (and in PostingPools if it has `post`), and in
/// CMakeLists.txt what finds it. To put another Python beside them: a function in peers.py.
///
///     static constexpr const char* name;
///     explicit Pool(int threads);
///     auto submit(fn);  // a future: result() or get()
///     void post(fn);    // without a future; what has none leaves it out
///
/// The destructor need not wait: whoever measures reads all futures, or counts.

namespace bench {

/// How many threads each pool gets: one for each processor, and two where there is one.
inline int workers() {
    return std::max(2, static_cast<int>(std::thread::hardware_concurrency()));
}

/// A future's value, whoever's future it is.
template <class Future>
decltype(auto) read(Future& future) {
    if constexpr (requires { future.result(); }) {
        return future.result();
    } else {
        return future.get();
    }
}

/// Counts tasks that tell nobody else when they have ended.
class Countdown {
public:
    explicit Countdown(std::size_t count) : left_(count) {}
    void count() noexcept {
        if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            done_.store(true, std::memory_order_release);
            done_.notify_one();
        }
    }
    void wait() const noexcept { done_.wait(false, std::memory_order_acquire); }

private:
    alignas(64) std::atomic<std::size_t> left_;
    alignas(64) std::atomic<bool> done_{false};
};

class Cofutures {
public:
    static constexpr const char* name = "cofutures";
    explicit Cofutures(int threads) : pool_(threads) {}
    template <class Fn>
    auto submit(Fn fn) {
        return pool_.submit(std::move(fn));
    }
    template <class Fn>
    void post(Fn fn) {
        pool_.submit(std::move(fn));
    }

private:
    cofutures::ThreadPoolExecutor pool_;
};

class AsioPost {
public:
    static constexpr const char* name = "asio::post";
    explicit AsioPost(int threads) : pool_(static_cast<std::size_t>(threads)) {}
    template <class Fn>
    void post(Fn fn) {
        boost::asio::post(pool_, std::move(fn));
    }

private:
    boost::asio::thread_pool pool_;
};

class AsioUseFuture {
public:
    static constexpr const char* name = "asio::post(use_future)";
    explicit AsioUseFuture(int threads) : pool_(static_cast<std::size_t>(threads)) {}
    template <class Fn>
    auto submit(Fn fn) {
        return boost::asio::post(pool_, boost::asio::use_future(std::move(fn)));
    }

private:
    boost::asio::thread_pool pool_;
};

class AsioPackagedTask {
public:
    static constexpr const char* name = "asio::post(std::packaged_task)";
    explicit AsioPackagedTask(int threads) : pool_(static_cast<std::size_t>(threads)) {}
    template <class Fn>
    auto submit(Fn fn) {
        return boost::asio::post(
            pool_, std::packaged_task<std::invoke_result_t<Fn&>()>(std::move(fn))
        );
    }

private:
    boost::asio::thread_pool pool_;
};

class StdAsync {
public:
    static constexpr const char* name = "std::async";
    explicit StdAsync(int) {}
    template <class Fn>
    auto submit(Fn fn) {
        return std::async(std::launch::async, std::move(fn));
    }
};

#ifdef COFUTURES_BENCH_BOOST_THREAD
class BoostThread {
public:
    static constexpr const char* name = "boost::async(basic_thread_pool)";
    explicit BoostThread(int threads) : pool_(static_cast<unsigned>(threads)) {}
    template <class Fn>
    auto submit(Fn fn) {
        return boost::async(pool_, std::move(fn));
    }
    template <class Fn>
    void post(Fn fn) {
        pool_.submit(std::move(fn));
    }

private:
    boost::executors::basic_thread_pool pool_;
};
#endif

#ifdef COFUTURES_BENCH_TBB
class TbbEnqueue {
public:
    static constexpr const char* name = "tbb::task_arena::enqueue";
    // The thread that measures counts as one of the limit, and is no worker here.
    explicit TbbEnqueue(int threads)
        : limit_(
              oneapi::tbb::global_control::max_allowed_parallelism,
              static_cast<std::size_t>(threads) + 1
          ),
          arena_(threads, 0) {}
    template <class Fn>
    auto submit(Fn fn) {
        using Result = std::invoke_result_t<Fn&>;
        // What is enqueued is copied, and a promise cannot be.
        auto promise = std::make_shared<std::promise<Result>>();
        auto future = promise->get_future();
        arena_.enqueue([promise = std::move(promise), fn = std::move(fn)] {
            if constexpr (std::is_void_v<Result>) {
                fn();
                promise->set_value();
            } else {
                promise->set_value(fn());
            }
        });
        return future;
    }
    template <class Fn>
    void post(Fn fn) {
        arena_.enqueue(std::move(fn));
    }

private:
    oneapi::tbb::global_control limit_;
    oneapi::tbb::task_arena arena_;
};
#endif

template <class... Pools>
struct PoolList {
    /// Appends to `contenders` what `make.template operator()<Pool>()` gives for each pool.
    template <class Make>
    static void append(std::vector<Contender>& contenders, Make make) {
        (contenders.push_back(make.template operator()<Pools>()), ...);
    }
};

/// Those that take a call and give nothing back; the first is what the others are compared to.
using PostingPools = PoolList<
    AsioPost
#ifdef COFUTURES_BENCH_BOOST_THREAD
    ,
    BoostThread
#endif
#ifdef COFUTURES_BENCH_TBB
    ,
    TbbEnqueue
#endif
    ,
    Cofutures>;

/// Those that keep threads and give futures; the first is what the others are compared to.
using FuturePools = PoolList<
    AsioUseFuture,
    AsioPackagedTask
#ifdef COFUTURES_BENCH_BOOST_THREAD
    ,
    BoostThread
#endif
#ifdef COFUTURES_BENCH_TBB
    ,
    TbbEnqueue
#endif
    ,
    Cofutures>;

/// Appends the figure that peers.py measures, if there is a Python that can: what it prints is what
/// a round gives.
void append_python(
    std::vector<Contender>& contenders,
    const std::string& name,
    const std::string& figure,
    std::size_t operations,
    int workers
);

}  // namespace bench
