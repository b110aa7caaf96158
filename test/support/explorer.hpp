#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// @file
/// Runs a small model of a protocol in every order in which its threads can take turns.
///
/// A model's threads are coroutines, and every access to what they share is a `co_await`: a place
/// where another thread may come first. The explorer runs the model again and again, each time with
/// another order, until there is none left; an order in which nobody can go on, or in which a check
/// fails, is reported with all its steps. Orders with more than a few pre-emptions are left out:
/// nearly all faults need two or three (Musuvathi and Qadeer, CHESS), and without a bound even
/// small models have too many orders.
///
/// What it cannot see: memory is sequentially consistent here. That a weaker order is enough is for
/// the comments of the code, and for ThreadSanitizer.

namespace cofutures::test::explorer {

class Run;

/// Part of a thread's program: a coroutine that a thread runs, or another one awaits.
template <class T = void>
class Step;

namespace detail {

struct PromiseBase {
    std::coroutine_handle<> caller = std::noop_coroutine();
    std::exception_ptr error;

    struct Return {
        bool await_ready() noexcept { return false; }
        template <class P>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<P> done) noexcept {
            return done.promise().caller;
        }
        void await_resume() noexcept {}
    };
    std::suspend_always initial_suspend() noexcept { return {}; }
    Return final_suspend() noexcept { return {}; }
    void unhandled_exception() noexcept { error = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
    std::optional<T> value;
    Step<T> get_return_object();
    void return_value(T result) { value = std::move(result); }
};

template <>
struct Promise<void> : PromiseBase {
    Step<void> get_return_object();
    void return_void() noexcept {}
};

}  // namespace detail

template <class T>
class [[nodiscard]] Step {
public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    explicit Step(Handle handle) noexcept : handle_(handle) {}
    Step(Step&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Step& operator=(Step&&) = delete;
    ~Step() {
        if (handle_) {
            handle_.destroy();
        }
    }

    [[nodiscard]] Handle handle() const noexcept { return handle_; }

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
        handle_.promise().caller = caller;
        return handle_;
    }
    T await_resume() {
        if (handle_.promise().error) {
            std::rethrow_exception(handle_.promise().error);
        }
        if constexpr (!std::is_void_v<T>) {
            return std::move(*handle_.promise().value);
        }
    }

private:
    Handle handle_;
};

template <class T>
Step<T> detail::Promise<T>::get_return_object() {
    return Step<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Step<void> detail::Promise<void>::get_return_object() {
    return Step<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

/// What is explored, and how far.
struct Options {
    int preemptions = 2;                  ///< at most so many in one order
    std::size_t most_orders = 2'000'000;  ///< gives up there, and says so
};

/// What came out.
struct Result {
    std::size_t orders = 0;
    bool complete = false;  ///< all orders within the bound were run
    std::string failure;    ///< why the first bad one is bad; empty if there is none
    std::string steps;      ///< what it did
};

/// One run of the model, in one order.
class Run {
public:
    /// Adds a thread. `name` is a literal.
    void spawn(const char* name, Step<> program) {
        threads_.push_back(std::make_unique<Thread>(name, std::move(program)));
        threads_.back()->resume_at = threads_.back()->program.handle();
    }

    /// What must hold when all threads have ended.
    void at_end(std::function<bool()> holds, const char* what) {
        at_end_.push_back({std::move(holds), what});
    }

    /// Ends the run as a bad one unless `holds`.
    static void check(bool holds, const char* what) {
        if (!holds) {
            throw std::logic_error(what);
        }
    }

    /// Waits for its turn, once `may_go()` holds, then does `action()`: one indivisible step.
    template <class MayGo, class Action>
    auto turn(const char* what, MayGo may_go, Action action) {
        return Turn<MayGo, Action>(*this, what, std::move(may_go), std::move(action));
    }

    /// Waits until `holds()`: for what is told by others, and for a spin that never gives up.
    template <class Holds>
    auto until(const char* what, Holds holds) {
        return turn(what, std::move(holds), [] {});
    }

    /// Something that may come out either way, such as whether a spin gives up: both are tried.
    bool either() { return choose(2) == 1; }

private:
    template <class Make>
    friend Result explore(Options options, Make make);

    template <class MayGo, class Action>
    class Turn {
    public:
        Turn(Run& run, const char* what, MayGo may_go, Action action)
            : run_(run), what_(what), may_go_(std::move(may_go)), action_(std::move(action)) {}

        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> handle) {
            Thread& thread = *run_.current_;
            thread.resume_at = handle;
            thread.next = what_;
            thread.may_go = [this] {
                return may_go_();
            };
        }
        std::invoke_result_t<Action&> await_resume() { return action_(); }

    private:
        Run& run_;
        const char* what_;
        MayGo may_go_;
        Action action_;
    };

    struct Thread {
        Thread(const char* name_, Step<> program_) : name(name_), program(std::move(program_)) {}

        const char* name;
        Step<> program;
        std::coroutine_handle<> resume_at;
        const char* next = "begins";
        std::function<bool()> may_go = [] {
            return true;
        };

        [[nodiscard]] bool ended() const { return program.handle().done(); }
        [[nodiscard]] bool can_go() const { return !ended() && may_go(); }
    };
    struct Choice {
        std::size_t taken;
        std::size_t options;
    };
    struct Condition {
        std::function<bool()> holds;
        const char* what;
    };

    Run(int preemptions, std::vector<Choice>& choices)
        : preemptions_left_(preemptions), choices_(choices) {}

    // As in the run before up to where that one is to be left; then the first option.
    std::size_t choose(std::size_t options) {
        if (options == 1) {
            return 0;
        }
        if (made_ == choices_.size()) {
            choices_.push_back({0, options});
        }
        return choices_[made_++].taken;
    }

    // Null if nobody can go on.
    Thread* choose_thread() {
        std::vector<Thread*> able;
        const bool goes_on = current_ != nullptr && current_->can_go();
        if (goes_on) {
            able.push_back(current_);
        }
        if (!goes_on || preemptions_left_ > 0) {
            for (const auto& thread : threads_) {
                if (thread.get() != current_ && thread->can_go()) {
                    able.push_back(thread.get());
                }
            }
        }
        if (able.empty()) {
            return nullptr;
        }
        Thread* chosen = able[choose(able.size())];
        if (goes_on && chosen != current_) {
            --preemptions_left_;
        }
        return chosen;
    }

    // Runs it to the end; gives what went wrong.
    std::string execute() {
        while (Thread* thread = choose_thread()) {
            current_ = thread;
            steps_.emplace_back(thread->name, thread->next);
            if (steps_.size() > most_steps) {
                return "it does not end";
            }
            thread->resume_at.resume();
            if (thread->ended() && thread->program.handle().promise().error) {
                try {
                    std::rethrow_exception(thread->program.handle().promise().error);
                } catch (const std::exception& error) {
                    return error.what();
                }
            }
        }
        std::string waiting;
        for (const auto& thread : threads_) {
            if (!thread->ended()) {
                waiting +=
                    std::string(waiting.empty() ? "" : ", ") + thread->name + " at " + thread->next;
            }
        }
        if (!waiting.empty()) {
            return "nobody can go on: " + waiting;
        }
        for (const Condition& condition : at_end_) {
            if (!condition.holds()) {
                return condition.what;
            }
        }
        return {};
    }

    [[nodiscard]] std::string steps() const {
        std::ostringstream text;
        for (const auto& [thread, what] : steps_) {
            text << "  " << thread << ": " << what << '\n';
        }
        return text.str();
    }

    static constexpr std::size_t most_steps = 2'000;

    int preemptions_left_;
    std::vector<Choice>& choices_;
    std::size_t made_ = 0;
    std::vector<Condition> at_end_;  // outlives the threads: these keep what they share
    std::vector<std::unique_ptr<Thread>> threads_;
    Thread* current_ = nullptr;
    std::vector<std::pair<const char*, const char*>> steps_;
};

/// Runs what `make(Run&)` sets up, in every order within the bound, until one is bad. What threads
/// share belongs to an object that at_end()'s functions keep.
template <class Make>
Result explore(Options options, Make make) {
    Result result;
    std::vector<Run::Choice> choices;
    while (result.orders < options.most_orders) {
        Run run(options.preemptions, choices);
        make(run);
        ++result.orders;
        result.failure = run.execute();
        if (!result.failure.empty()) {
            result.steps = run.steps();
            return result;
        }
        // The last choice that has an option left takes it; what came after it is forgotten.
        while (!choices.empty() && choices.back().taken + 1 == choices.back().options) {
            choices.pop_back();
        }
        if (choices.empty()) {
            result.complete = true;
            return result;
        }
        ++choices.back().taken;
    }
    return result;
}

/// What std::atomic is in the code: each operation is one step.
template <class T>
class Atomic {
public:
    Atomic(Run& run, const char* name, T value) : run_(run), name_(name), value_(value) {}

    auto load() {
        return step([this] { return value_; });
    }
    auto store(T value) {
        return step([this, value] { value_ = value; });
    }
    auto exchange(T value) {
        return step([this, value] { return std::exchange(value_, value); });
    }
    auto fetch_add(T value) {
        return step([this, value] { return std::exchange(value_, value_ + value); });
    }
    auto fetch_and(T bits) {
        return step([this, bits] { return std::exchange(value_, value_ & bits); });
    }
    auto fetch_or(T bits) {
        return step([this, bits] { return std::exchange(value_, value_ | bits); });
    }
    auto fetch_xor(T bits) {
        return step([this, bits] { return std::exchange(value_, value_ ^ bits); });
    }
    auto compare_exchange(T expected, T wanted) {
        return step([this, expected, wanted] {
            const bool equal = value_ == expected;
            value_ = equal ? wanted : value_;
            return equal;
        });
    }

    /// The value, for checks and for conditions: no step of a thread.
    [[nodiscard]] T peek() const { return value_; }

private:
    template <class Action>
    auto step(Action action) {
        return run_.turn(
            name_, [] { return true; }, std::move(action)
        );
    }

    Run& run_;
    const char* name_;
    T value_;
};

/// What std::mutex is in the code. What it guards needs no steps.
class Mutex {
public:
    explicit Mutex(Run& run) : run_(run) {}

    auto lock() {
        return run_.turn(
            "mutex", [this] { return !held_; }, [this] { held_ = true; }
        );
    }
    void unlock() { held_ = false; }

private:
    Run& run_;
    bool held_ = false;
};

}  // namespace cofutures::test::explorer
