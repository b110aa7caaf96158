#pragma once

#include <barrier>
#include <cstddef>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

namespace cofutures::test {

/// Threads that start together, round after round.
class Crew {
public:
    using Job = std::function<void(std::size_t)>;

    explicit Crew(std::size_t size) : barrier_(static_cast<std::ptrdiff_t>(size + 1)) {
        for (std::size_t index = 0; index < size; ++index) {
            threads_.emplace_back([this, index] {
                for (;;) {
                    barrier_.arrive_and_wait();
                    if (!job_) {
                        return;
                    }
                    job_(index);
                    barrier_.arrive_and_wait();
                }
            });
        }
    }
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;
    ~Crew() {
        job_ = nullptr;
        barrier_.arrive_and_wait();
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }

    /// Calls job(index) on all threads at once; returns when all have returned.
    void play(Job job) {
        play(std::move(job), [] {});
    }
    /// The same, and calls own() on this thread at the same time.
    template <class Own>
    void play(Job job, Own own) {
        job_ = std::move(job);
        barrier_.arrive_and_wait();
        own();
        barrier_.arrive_and_wait();
    }

private:
    std::barrier<> barrier_;
    Job job_;  // changed only while all threads wait at the barrier
    std::vector<std::thread> threads_;
};

}  // namespace cofutures::test
