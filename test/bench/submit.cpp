// What a call with a future costs on two threads, beside a handler that is posted to
// asio::thread_pool and gives nothing back.

#include "bench/harness.hpp"

#include <cofutures/thread_pool_executor.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <cstddef>
#include <vector>

namespace {

namespace asio = boost::asio;

constexpr int threads = 2;

double post_all(std::size_t count) {
    asio::thread_pool pool(threads);
    return bench::time_per_operation(count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            asio::post(pool, [] {});
        }
        pool.join();
    });
}

double submit_and_drop(std::size_t count) {
    cofutures::ThreadPoolExecutor pool(threads);
    return bench::time_per_operation(count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            pool.submit([] {});
        }
        pool.shutdown();
    });
}

double submit_and_read(std::size_t count) {
    cofutures::ThreadPoolExecutor pool(threads);
    return bench::time_per_operation(count, [&] {
        std::vector<cofutures::Future<void>> futures;
        futures.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            futures.push_back(pool.submit([] {}));
        }
        for (const auto& future : futures) {
            future.result();
        }
        futures.clear();
        pool.shutdown();
    });
}

double post_and_wait(asio::thread_pool& pool, std::size_t count) {
    return bench::time_per_operation(count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            asio::post(pool, asio::use_future([] { return 1; })).get();
        }
    });
}

double submit_and_wait(cofutures::ThreadPoolExecutor& pool, std::size_t count) {
    return bench::time_per_operation(count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            pool.submit([] { return 1; }).result();
        }
    });
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run(argc, argv, [](const bench::Options& options, bench::Report& report) {
        const std::size_t many = options.operations(200'000);
        report.compare(
            "an empty call on two threads, from the first submit until all are done",
            6,
            {
                {"asio::post, no result",
                 [&] {
                     return post_all(many);
                 }},
                {"submit, futures dropped",
                 [&] {
                     return submit_and_drop(many);
                 }},
                {"submit, futures kept and results read",
                 [&] {
                     return submit_and_read(many);
                 }},
            }
        );

        const std::size_t some = options.operations(10'000);
        asio::thread_pool asio_pool(threads);
        cofutures::ThreadPoolExecutor pool(threads);
        report.compare(
            "round trip of one call at a time",
            4,
            {
                {"asio::post(use_future).get()",
                 [&] {
                     return post_and_wait(asio_pool, some);
                 }},
                {"submit().result()",
                 [&] {
                     return submit_and_wait(pool, some);
                 }},
            }
        );
    });
}
