#pragma once

#include "process/process_pool.hpp"

#include <boost/asio/steady_timer.hpp>

namespace cofutures::process {

/// The pool's stay on its executor, from the first task until all workers are gone.
///
/// An operation that waits for ever keeps it, and keeps the context from running out of work. If
/// the context is destroyed first, so is that operation, and the pool learns it by this object's
/// end.
class ProcessPool::Presence {
public:
    explicit Presence(ProcessPool& pool)
        : alarm(pool.executor_), stay_(pool.executor_), pool_(pool.keep()) {}
    Presence(const Presence&) = delete;
    Presence& operator=(const Presence&) = delete;
    ~Presence() {
        if (pool_ != nullptr) {
            pool_->context_gone();
        }
    }

    static std::shared_ptr<Presence> begin(ProcessPool& pool) {
        auto presence = std::make_shared<Presence>(pool);
        presence->stay_.expires_at(TimerQueue::Time::max());
        presence->stay_.async_wait([presence](boost::system::error_code) {
            presence->pool_ = nullptr;
        });
        return presence;
    }

    void end() {
        alarm.cancel();
        stay_.cancel();
    }

    boost::asio::steady_timer alarm;

private:
    boost::asio::steady_timer stay_;
    std::shared_ptr<ProcessPool> pool_;  // not of a pool that has its context to itself
};

}  // namespace cofutures::process
