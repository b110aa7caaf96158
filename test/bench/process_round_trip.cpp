// What a call in a worker process costs: one at a time, beside 64 bytes that two processes send
// each other through plain pipes; and many at once, beside Python's ProcessPoolExecutor.

#include "bench/harness.hpp"

#include <cofutures/process_pool_executor.hpp>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

void nothing() {}

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
        return bench::time_per_operation(count, [&] {
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
    return bench::time_per_operation(count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            pool.submit<&nothing>().result();
        }
    });
}

double gather(std::size_t count) {
    cofutures::ProcessPoolExecutor pool(2);
    pool.submit<&nothing>().result();  // starting a process is not what is measured
    return bench::time_per_operation(count, [&] {
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

// What a command prints; empty if it cannot be run.
std::string output_of(const std::string& command) {
    std::string output;
    if (std::FILE* pipe = popen(command.c_str(), "r"); pipe != nullptr) {
        std::array<char, 256> line{};
        while (std::fgets(line.data(), line.size(), pipe) != nullptr) {
            output += line.data();
        }
        pclose(pipe);
    }
    return output.substr(0, output.find('\n'));
}

// The same as `gather`, in Python, timed there.
double gather_in_python(std::size_t count) {
    const std::string script =
        "import operator, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "with ProcessPoolExecutor(2) as pool:\n"
        "    pool.submit(operator.truth, 0).result()\n"
        "    start = time.perf_counter()\n"
        "    count = " +
        std::to_string(count) +
        "\n"
        "    futures = [pool.submit(operator.truth, 0) for _ in range(count)]\n"
        "    for future in futures: future.result()\n"
        "    print((time.perf_counter() - start) / count * 1e9)\n";
    const std::string output = output_of("python3 -c '" + script + "'");
    require(!output.empty(), "python3 did not run the script");
    return std::stod(output);
}

}  // namespace

int main(int argc, char** argv) {
    cofutures::freeze_support(argc, argv);

    return bench::run(argc, argv, [](const bench::Options& options, bench::Report& report) {
        const std::size_t some = options.operations(5'000);
        Echo echo;
        {
            cofutures::ProcessPoolExecutor pool(1);
            report.compare(
                "round trip to another process, one at a time",
                5,
                {
                    {"64 bytes there and back, read and write",
                     [&] {
                         return echo.round(some);
                     }},
                    {"submit<&nothing>().result()",
                     [&] {
                         return one_at_a_time(pool, some);
                     }},
                }
            );
        }

        const std::size_t many = options.operations(20'000);
        std::vector<bench::Contender> contenders = {
            {"submit all, then read all",
             [&] {
                 return gather(many);
             }},
        };
        if (const std::string python = output_of("python3 --version 2>&1");
            python.starts_with("Python 3")) {
            contenders.push_back({"the same in " + python, [&] {
                                      return gather_in_python(many);
                                  }});
        }
        report.compare("an empty call, many at once on two worker processes", 5, contenders);
    });
}
