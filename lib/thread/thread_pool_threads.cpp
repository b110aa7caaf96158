// The threads of a ThreadPool: how they start, wait, drain the queue and leave.

#include "thread/thread_pool.hpp"

#include <cofutures/detail/callback_error.hpp>

#include "core/spin.hpp"
#include "core/thread_name.hpp"
#include "core/wait_graph.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace cofutures::thread {

namespace {

using detail::Clock;

// How long a drainer stays before it gives way to other handlers of the Asio pool.
constexpr auto turn_length = std::chrono::microseconds(100);

// How long a thread that is more than max_workers stays when nobody needs it.
constexpr auto extra_stay = std::chrono::milliseconds(100);

}  // namespace

thread_local constinit ThreadPool::Worker* ThreadPool::current_worker_ = nullptr;

// --- waking -------------------------------------------------------------------------------------

// Under the mutex: takes one more drainer, of an idle thread or a new one, if there may be one. The
// caller wakes it when the mutex is free.
ThreadPool::Call ThreadPool::call_for_help() {
    if (drainers_ >= drainers_allowed_) {
        return {};
    }
    if (free_drainers_ == nullptr && live_ < drainers_allowed_) {
        try {
            start_thread();
        } catch (...) {
            if (live_ == 0) {
                throw;
            }
            // Those that there are will do the work; one that waits for it tries again.
            threads_refused_.store(true, std::memory_order_relaxed);
        }
    }
    if (free_drainers_ == nullptr) {
        return {};
    }
    Drainer& drainer = *free_drainers_;
    free_drainers_ = drainer.next_free;
    return call(drainer);
}

// Under the mutex: the same by those who leave tasks in the queue. There are threads, so it cannot
// fail.
ThreadPool::Call ThreadPool::call_for_more() noexcept {
    collect();
    return searching_ == 0 && queue_.size() > arriving_ ? call_for_help() : Call();
}

// Under the mutex.
ThreadPool::Call ThreadPool::call(Drainer& drainer) noexcept {
    ++drainers_;
    ++arriving_;
    drainer.is_arriving = true;
    drainer.is_called = !drainer.in_asio;
    decide_where_tasks_submit();
    return {.drainer = &drainer, .in_asio = drainer.in_asio};
}

struct ThreadPool::Drain {
    using allocator_type = Drainer::Allocator<void>;

    allocator_type get_allocator() const noexcept { return allocator_type(*drainer); }
    void operator()() const noexcept { pool->drain(*drainer); }

    ThreadPool* pool;
    Drainer* drainer;
};

void ThreadPool::wake(Call call) noexcept {
    if (call.drainer == nullptr) {
        return;
    }
    if (call.in_asio) {
        boost::asio::post(asio_, Drain{this, call.drainer});
    } else {
        call.drainer->changed.notify_one();
    }
}

// --- threads ------------------------------------------------------------------------------------

// Under the mutex.
void ThreadPool::start_thread() {
    if (vacant_ == nullptr) {
        vacant_ = &workers_.emplace_back(workers_.size());
    }
    Worker& worker = *vacant_;
    worker.thread = std::thread([self = shared_from_this(), &worker] { self->run_thread(worker); });
    vacant_ = std::exchange(worker.next_vacant, nullptr);
    ++live_;
    threads_refused_.store(false, std::memory_order_relaxed);
    worker.drainer.in_asio = false;
    join_asio(worker.drainer);
    worker.drainer.next_free = std::exchange(free_drainers_, &worker.drainer);
}

void ThreadPool::run_thread(Worker& self) noexcept {
    const detail::WorkerContext context(
        *this,
        config_.observer == nullptr ? std::string()
                                    : config_.name_prefix + '_' + std::to_string(self.index)
    );
    detail::name_this_thread(config_.name_prefix, self.index);
    current_worker_ = &self;
    do {
        if (initialize(self)) {
            work(self);
            finalize();
        }
    } while (!leave(self));
}

bool ThreadPool::initialize(Worker& self) noexcept {
    if (config_.initializer) {
        try {
            config_.initializer();
        } catch (...) {
            fail_initializer(self, std::current_exception());
            return false;
        }
    }
    return true;
}

void ThreadPool::finalize() noexcept {
    if (config_.finalizer) {
        detail::run_reporting_errors(config_.finalizer);
    }
}

// A thread that is there only as another one's stack is full goes by that one's name.
void ThreadPool::begin_substitute() {
    if (config_.initializer) {
        config_.initializer();
    }
}

void ThreadPool::end_substitute() noexcept {
    finalize();
}

