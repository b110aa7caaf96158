#include "process/block_reader.hpp"

#include <cofutures/codec.hpp>

#include "process/block_arena.hpp"

#include <algorithm>
#include <utility>

namespace cofutures::process {

namespace {

// Whether the pool still holds the value of this id there.
bool is_held(SharedMemory& memory, std::uint64_t id, std::uint64_t offset) {
    Decoder word(memory.view(offset, shared_id_bytes));
    return decode<std::uint64_t>(word) == id;
}

}  // namespace

// --- shared values ------------------------------------------------------------------------------

std::shared_ptr<void> SharedValues::find(std::uint64_t id, const void* type) const {
    const auto found = std::ranges::find_if(values_, [=](const Value& value) {
        return value.id == id && value.type == type;
    });
    return found == values_.end() ? nullptr : found->content;
}

void SharedValues::keep(
    SharedMemory& memory,
    std::uint64_t id,
    std::uint64_t offset,
    const void* type,
    std::shared_ptr<void> value
) {
    std::erase_if(values_, [&](const Value& kept) {
        return !is_held(memory, kept.id, kept.offset);
    });
    values_.push_back({id, offset, type, std::move(value)});
}

// --- a message's blocks -------------------------------------------------------------------------

std::span<const std::byte> BlockReader::get(std::uint64_t place, std::size_t size) {
    if (memory_ == nullptr) {
        throw SerializationError("a message refers to shared memory that is not there");
    }
    const auto block = memory_->view(place, size);
    read_ += size;
    if (trust_ == Trust::none && read_ > memory_->size()) {
        throw SerializationError("a message refers to more shared memory than there is");
    }
    return block;
}

std::shared_ptr<void> BlockReader::find_shared(std::uint64_t id, const void* type) {
    return shared_ == nullptr ? nullptr : shared_->find(id, type);
}

std::span<const std::byte> BlockReader::get_shared(std::uint64_t id, detail::SharedPlace place) {
    if (place.size < shared_id_bytes) {
        throw SerializationError("a message refers to a shared value that is none");
    }
    const auto bytes = get(place.offset, static_cast<std::size_t>(place.size));
    if (!is_held(*memory_, id, place.offset)) {
        throw SerializationError("a message refers to a shared value that is not there");
    }
    return bytes.subspan(shared_id_bytes);
}

void BlockReader::keep_shared(
    std::uint64_t id, detail::SharedPlace place, const void* type, std::shared_ptr<void> content
) {
    if (shared_ != nullptr) {
        shared_->keep(*memory_, id, place.offset, type, std::move(content));
    }
}

}  // namespace cofutures::process
