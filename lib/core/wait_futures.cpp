#include <cofutures/detail/wait_futures.hpp>

#include <bit>
#include <cstdint>

namespace cofutures::detail {

SeenStates::SeenStates(std::size_t most) : table_(std::bit_ceil(2 * most + 1)) {}

bool SeenStates::insert(const StateBase& state) noexcept {
    // Fibonacci hashing: the upper bits of the product depend on all bits of the address.
    const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&state));
    const std::uint64_t spread = (address * 0x9E3779B97F4A7C15U) >> 32U;
    const std::size_t mask = table_.size() - 1;
    std::size_t place = static_cast<std::size_t>(spread) & mask;
    while (table_[place] != nullptr) {
        if (table_[place] == &state) {
            return false;
        }
        place = (place + 1) & mask;
    }
    table_[place] = &state;
    return true;
}

}  // namespace cofutures::detail
