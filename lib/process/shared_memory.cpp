#include "process/shared_memory.hpp"

#include <cofutures/error.hpp>

#include "process/system_calls.hpp"

#include <boost/system/system_error.hpp>

#include <bit>
#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace cofutures::process {

namespace {

/// A descriptor as Interprocess wants it.
struct Mappable {
    int descriptor;

    [[nodiscard]] boost::interprocess::mapping_handle_t get_mapping_handle() const noexcept {
        return {descriptor, false};
    }
};

// Of some systems it is larger than the ranges that are given out.
std::uint64_t page_size() noexcept {
    return boost::interprocess::mapped_region::get_page_size();
}

[[noreturn]] void throw_last_error(const char* what) {
    throw boost::system::system_error(last_error(), what);
}

FileDescriptor make_file() {
    FileDescriptor file(memfd_create("cofutures-data", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (file.get() < 0 || fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
        throw_last_error("making memory to share with workers");
    }
    return file;
}

}  // namespace

SharedMemory::SharedMemory() : file_(make_file()) {}

std::uint64_t SharedMemory::size() const noexcept {
    constexpr std::uint64_t block = 512;  // whatever the file system's may be
    struct stat status {};
    return fstat(file_.get(), &status) == 0 ? static_cast<std::uint64_t>(status.st_blocks) * block
                                            : 0;
}

void SharedMemory::extend(std::uint64_t length) {
    if (ftruncate(file_.get(), static_cast<off_t>(length)) != 0) {
        throw_last_error("making memory to share larger");
    }
}

bool SharedMemory::detach(std::uint64_t length) {
    const std::lock_guard lock(mutex_);
    if (!try_map(length)) {
        return false;
    }
    length_ = length;
    file_ = FileDescriptor();
    return true;
}

bool SharedMemory::provide(std::uint64_t offset, std::uint64_t size) noexcept {
    if (file_.get() < 0) {
        const std::lock_guard lock(mutex_);
        const std::uint64_t before = offset % page_size();
        auto* const first = static_cast<std::byte*>(maps_.back().get_address()) + offset - before;
        return madvise(first, before + size, MADV_POPULATE_WRITE) == 0;
    }
    int result = 0;
    do {
        result = fallocate(file_.get(), 0, static_cast<off_t>(offset), static_cast<off_t>(size));
    } while (result != 0 && errno == EINTR);
    return result == 0;
}

void SharedMemory::give_back(std::uint64_t offset, std::uint64_t size) noexcept {
    // If it fails the memory stays where it is: no harm but its cost.
    if (file_.get() < 0) {
        // Whole pages only: what else is in the first and the last one may be in use.
        const std::uint64_t begin = (offset + page_size() - 1) / page_size() * page_size();
        const std::uint64_t end = (offset + size) / page_size() * page_size();
        if (begin < end) {
            const std::lock_guard lock(mutex_);
            auto* const first = static_cast<std::byte*>(maps_.back().get_address()) + begin;
            static_cast<void>(madvise(first, end - begin, MADV_REMOVE));
        }
        return;
    }
    static_cast<void>(fallocate(
        file_.get(),
        FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
        static_cast<off_t>(offset),
        static_cast<off_t>(size)
    ));
}

std::span<std::byte> SharedMemory::view(std::uint64_t offset, std::uint64_t size) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t end = offset + size;
    if (end < offset || (end > length_ && !has_grown_to(end))) {
        throw SerializationError("shared memory has no such range");
    }
    if (maps_.empty() || maps_.back().get_size() < end) {
        // More than is asked for, so that growing costs few maps.
        if (!try_map(std::bit_ceil(end)) && !try_map(end)) {
            throw SerializationError("shared memory cannot be mapped: no room among the addresses");
        }
    }
    auto* const first = static_cast<std::byte*>(maps_.back().get_address());
    return {first + offset, static_cast<std::size_t>(size)};
}

bool SharedMemory::has_grown_to(std::uint64_t end) noexcept {
    struct stat status {};
    if (fstat(file_.get(), &status) == 0) {
        length_ = static_cast<std::uint64_t>(status.st_size);
    }
    return end <= length_;
}

bool SharedMemory::try_map(std::uint64_t size) {
    try {
        maps_.emplace_back(
            Mappable{file_.get()},
            boost::interprocess::read_write,
            0,
            static_cast<std::size_t>(size)
        );
        return true;
    } catch (const boost::interprocess::interprocess_exception&) {
        return false;
    }
}

}  // namespace cofutures::process
