// What a call in a worker process costs: one at a time, beside 64 bytes that two processes send
// each other through plain pipes; many at once, map, large arguments, and the first call of a pool,
// beside Python's.

#include "bench/peers.hpp"

#include <cofutures/process_pool_executor.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace bench;

void nothing() {}

int negative(int value) {
    return -value;
}

std::vector<double> same(std::vector<double> values) {
    return values;
}

void require(bool done, const char* what) {
    if (!done) {
        throw std::runtime_error(what);
    }
}

// Another process that sends back what it gets, with nothing but read and write.
class Echo {
public:
    // Before there are threads: the partner is a fork.
    Echo() {
        std::array<int, 2> to{};
        std::array<int, 2> from{};
        require(pipe2(to.data(), O_CLOEXEC) == 0 && pipe2(from.data(), O_CLOEXEC) == 0, "pipe");
        partner_ = fork();
        require(partner_ >= 0, "fork");
        if (partner_ == 0) {
            close(to[1]);
            close(from[0]);
            Message message{};
            while (receive(to[0], message) && send(from[1], message)) {
            }
            _exit(0);
        }
        close(to[0]);
        close(from[1]);
        out_ = to[1];
        in_ = from[0];
    }
    Echo(const Echo&) = delete;
    Echo& operator=(const Echo&) = delete;
    ~Echo() {
        close(out_);
        close(in_);
        waitpid(partner_, nullptr, 0);
    }

    double round(std::size_t count) {
        Message message{};
        return time_per_operation(count, [&] {
            for (std::size_t i = 0; i < count; ++i) {
                require(send(out_, message) && receive(in_, message), "the echo ended");
            }
        });
    }

private:
    using Message = std::array<char, 64>;

    // A pipe passes on as little as this whole.
    static bool send(int out, const Message& message) {
        return write(out, message.data(), message.size()) == static_cast<ssize_t>(message.size());
    }
    static bool receive(int in, Message& message) {
        return read(in, message.data(), message.size()) == static_cast<ssize_t>(message.size());
    }

    int in_ = -1;
    int out_ = -1;
    pid_t partner_ = -1;
};

double one_at_a_time(cofutures::ProcessPoolExecutor& pool, std::size_t count) {
    return time_per_operation(count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            pool.submit<&nothing>().result();
        }
    });
}

double gather(cofutures::ProcessPoolExecutor& pool, std::size_t count) {
    return time_per_operation(count, [&] {
        std::vector<cofutures::Future<void>> futures;
        futures.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            futures.push_back(pool.submit<&nothing>());
        }
        for (const auto& future : futures) {
            future.result();
        }
    });
}

double map_items(
    cofutures::ProcessPoolExecutor& pool, std::size_t chunksize, const std::vector<int>& items
) {
    return time_per_operation(items.size(), [&] {
        long long sum = 0;
        for (const int result : pool.map({.chunksize = chunksize}, negative, items)) {
            sum += result;
        }
        keep(sum);
    });
}

double copy_twice(const std::vector<double>& data) {
    std::vector<double> there(data.size());
    std::vector<double> back(data.size());
    return time_per_operation(1, [&] {
        std::memcpy(there.data(), data.data(), data.size() * sizeof(double));
        keep(there[data.size() / 2]);
        std::memcpy(back.data(), there.data(), data.size() * sizeof(double));
        keep(back[data.size() / 2]);
    });
}

double there_and_back(cofutures::ProcessPoolExecutor& pool, const std::vector<double>& data) {
    return time_per_operation(1, [&] {
        auto back = pool.submit<&same>(data).result();
        require(back.size() == data.size(), "a part is lost");
    });
}

