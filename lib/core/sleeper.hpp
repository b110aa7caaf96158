#pragma once

namespace cofutures::detail {

/// A thread that sleeps in a wait.
class Sleeper {
public:
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;

    /// Ends the sleep, or the next one, whether what is awaited has come or not. On any thread.
    virtual void wake() noexcept = 0;

protected:
    Sleeper() = default;
    ~Sleeper() = default;
};

}  // namespace cofutures::detail
