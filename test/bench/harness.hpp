#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// @file
/// What the benchmarks share: contenders take turns within one run, so that whatever else the
/// machine does meets all of them alike. Absolute times differ from machine to machine and from
/// minute to minute; the ratio within one run is what holds.

namespace bench {

using Clock = std::chrono::steady_clock;

/// The command line.
struct Options {
    bool quick = false;  ///< shows that it runs, in under two seconds; the numbers mean little
    bool json = false;

    static Options parse(int argc, char** argv) {
        Options options;
        for (int i = 1; i < argc; ++i) {
            const std::string_view word = argv[i];
            if (word == "--quick") {
                options.quick = true;
            } else if (word == "--json") {
                options.json = true;
            } else {
                throw std::invalid_argument(
                    "usage: " + std::string(argv[0]) + " [--quick] [--json]"
                );
            }
        }
        return options;
    }

    /// A number of operations: for a run that counts, or for one that only has to run.
    [[nodiscard]] std::size_t operations(std::size_t full) const {
        return quick ? std::max<std::size_t>(full / 50, 1) : full;
    }
};

/// One way of doing the thing.
struct Contender {
    std::string name;
    /// Does one round and gives the nanoseconds of one operation.
    std::function<double()> round;
};

/// The quantile of some values, the nearest one that occurs.
inline double quantile(std::vector<double> values, double part) {
    const auto index =
        static_cast<std::size_t>(part * static_cast<double>(values.size() - 1) + 0.5);
    const auto place = values.begin() + static_cast<std::ptrdiff_t>(index);
    std::nth_element(values.begin(), place, values.end());
    return *place;
}

/// Prints each comparison as a table, or all of them as one list in JSON.
class Report {
public:
    explicit Report(const Options& options) : options_(options) {
        if (options_.json) {
            std::printf("[");
        }
    }
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;
    ~Report() {
        if (options_.json) {
            std::printf("\n]\n");
        }
    }

    /// Lets the contenders take turns and prints what came out.
    ///
    /// The first is what the others are compared to: the ratio is the median of the ratios of the
    /// rounds, each round being one turn of everybody. The spread is the middle half of the rounds.
    ///
    /// @param title    What is compared.
    /// @param seconds  How long to go on, at full length; at least five rounds are done.
    void compare(const char* title, double seconds, const std::vector<Contender>& contenders) {
        std::vector<std::vector<double>> times(contenders.size());
        std::vector<std::vector<double>> ratios(contenders.size());
        const std::size_t least = options_.quick ? 1 : 5;
        const std::chrono::duration<double> budget(options_.quick ? 0.2 : seconds);
        const auto start = Clock::now();
        // The first round warms up and does not count.
        for (std::size_t round = 0; round <= least || Clock::now() - start < budget; ++round) {
            std::vector<double> turn;
            for (const Contender& contender : contenders) {
                turn.push_back(contender.round());
            }
            for (std::size_t i = 0; round > 0 && i < turn.size(); ++i) {
                times[i].push_back(turn[i]);
                ratios[i].push_back(turn[i] / turn[0]);
            }
        }
        print_title(title, times[0].size());
        for (std::size_t i = 0; i < contenders.size(); ++i) {
            print_row(title, contenders[i].name, times[i], ratios[i]);
        }
        std::fflush(stdout);
    }

private:
    void print_title(const char* title, std::size_t rounds) {
        if (!options_.json) {
            std::printf("\n%s (%zu rounds)\n", title, rounds);
            std::printf("  %-46s %10s  %19s  %6s\n", "", "median ns", "middle half", "ratio");
        }
    }

    void print_row(
        const char* title,
        const std::string& name,
        const std::vector<double>& times,
        const std::vector<double>& ratios
    ) {
        const double median = quantile(times, 0.5);
        const double low = quantile(times, 0.25);
        const double high = quantile(times, 0.75);
        const double ratio = quantile(ratios, 0.5);
        if (!options_.json) {
            std::printf(
                "  %-46s %10.0f  %8.0f - %8.0f  %6.2f\n", name.c_str(), median, low, high, ratio
            );
            return;
        }
        std::printf(
            "%s\n  {\"comparison\": \"%s\", \"contender\": \"%s\", \"rounds\": %zu, "
            "\"median_ns\": %.1f, \"low_ns\": %.1f, \"high_ns\": %.1f, \"ratio\": %.3f}",
            std::exchange(separator_, ","),
            title,
            name.c_str(),
            times.size(),
            median,
            low,
            high,
            ratio
        );
    }

    const Options options_;
    const char* separator_ = "";
};

/// Times `work()` and gives the nanoseconds of one of its `operations`.
template <class Work>
double time_per_operation(std::size_t operations, Work work) {
    const auto start = Clock::now();
    work();
    const std::chrono::duration<double, std::nano> spent = Clock::now() - start;
    return spent.count() / static_cast<double>(operations);
}

/// The body of `main`: parses the command line, runs, and reports what goes wrong.
template <class Run>
int run(int argc, char** argv, Run run_all) {
    try {
        const Options options = Options::parse(argc, argv);
        Report report(options);
        run_all(options, report);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

}  // namespace bench