double first_result() {
    const auto start = Clock::now();
    cofutures::ProcessPoolExecutor pool(1);
    pool.submit<&nothing>().result();
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

double spawn_and_wait() {
    return time_per_operation(1, [] {
        const pid_t child = vfork();
        require(child >= 0, "vfork");
        if (child == 0) {
            execl("/bin/true", "true", nullptr);
            _exit(1);
        }
        waitpid(child, nullptr, 0);
    });
}

void compare_round_trips(const Options& options, Report& report) {
    const std::size_t some = options.operations(5'000);
    Echo echo;
    cofutures::ProcessPoolExecutor pool(1);
    std::vector<Contender> contenders = {
        {"64 bytes there and back, read and write",
         [&] {
             return echo.round(some);
         }},
        {"cofutures: submit<&nothing>().result()",
         [&] {
             return one_at_a_time(pool, some);
         }},
    };
    append_python(contenders, "Python ProcessPoolExecutor", "process_round_trip", some / 5 + 1, 1);
    report.compare({.title = "round trip to a worker process, one call at a time"}, contenders);
}

void compare_many(const Options& options, Report& report) {
    const std::size_t many = options.operations(50'000);
    const std::size_t some = options.operations(10'000);
    cofutures::ProcessPoolExecutor pool(2);
    one_at_a_time(pool, 10);  // starting processes is not what is measured
    std::vector<Contender> contenders = {{"cofutures", [&] {
                                              return gather(pool, many);
                                          }}};
    append_python(contenders, "Python ProcessPoolExecutor", "process_submit", some, 2);
    append_python(contenders, "Python multiprocessing.Pool", "pool_submit", some, 2);
    if (!options.quick) {
        append_python(contenders, "Python joblib (loky)", "joblib_submit", some, 2);
    }
    report.compare({.title = "an empty call in one of two processes, many at once"}, contenders);

    std::vector<int> items(options.operations(500'000));
    std::iota(items.begin(), items.end(), 0);
    contenders = {
        {"cofutures, chunksize 1000",
         [&] {
             return map_items(pool, 1000, items);
         }},
        {"cofutures, chunksize 1",
         [&] {
             return map_items(pool, 1, items);
         }},
    };
    const std::size_t fewer = items.size() / 5;
    append_python(contenders, "Python ProcessPoolExecutor, 1000", "process_map", fewer, 2);
    append_python(contenders, "Python multiprocessing.Pool, 1000", "pool_map", fewer, 2);
    if (!options.quick) {
        append_python(contenders, "Python joblib (loky), 1000", "joblib_map", fewer, 2);
    }
    report.compare({.title = "map over two processes, each item"}, contenders);
}

void compare_large(const Options& options, Report& report) {
    // 64 MiB
    const std::vector<double> data(options.operations(std::size_t{8} << 20), 1.0);
    cofutures::ProcessPoolExecutor pool(1);
    std::vector<Contender> contenders = {
        {"memcpy, twice",
         [&] {
             return copy_twice(data);
         }},
        {"cofutures: a vector there and back",
         [&] {
             return there_and_back(pool, data);
         }},
    };
    if (!options.quick) {
        append_python(contenders, "Python ProcessPoolExecutor: an array", "process_large", 1, 1);
    }
    report.compare({.title = "64 MiB of doubles to a worker and back", .rounds = 3}, contenders);
}

void compare_first(Report& report) {
    std::vector<Contender> contenders = {
        {"vfork, exec of /bin/true, wait",
         [] {
             return spawn_and_wait();
         }},
        {"cofutures",
         [] {
             return first_result();
         }},
    };
    append_python(contenders, "Python ProcessPoolExecutor, fork", "process_first_fork", 1, 1);
    append_python(contenders, "Python ProcessPoolExecutor, spawn", "process_first", 1, 1);
    report.compare({.title = "from making a pool to its first result"}, contenders);
}

}  // namespace

int main(int argc, char** argv) {
    cofutures::freeze_support(argc, argv);

    return run(argc, argv, [](const Options& options, Report& report) {
        compare_round_trips(options, report);
        compare_many(options, report);
        compare_large(options, report);
        compare_first(report);
    });
}
