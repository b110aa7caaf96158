#include "process/claim_table.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace cofutures::process {

std::pair<ClaimTable, FileDescriptor> ClaimTable::make() noexcept {
    FileDescriptor descriptor(::memfd_create("cofutures-claims", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    // No worker can take away what the pool looks at.
    if (descriptor.get() < 0 || ::ftruncate(descriptor.get(), bytes) != 0 ||
        ::fcntl(descriptor.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
        return {};
    }
    ClaimTable table = map(descriptor);
    if (!table) {
        return {};
    }
    return {std::move(table), std::move(descriptor)};
}

ClaimTable ClaimTable::open(FileDescriptor descriptor) noexcept {
    return descriptor.get() < 0 ? ClaimTable() : map(descriptor);
}

ClaimTable ClaimTable::map(const FileDescriptor& descriptor) noexcept {
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.get(), 0);
    return memory == MAP_FAILED ? ClaimTable() : ClaimTable(static_cast<Slot*>(memory));
}

ClaimTable::~ClaimTable() {
    if (slots_ != nullptr) {
        ::munmap(slots_, bytes);
    }
}

}  // namespace cofutures::process
