// What the hot paths cost in instructions, which no other program on the machine changes: run by
// check_instructions.cmake under callgrind, compared with instructions.txt. Each path writes its
// count under the name `<path>/<operations>`.

#include <cofutures/as_completed.hpp>
#include <cofutures/asio_executor.hpp>
#include <cofutures/codec.hpp>
#include <cofutures/promise.hpp>
#include <cofutures/thread_pool_executor.hpp>
#include <cofutures/wait.hpp>

#include <boost/asio/io_context.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <future>
#include <string>
#include <vector>

#include <valgrind/callgrind.h>

namespace {

using namespace cofutures;

/// What `work` costs, called once before to have everything in its place.
template <class Work>
void count(const char* name, std::size_t operations, Work work) {
    work();
    const std::string label = std::string(name) + "/" + std::to_string(operations);
    CALLGRIND_ZERO_STATS;
    work();
    CALLGRIND_DUMP_STATS_AT(label.c_str());
}

constexpr std::size_t many = 5'000;

/// A pool whose one thread is held until all calls are in its queue, so that nobody searches for
/// work meanwhile: how long that takes would depend on the scheduler.
class HeldPool {
public:
    HeldPool() {
        std::promise<void> begun;
        pool_.submit([&] {
            begun.set_value();
            open_.get_future().wait();
        });
        begun.get_future().wait();
    }

    ThreadPoolExecutor* operator->() noexcept { return &pool_; }

    /// Has all run that it was given.
    void finish() {
        open_.set_value();
        pool_.shutdown();
    }

private:
    std::promise<void> open_;
    ThreadPoolExecutor pool_{1};
};

std::vector<Future<int>> submit_and_run() {
    HeldPool pool;
    std::vector<Future<int>> futures;
    futures.reserve(many);
    for (std::size_t i = 0; i < many; ++i) {
        futures.push_back(pool->submit([] { return 1; }));
    }
    pool.finish();
    return futures;
}

/// A map of items that cost next to nothing, taken so many at a time, and with a timeout, for which
/// each is ended by itself: else a clock would say how many. A clock has its part in how they are
/// added, too: that is done when it is made. There are so many that whoever waits for the pool's
/// end has ceased to look before it, and sleeps.
class HeldMap {
public:
    static constexpr std::size_t size = 20 * many;

    void run_and_read() {
        pool_.finish();
        for (const int result : results_) {
            if (result != 2) {
                std::puts("a wrong result");
            }
        }
    }

private:
    const std::vector<int> items_ = std::vector<int>(size, 1);
    HeldPool pool_;
    MapRange<int> results_ = pool_->map(
        {.timeout = std::chrono::hours(1), .chunksize = 250},
        [](int item) { return item + 1; },
        items_
    );
};

void round_trips_on_one_thread() {
    boost::asio::io_context io(1);
    AsioExecutor executor(io.get_executor());
    for (std::size_t i = 0; i < many; ++i) {
        const auto future = executor.submit([] { return 1; });
        io.restart();
        io.run();
        if (future.result() != 1) {
            std::puts("a wrong result");
        }
    }
}

void chains() {
    for (std::size_t i = 0; i < many; ++i) {
        Promise<int> promise;
        const auto next = promise.get_future().then([](int value) { return value + 1; });
        promise.set_result(1);
        if (next.result() != 2) {
            std::puts("a wrong result");
        }
    }
}

struct Item {
    int number;
    double value;
    std::string name;
    std::vector<std::uint16_t> parts;
};

const Item item{1, 2.0, "a name that is no small string", {1, 2, 3, 4, 5, 6, 7, 8}};

std::vector<std::byte> bytes;

// Out of sight: g++ 12 would follow the empty vector into its growth and warn of what cannot
// happen.
[[gnu::noinline]] void forget_bytes() {
    bytes.clear();
}

void encode_items() {
    forget_bytes();
    Encoder encoder(bytes);
    for (std::size_t i = 0; i < many; ++i) {
        encode(encoder, item);
    }
}

void decode_items() {
    Decoder decoder(bytes);
    for (std::size_t i = 0; i < many; ++i) {
        if (decode<Item>(decoder).parts.size() != item.parts.size()) {
            std::puts("a wrong result");
        }
    }
}

}  // namespace

int main() {
    count("submit_and_run", many, [] { submit_and_run(); });
    count("round_trip_on_one_thread", many, [] { round_trips_on_one_thread(); });
    count("then", many, [] { chains(); });

    const auto futures = submit_and_run();
    count("result", many, [&] {
        for (const auto& future : futures) {
            if (future.result() != 1) {
                std::puts("a wrong result");
            }
        }
    });
    count("as_completed", many, [&] {
        for (const auto& future : as_completed(futures)) {
            static_cast<void>(future.done());
        }
    });
    count("wait", many, [&] { static_cast<void>(wait(futures).done.size()); });

    // After what depends on where futures lie: a map leaves other memory behind.
    std::array<HeldMap, 2> maps;
    count("map", HeldMap::size, [&, next = maps.begin()]() mutable { (next++)->run_and_read(); });

    count("encode", many, [] { encode_items(); });
    count("decode", many, [] { decode_items(); });
}
