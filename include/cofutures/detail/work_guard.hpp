#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/executor.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/require.hpp>

#include <optional>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

/// Whether an executor is known to keep its context from running out of work when it is asked to.
template <class AsioExecutor>
inline constexpr bool tracks_work =
    !boost::asio::execution::is_executor<AsioExecutor>::value ||  // of the old kind, they all do
    boost::asio::can_require<AsioExecutor, boost::asio::execution::outstanding_work_t::tracked_t>::
        value ||
    std::is_same_v<AsioExecutor, boost::asio::any_io_executor>;

/// Keeps an executor's context from running out of work, until it is moved from, reset or
/// destroyed. Asio's own guard takes no strand of an `any_io_executor`, which it holds for an
/// executor of the old kind.
template <class AsioExecutor>
class WorkGuard {
    using Tracked = std::decay_t<typename boost::asio::prefer_result<
        const AsioExecutor&,
        boost::asio::execution::outstanding_work_t::tracked_t>::type>;

public:
    explicit WorkGuard(const AsioExecutor& executor)
        : tracked_(boost::asio::prefer(executor, boost::asio::execution::outstanding_work.tracked)
          ) {}
    WorkGuard(WorkGuard&& other) noexcept : tracked_(std::exchange(other.tracked_, std::nullopt)) {}
    WorkGuard& operator=(WorkGuard&&) = delete;
    ~WorkGuard() = default;

    /// For who has not moved from it.
    [[nodiscard]] const Tracked& get_executor() const noexcept { return *tracked_; }

    void reset() noexcept { tracked_.reset(); }

private:
    std::optional<Tracked> tracked_;
};

/// The same of an executor that is of the old kind only.
template <class AsioExecutor>
requires(!boost::asio::execution::is_executor<AsioExecutor>::value) class WorkGuard<AsioExecutor>
    : public boost::asio::executor_work_guard<AsioExecutor> {
public:
    using boost::asio::executor_work_guard<AsioExecutor>::executor_work_guard;
};

}  // namespace cofutures::detail
