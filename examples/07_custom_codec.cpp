// What can be sent to a worker process: plain aggregates without any code, and a class with private
// members through a Codec of its own, which refuses what would break the class.

#include <cofutures/process_pool_executor.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace app {

// A class with something to protect: there are rows * columns values.
class Matrix {
public:
    Matrix(std::size_t rows, std::size_t columns, std::vector<double> values)
        : rows_(rows), columns_(columns), values_(std::move(values)) {
        if (columns_ == 0 || values_.size() % columns_ != 0 || values_.size() / columns_ != rows_) {
            throw std::invalid_argument("a matrix of another size");
        }
    }

    [[nodiscard]] std::size_t rows() const { return rows_; }
    [[nodiscard]] std::size_t columns() const { return columns_; }
    [[nodiscard]] const std::vector<double>& values() const { return values_; }
    [[nodiscard]] double at(std::size_t row, std::size_t column) const {
        return values_.at(row * columns_ + column);
    }

private:
    std::size_t rows_;
    std::size_t columns_;
    std::vector<double> values_;
};

// Aggregates need nothing, whatever they are made of.
struct Job {
    std::string title;
    Matrix left;
    Matrix right;
    std::optional<double> factor;
};

struct Report {
    Matrix product;
    std::chrono::nanoseconds spent;
    std::map<std::string, std::size_t> counts;
};

Report multiply(const Job& job) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<double> values;
    for (std::size_t row = 0; row < job.left.rows(); ++row) {
        for (std::size_t column = 0; column < job.right.columns(); ++column) {
            double sum = 0;
            for (std::size_t i = 0; i < job.left.columns(); ++i) {
                sum += job.left.at(row, i) * job.right.at(i, column);
            }
            values.push_back(sum * job.factor.value_or(1));
        }
    }
    const std::size_t products = values.size() * job.left.columns();
    return {
        .product = Matrix(job.left.rows(), job.right.columns(), std::move(values)),
        .spent = std::chrono::duration_cast<std::chrono::nanoseconds>(
            std::chrono::steady_clock::now() - start
        ),
        .counts = {{"multiplications", products}, {"title letters", job.title.size()}},
    };
}

}  // namespace app

template <>
struct cofutures::Codec<app::Matrix> {
    static void encode(Encoder& encoder, const app::Matrix& matrix) {
        cofutures::encode(encoder, matrix.rows());
        cofutures::encode(encoder, matrix.columns());
        cofutures::encode(encoder, matrix.values());
    }

    // The bytes come from another process: the constructor is what checks them.
    static app::Matrix decode(Decoder& decoder) {
        const auto rows = cofutures::decode<std::size_t>(decoder);
        const auto columns = cofutures::decode<std::size_t>(decoder);
        auto values = cofutures::decode<std::vector<double>>(decoder);
        try {
            return {rows, columns, std::move(values)};
        } catch (const std::invalid_argument& error) {
            throw SerializationError(error.what());
        }
    }
};

int main(int argc, char** argv) {
    cofutures::freeze_support(argc, argv);

    const auto start = std::chrono::steady_clock::now();
    cofutures::ProcessPoolExecutor pool(1);
    const auto future = pool.submit(
        app::multiply,
        app::Job{
            .title = "a quarter turn",
            .left = {2, 2, {0, -1, 1, 0}},
            .right = {2, 3, {1, 2, 3, 4, 5, 6}},
            .factor = {},
        }
    );
    const app::Report& report = future.result();
    for (std::size_t row = 0; row < report.product.rows(); ++row) {
        for (std::size_t column = 0; column < report.product.columns(); ++column) {
            std::cout << report.product.at(row, column) << '\t';
        }
        std::cout << '\n';
    }
    for (const auto& [what, count] : report.counts) {
        std::cout << what << ": " << count << '\n';
    }
    std::cout << report.spent.count() << " ns in the worker\n";

    // Bytes that are no matrix never become one. In a call this would end its future, and no other.
    bool refused = false;
    std::vector<std::byte> bytes;
    cofutures::Encoder encoder(bytes);
    cofutures::encode(encoder, std::size_t{2});
    cofutures::encode(encoder, std::size_t{1'000'000});
    cofutures::encode(encoder, std::vector<double>{1, 2, 3});
    try {
        cofutures::Decoder decoder(bytes);
        const auto matrix = cofutures::decode<app::Matrix>(decoder);
        std::cout << matrix.rows() << " rows?\n";
    } catch (const cofutures::SerializationError& error) {
        std::cout << "SerializationError: " << error.what() << '\n';
        refused = true;
    }

    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start;
    std::cout << "took " << spent.count() << " ms\n";
    const std::vector<double> expected{-4, -5, -6, 1, 2, 3};
    return report.product.values() == expected && refused ? EXIT_SUCCESS : EXIT_FAILURE;
}
