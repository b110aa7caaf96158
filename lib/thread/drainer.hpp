#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>

namespace cofutures::thread {

/// The right to be a drainer, and what wakes one.
///
/// Each thread of a pool brings one, and a drainer keeps it from when it is called until it finds
/// nothing to do: waking a thread allocates nothing, and so cannot fail. A thread that waits by
/// itself is woken by it; once the thread has joined Asio, any of Asio's threads may be the
/// drainer, and this is the memory of the handler that is posted for it.
class Drainer {
public:
    Drainer() = default;
    Drainer(const Drainer&) = delete;
    Drainer& operator=(const Drainer&) = delete;

    /// Allocates a handler in a drainer. Whoever owns the drainer is the only one to use it.
    template <class T>
    class Allocator {
    public:
        using value_type = T;

        explicit Allocator(Drainer& drainer) noexcept : drainer_(&drainer) {}
        template <class U>
        // NOLINTNEXTLINE(google-explicit-constructor): as allocators convert
        Allocator(const Allocator<U>& other) noexcept : drainer_(other.drainer_) {}

        T* allocate(std::size_t count) {
            // Otherwise this is a Boost with larger handlers, or with more than one for each post.
            if (count == 1 && sizeof(T) <= room && alignof(T) <= alignof(std::max_align_t) &&
                !drainer_->in_use_) {
                drainer_->in_use_ = true;
                return static_cast<T*>(static_cast<void*>(drainer_->memory_));
            }
            return std::allocator<T>().allocate(count);
        }
        void deallocate(T* memory, std::size_t count) noexcept {
            if (static_cast<void*>(memory) == drainer_->memory_) {
                drainer_->in_use_ = false;
            } else {
                std::allocator<T>().deallocate(memory, count);
            }
        }

        template <class U>
        bool operator==(const Allocator<U>& other) const noexcept {
            return drainer_ == other.drainer_;
        }

    private:
        template <class U>
        friend class Allocator;

        Drainer* drainer_;
    };

    /// Link of the list of those that are free. This and the next three belong to the pool's mutex.
    Drainer* next_free = nullptr;
    /// Called, but has yet to look at the queue.
    bool is_arriving = false;
    /// Its thread is in Asio, or on the way.
    bool in_asio = false;
    /// Called, and its thread, which is not in Asio, has yet to see it.
    bool is_called = false;
    /// One of these has changed, or there is another reason for the thread to look.
    std::condition_variable changed;

private:
    static constexpr std::size_t room = 128;  // Asio needs 48 on a 64-bit machine

    bool in_use_ = false;
    alignas(std::max_align_t) std::byte memory_[room];
};

}  // namespace cofutures::thread
