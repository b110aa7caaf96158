#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>

namespace cofutures::detail {

/// The size of a pool: what its options ask for, and `usual` if they do not.
///
/// @throws std::invalid_argument  if fewer than one worker is wanted.
inline std::size_t checked_max_workers(std::optional<int> wanted, std::size_t usual) {
    if (!wanted) {
        return usual;
    }
    if (*wanted <= 0) {
        throw std::invalid_argument("max_workers must be greater than 0");
    }
    return static_cast<std::size_t>(*wanted);
}

}  // namespace cofutures::detail
