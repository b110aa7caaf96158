#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
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
    bool quick = false;     ///< shows that it runs, in a few seconds; the numbers mean little
    std::string json = {};  ///< where the rows are written beside the tables; empty for nowhere

    static Options parse(int argc, char** argv) {
        constexpr std::string_view json_prefix = "--json=";
        Options options;
        for (int i = 1; i < argc; ++i) {
            const std::string_view word = argv[i];
            if (word == "--quick") {
                options.quick = true;
            } else if (word.starts_with(json_prefix)) {
                options.json = word.substr(json_prefix.size());
            } else {
                throw std::invalid_argument(
                    "usage: " + std::string(argv[0]) + " [--quick] [--json=FILE]"
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
    /// Does one round and gives the nanoseconds of one operation, or what the figure's unit is.
    std::function<double()> round;
};

/// What contenders are compared in.
struct Figure {
    std::string title;
    double seconds = 3;       ///< how long to go on, at full length
    std::size_t rounds = 5;   ///< at least so many, at full length
    std::string unit = "ns";  ///< what a round gives
    std::string x_label =
        {};  ///< figures of one title that differ in `x` make one picture of lines
    double x = 0;
};

/// The quantile of some values, the nearest one that occurs.
inline double quantile(std::vector<double> values, double part) {
    const auto index =
        static_cast<std::size_t>(part * static_cast<double>(values.size() - 1) + 0.5);
    const auto place = values.begin() + static_cast<std::ptrdiff_t>(index);
    std::nth_element(values.begin(), place, values.end());
    return *place;
}

/// Prints each comparison as a table, and writes all of them to a file as one list in JSON.
class Report {
public:
    explicit Report(const Options& options) : options_(options) {}
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;

    /// Lets the contenders take turns and prints what came out.
    ///
    /// The first is what the others are compared to: the ratio is the median of the ratios of the
    /// rounds, each round being one turn of everybody. The spread is the middle half of the rounds.
    void compare(const Figure& figure, const std::vector<Contender>& contenders) {
        std::vector<std::vector<double>> values(contenders.size());
        std::vector<std::vector<double>> ratios(contenders.size());
        const std::size_t least = options_.quick ? 0 : figure.rounds;
        const std::chrono::duration<double> budget(options_.quick ? 0 : figure.seconds);
        const auto start = Clock::now();
        // The first round warms up and does not count, unless it is the only one.
        for (std::size_t round = 0; round <= least || Clock::now() - start < budget; ++round) {
            std::vector<double> turn;
            for (const Contender& contender : contenders) {
                turn.push_back(contender.round());
            }
            for (std::size_t i = 0; (round > 0 || options_.quick) && i < turn.size(); ++i) {
                values[i].push_back(turn[i]);
                // What costs nothing cannot be compared to.
                ratios[i].push_back(turn[0] > 0 ? turn[i] / turn[0] : 0);
            }
        }
        print_title(figure, values[0].size());
        for (std::size_t i = 0; i < contenders.size(); ++i) {
            print_row(figure, contenders[i].name, values[i], ratios[i]);
        }
        std::fflush(stdout);
    }

    /// The same, of nanoseconds, for so many seconds.
    void compare(const char* title, double seconds, const std::vector<Contender>& contenders) {
        compare(Figure{.title = title, .seconds = seconds}, contenders);
    }

    /// Writes the file that the options name.
    void save() const {
        if (options_.json.empty()) {
            return;
        }
        std::ofstream file(options_.json);
        file << "[" << rows_ << "\n]\n";
        if (!file.flush()) {
            throw std::runtime_error("cannot write " + options_.json);
        }
    }

private:
    static std::string quoted(std::string_view text) {
        std::string result = "\"";
        for (const char character : text) {
            if (character == '"' || character == '\\') {
                result += '\\';
            }
            result += character;
        }
        return result += '"';
    }

    static void print_title(const Figure& figure, std::size_t rounds) {
        std::printf("\n%s", figure.title.c_str());
        if (!figure.x_label.empty()) {
            std::printf(", %s = %.0f", figure.x_label.c_str(), figure.x);
        }
        std::printf(" (%zu rounds)\n", rounds);
        const std::string head = "median " + figure.unit;
        std::printf("  %-52s %12s  %21s  %6s\n", "", head.c_str(), "middle half", "ratio");
    }

    void print_row(
        const Figure& figure,
        const std::string& name,
        const std::vector<double>& values,
        const std::vector<double>& ratios
    ) {
        const double median = quantile(values, 0.5);
        const double low = quantile(values, 0.25);
        const double high = quantile(values, 0.75);
        const double ratio = quantile(ratios, 0.5);
        std::printf(
            "  %-52s %12.0f  %9.0f - %9.0f  %6.2f\n", name.c_str(), median, low, high, ratio
        );
        std::ostringstream row;
        row.precision(10);
        row << std::exchange(separator_, ",") << "\n  {\"comparison\": " << quoted(figure.title)
            << ", \"contender\": " << quoted(name) << ", \"rounds\": " << values.size()
            << ", \"unit\": " << quoted(figure.unit) << ", \"median\": " << median
            << ", \"low\": " << low << ", \"high\": " << high << ", \"ratio\": " << ratio;
        if (!figure.x_label.empty()) {
            row << ", \"x_label\": " << quoted(figure.x_label) << ", \"x\": " << figure.x;
        }
        row << "}";
        rows_ += row.str();
    }

    const Options options_;
    const char* separator_ = "";
    std::string rows_;
};

/// Times `work()` and gives the nanoseconds of one of its `operations`.
template <class Work>
double time_per_operation(std::size_t operations, Work work) {
    const auto start = Clock::now();
    work();
    const std::chrono::duration<double, std::nano> spent = Clock::now() - start;
    return spent.count() / static_cast<double>(operations);
}

/// Keeps the compiler from leaving out what computes `value`.
template <class T>
void keep(const T& value) {
    asm volatile("" : : "g"(&value) : "memory");
}

/// The body of `main`: parses the command line, runs, and reports what goes wrong.
template <class Run>
int run(int argc, char** argv, Run run_all) {
    try {
        const Options options = Options::parse(argc, argv);
        Report report(options);
        run_all(options, report);
        report.save();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

}  // namespace bench
