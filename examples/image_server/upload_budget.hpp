#pragma once

#include <cstdint>
#include <optional>
#include <utility>

namespace image_server {

/// Bounds the memory that uploads take, all connections together. For one thread.
class UploadBudget {
public:
    /// A part of the budget; given back when it is destroyed.
    class Share {
    public:
        Share(Share&& other) noexcept
            : budget_(other.budget_), bytes_(std::exchange(other.bytes_, 0)) {}
        Share& operator=(Share&&) = delete;
        ~Share() { budget_.free_ += bytes_; }

    private:
        friend class UploadBudget;
        Share(UploadBudget& budget, std::uint64_t bytes) noexcept
            : budget_(budget), bytes_(bytes) {}

        UploadBudget& budget_;
        std::uint64_t bytes_;
    };

    explicit UploadBudget(std::uint64_t bytes) noexcept : free_(bytes) {}
    UploadBudget(const UploadBudget&) = delete;
    UploadBudget& operator=(const UploadBudget&) = delete;

    /// Nothing if there is not so much left. The budget must outlive what it gives.
    [[nodiscard]] std::optional<Share> take(std::uint64_t bytes) noexcept {
        if (bytes > free_) {
            return std::nullopt;
        }
        free_ -= bytes;
        return Share(*this, bytes);
    }

private:
    std::uint64_t free_;
};

}  // namespace image_server
