#pragma once

#include <cofutures/executor.hpp>
#include <cofutures/future.hpp>

#include "support/gate.hpp"

#include <memory>

namespace cofutures::test {

/// Occupies a thread of an executor until it is let go.
class Blocker {
public:
    explicit Blocker(Executor& executor)
        : future_(executor.submit([gates = gates_] {
              gates->began.open();
              gates->may_end.wait();
          })) {
        gates_->began.wait();
    }
    Blocker(const Blocker&) = delete;
    Blocker& operator=(const Blocker&) = delete;
    ~Blocker() { let_go(); }

    void let_go() { gates_->may_end.open(); }
    [[nodiscard]] const Future<void>& future() const { return future_; }

private:
    struct Gates {
        Gate began;
        Gate may_end;
    };

    std::shared_ptr<Gates> gates_ = std::make_shared<Gates>();
    Future<void> future_;
};

}  // namespace cofutures::test
