#include "process/result_blocks.hpp"

#include <boost/system/errc.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

namespace cofutures::process {

namespace {

// The first range of the memory holds the counter and nothing else.
std::uint64_t* counter_of(SharedMemory& memory) {
    auto* const begin = memory.view(0, RangeAllocator::unit).data();
    return reinterpret_cast<std::uint64_t*>(begin);  // NOLINT: the memory holds nothing but numbers
}

}  // namespace

// --- the worker's side --------------------------------------------------------------------------

ResultBlocks::ResultBlocks(SharedMemory& memory) : memory_(memory), read_(*counter_of(memory)) {
    static_cast<void>(ranges_.allocate(RangeAllocator::unit));  // the counter's
}

std::optional<std::uint64_t> ResultBlocks::put(std::span<const std::byte> bytes) {
    take_back_read();
    current_.reserve(current_.size() + 1);  // so that no block is lost
    const auto given = ranges_.allocate(bytes.size());
    if (!given) {
        return std::nullopt;
    }
    const auto [offset, size] = given->range;
    if (given->is_fresh && !memory_.provide(offset, size)) {
        ranges_.forget(offset);
        return std::nullopt;
    }
    try {
        std::memcpy(memory_.view(offset, size).data(), bytes.data(), bytes.size());
    } catch (const std::exception&) {  // no room among the addresses
        release(offset);
        return std::nullopt;
    }
    current_.push_back(offset);
    return offset;
}

void ResultBlocks::answered() {
    ++answers_;
    if (!current_.empty()) {
        unread_.push_back({answers_, std::exchange(current_, {})});
    }
}

void ResultBlocks::drop() noexcept {
    for (const std::uint64_t place : current_) {
        release(place);
    }
    current_.clear();
}

void ResultBlocks::take_back_read() {
    const std::uint64_t read = read_.load(std::memory_order_acquire);
    while (!unread_.empty() && unread_.front().number <= read) {
        for (const std::uint64_t place : unread_.front().places) {
            release(place);
        }
        unread_.pop_front();
    }
}

void ResultBlocks::release(std::uint64_t place) noexcept {
    if (const auto surplus = ranges_.release(place)) {
        memory_.give_back(surplus->offset, surplus->size);
    }
}

// --- the pool's side ----------------------------------------------------------------------------

ResultMemory::ResultMemory() {
    if (!memory_.provide(0, RangeAllocator::unit)) {
        throw boost::system::system_error(
            make_error_code(boost::system::errc::not_enough_memory), "making memory to share"
        );
    }
    memory_.extend(ResultBlocks::limit);
    counter_ = counter_of(memory_);
}

std::unique_ptr<ResultMemory> ResultMemory::make() noexcept {
    try {
        return std::make_unique<ResultMemory>();
    } catch (const std::exception&) {
        return nullptr;  // all results come through the pipe then
    }
}

void ResultMemory::answer_was_read() noexcept {
    std::atomic_ref(*counter_).store(++answers_, std::memory_order_release);
}

}  // namespace cofutures::process
