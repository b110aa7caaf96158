#pragma once

#include "process/child_process.hpp"

#include <boost/interprocess/mapped_region.hpp>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

namespace cofutures::process {

/// Memory that processes share: a file that has no name, so that nothing can be left of it, and
/// that can grow but not shrink, so that no process can take away what another one reads.
///
/// @thread_safety Distinct objects: safe. Shared objects: safe; the bytes are the users' to guard.
class SharedMemory {
public:
    /// Makes an empty one.
    ///
    /// @throws boost::system::system_error  if the system has no such thing, or no descriptors.
    SharedMemory();
    /// Takes the descriptor of one that another process made.
    explicit SharedMemory(FileDescriptor file) noexcept : file_(std::move(file)) {}

    [[nodiscard]] int descriptor() const noexcept { return file_.get(); }

    /// How many bytes have memory behind them. Not to be asked when detached.
    [[nodiscard]] std::uint64_t size() const noexcept;

    /// Makes the file so long; no memory is put behind it.
    ///
    /// @throws boost::system::system_error  if the system does not allow it.
    void extend(std::uint64_t length);

    /// Maps so many bytes, however long the file is by now, and lets go of the descriptor. For who
    /// trusts the process that made the file: views are not compared with its length any more.
    ///
    /// @returns False, and it is not detached, if there is no room among the addresses.
    bool detach(std::uint64_t length);

    /// Puts memory behind a range of the file, which grows as needed unless this is detached.
    ///
    /// @returns False if the system has none. That is known now, and not when it is written to.
    [[nodiscard]] bool provide(std::uint64_t offset, std::uint64_t size) noexcept;

    /// Gives the memory behind a range back to the system.
    void give_back(std::uint64_t offset, std::uint64_t size) noexcept;

    /// Gives a range of the file to read and write, which stays as long as this object.
    ///
    /// @throws SerializationError  if the file is shorter, or there is no room for it among this
    ///                             process's addresses.
    [[nodiscard]] std::span<std::byte> view(std::uint64_t offset, std::uint64_t size);

private:
    bool has_grown_to(std::uint64_t end) noexcept;
    bool try_map(std::uint64_t size);

    FileDescriptor file_;
    std::mutex mutex_;          // guards what follows
    std::uint64_t length_ = 0;  // of the file, as far as that is known
    // Each from the file's beginning. Views of the smaller ones may be in use.
    std::vector<boost::interprocess::mapped_region> maps_;
};

}  // namespace cofutures::process