// Waits for calls and follows them, until the thread is to leave.
void ThreadPool::work(Worker& self) noexcept {
    Drainer& drainer = self.drainer;
    std::unique_lock lock(mutex_);
    auto idle_since = Clock::time_point::max();
    while (!drainer.in_asio) {
        if (std::exchange(drainer.is_called, false)) {
            lock.unlock();
            drain(drainer);
            lock.lock();
            idle_since = Clock::time_point::max();
            continue;
        }
        if (threads_let_go_) {
            take_off_free_list(drainer);
            return;
        }
        if (!config_.idle_timeout && live_ <= config_.max_threads) {
            drainer.changed.wait(lock);
            continue;
        }
        idle_since = std::min(idle_since, Clock::now());
        const detail::Deadline end = stay_until(idle_since);
        if (detail::has_passed(end)) {
            take_off_free_list(drainer);
            return;
        }
        if (end) {
            drainer.changed.wait_until(lock, *end);
        } else {
            drainer.changed.wait(lock);
        }
    }
    lock.unlock();
    detail::WorkerContext::current()->run_handlers();
    asio_.attach();
}

// Under the mutex.
detail::Deadline ThreadPool::stay_until(Clock::time_point idle_since) const noexcept {
    detail::Deadline end;
    const auto stay = [&](std::chrono::nanoseconds time) {
        if (time < Clock::time_point::max() - idle_since) {
            end = std::min(end.value_or(Clock::time_point::max()), idle_since + time);
        }
    };
    if (config_.idle_timeout) {
        stay(*config_.idle_timeout);
    }
    if (live_ > config_.max_threads) {
        stay(extra_stay);
    }
    return end;
}

// Under the mutex.
void ThreadPool::take_off_free_list(Drainer& drainer) noexcept {
    for (Drainer** link = &free_drainers_; *link != nullptr; link = &(*link)->next_free) {
        if (*link == &drainer) {
            *link = drainer.next_free;
            return;
        }
    }
}

// Under the mutex, or by the drainer's thread under it: the thread goes to Asio, if others want
// its executor and do not have all threads yet. Those in excess of max_workers stay here, where
// they can leave.
bool ThreadPool::join_asio(Drainer& drainer) noexcept {
    if (!drainer.in_asio && shared_with_asio_.load(std::memory_order_relaxed) &&
        attached_ < config_.max_threads) {
        drainer.in_asio = true;
        ++attached_;
    }
    return drainer.in_asio;
}

// Under the mutex: threads that are idle go to Asio at once, the others when they have done what
// they do.
void ThreadPool::send_free_to_asio() noexcept {
    for (Drainer* drainer = free_drainers_; drainer != nullptr; drainer = drainer->next_free) {
        if (join_asio(*drainer)) {
            drainer->changed.notify_one();
        }
    }
}

// Under the mutex: whether a thread that has finished must begin anew, as nobody else would do what
// has come up meanwhile.
bool ThreadPool::is_wanted_again(Drainer& drainer) noexcept {
    if (initializer_error_ || drainer.in_asio) {
        return false;
    }
    if (join_asio(drainer)) {
        drainer.next_free = std::exchange(free_drainers_, &drainer);
        return true;
    }
    if (free_drainers_ == nullptr && searching_ == 0 && queue_.size() > arriving_ &&
        drainers_ < drainers_allowed_ && live_ <= drainers_allowed_) {
        call(drainer);
        return true;
    }
    return false;
}

// The last that a thread does. False if it is wanted again.
bool ThreadPool::leave(Worker& self) noexcept {
    std::thread predecessor;
    std::optional<Promise<void>> ended;
    Call called;
    bool was_counted_on = false;
    std::unique_lock graph(detail::wait_graph_mutex, std::defer_lock);
    {
        const std::lock_guard lock(mutex_);
        collect();
        if (is_wanted_again(self.drainer)) {
            return false;
        }
        graph.lock();  // who looks at the waits finds this thread there and counted, or neither
        --live_;
        detail::WorkerContext::current()->retire();
        was_counted_on = shared_with_asio_.load(std::memory_order_relaxed) &&
                         (initializer_error_ || (shut_down_ && live_ == 0));
        predecessor = std::exchange(left_, std::move(self.thread));
        if (!self.drainer.in_asio) {
            self.next_vacant = std::exchange(vacant_, &self);
        }
        called = call_for_more();
        let_threads_go();
        ended = take_ended();
    }
    if (was_counted_on) {
        detail::refuse_endless_waits();  // for handlers, as nobody comes in its place
    }
    graph.unlock();
    wake(called);
    if (predecessor.joinable()) {
        predecessor.join();
    }
    if (ended) {
        timer_->stop();
        ended->set_result();
    }
    return true;
}

void ThreadPool::worker_waits() noexcept {
    if (!threads_refused_.load(std::memory_order_relaxed) || !home_.is_here()) {
        return;
    }
    Call called;
    {
        const std::lock_guard lock(mutex_);
        called = call_for_more();
    }
    wake(called);
}

