#include <cofutures/detail/huge_pages.hpp>

#include <cstdint>

#include <sys/mman.h>

namespace cofutures::detail {

void prefer_huge_pages(const void* first, std::size_t bytes) noexcept {
    constexpr std::uintptr_t page = std::uintptr_t{2} << 20;
    const auto from = reinterpret_cast<std::uintptr_t>(first);  // NOLINT: to be rounded
    const std::uintptr_t begin = (from + page - 1) / page * page;
    const std::uintptr_t end = (from + bytes) / page * page;
    if (begin < end) {
        // NOLINTNEXTLINE: whole pages of the range
        static_cast<void>(madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE));
    }
}

}  // namespace cofutures::detail
