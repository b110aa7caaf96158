#pragma once

#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>

namespace cofutures::detail {

/// What items of a map have thrown, by their numbers. Items that throw are few, so those that do
/// not need no room for it.
///
/// @thread_safety  safe
class MapErrors {
public:
    /// Without memory for it the item has thrown std::bad_alloc.
    void store(std::size_t item, std::exception_ptr error) noexcept {
        try {
            const std::lock_guard lock(mutex_);
            errors_.emplace(item, std::move(error));
        } catch (const std::bad_alloc&) {
        }
    }

    /// Null if there is none.
    [[nodiscard]] std::exception_ptr take(std::size_t item) noexcept {
        const std::lock_guard lock(mutex_);
        const auto found = errors_.find(item);
        if (found == errors_.end()) {
            return nullptr;
        }
        std::exception_ptr error = std::move(found->second);
        errors_.erase(found);
        return error;
    }

private:
    std::mutex mutex_;
    std::unordered_map<std::size_t, std::exception_ptr> errors_;
};

}  // namespace cofutures::detail