void ThreadPool::worker_blocks() noexcept {
    if (config_.max_extra_threads == 0 || !home_.is_here()) {
        return;
    }
    Call called;
    {
        const std::lock_guard lock(mutex_);
        drainers_allowed_ = config_.max_threads + std::min(++blocked_, config_.max_extra_threads);
        decide_where_tasks_submit();
        called = call_for_more();
    }
    wake(called);
}

void ThreadPool::worker_goes_on() noexcept {
    if (config_.max_extra_threads == 0 || !home_.is_here()) {
        return;
    }
    const std::lock_guard lock(mutex_);
    drainers_allowed_ = config_.max_threads + std::min(--blocked_, config_.max_extra_threads);
    decide_where_tasks_submit();
}

// --- draining -----------------------------------------------------------------------------------

void ThreadPool::drain(Drainer& drainer) noexcept {
    const bool limited = shared_with_asio_.load(std::memory_order_relaxed);
    // Handlers that come up in the middle of an unlimited turn get theirs after the task.
    const auto end_of_turn = limited ? Clock::now() + turn_length : Clock::time_point::min();
    while (const detail::StatePtr task = next_task(drainer)) {
        task->run();
        if (config_.observer != nullptr) {
            report_if_cancelled(*task);
        }
        // A task that runs on is a coroutine, whose handlers may be among those that wait.
        if (shared_with_asio_.load(std::memory_order_relaxed) &&
            (task->running() || Clock::now() >= end_of_turn) && end_turn(drainer)) {
            return;
        }
    }
}

// Has the drainer go on behind the handlers that wait for their turn; false if its thread is none
// of Asio's.
bool ThreadPool::end_turn(Drainer& drainer) noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (!join_asio(drainer)) {
            return false;
        }
    }
    wake({.drainer = &drainer, .in_asio = true});
    return true;
}

// The next task to run; null if there is none, or too many drainers are at work, and the caller is
// then no drainer any more.
detail::StatePtr ThreadPool::next_task(Drainer& drainer) noexcept {
    std::unique_lock lock(mutex_);
    if (std::exchange(drainer.is_arriving, false)) {
        --arriving_;
    }
    collect();
    if (queue_.empty() && searching_ == 0 && !shut_down_) {
        search(lock);
    }
    if (ceases()) {
        drainer.next_free = std::exchange(free_drainers_, &drainer);
        join_asio(drainer);
        let_threads_go();
        return nullptr;
    }
    return take_task(lock);
}

// Looks for a while whether a task comes.
void ThreadPool::search(std::unique_lock<std::mutex>& lock) noexcept {
    ++searching_;
    decide_where_tasks_submit();
    if (!collect()) {
        lock.unlock();
        detail::spin_until([this] { return queue_filled_.load(std::memory_order_relaxed); });
        lock.lock();
    }
    --searching_;
    decide_where_tasks_submit();
}

// Under the mutex: whether the caller, for want of tasks, or as there are too many of them, is no
// drainer any more.
bool ThreadPool::ceases() noexcept {
    if (!queue_.empty() && drainers_ <= drainers_allowed_) {
        return false;
    }
    --drainers_;
    decide_where_tasks_submit();
    // Those that are still too many, or just enough, will look when they are through.
    if (drainers_ < drainers_allowed_ && collect()) {
        ++drainers_;
        decide_where_tasks_submit();
        return false;
    }
    return true;
}

detail::StatePtr ThreadPool::take_task(std::unique_lock<std::mutex>& lock) noexcept {
    detail::StatePtr task = queue_.pop();
    Call called;
    if (queue_.empty()) {
        queue_filled_.store(false, std::memory_order_relaxed);
    } else {
        called = call_for_more();
    }
    lock.unlock();
    wake(called);
    return task;
}

// --- Asio ---------------------------------------------------------------------------------------

boost::asio::thread_pool::executor_type ThreadPool::executor() {
    check_process();
    if (shared_with_asio_.load(std::memory_order_relaxed) &&
        !closed_.load(std::memory_order_relaxed)) {
        return asio_.get_executor();
    }
    const std::lock_guard lock(mutex_);
    check_not_broken();
    try {
        while (!shut_down_ && live_ < config_.max_threads) {
            start_thread();
        }
    } catch (...) {
        if (live_ == 0) {
            throw;
        }
        // Those that there are will run the handlers.
        threads_refused_.store(true, std::memory_order_relaxed);
    }
    shared_with_asio_.store(true, std::memory_order_relaxed);
    send_free_to_asio();
    return asio_.get_executor();
}

}  // namespace cofutures::thread
