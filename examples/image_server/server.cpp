#include "server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <csignal>
#include <exception>
#include <iostream>
#include <sstream>
#include <utility>

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;

namespace image_server {

namespace {

constexpr auto tick = 10ms;
constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

tcp::endpoint endpoint_of(const Options& options) {
    return {asio::ip::make_address(options.address), options.port};
}

}  // namespace

Server::Server(asio::io_context& io, Options options)
    : options_(std::move(options)),
      io_(io),
      service_(options_, metrics_),
      acceptor_(io, endpoint_of(options_)),
      signals_(io, SIGINT, SIGTERM),
      ticker_(io),
      session_left_(io, asio::steady_timer::time_point::max()),
      deadline_(io) {}

std::string Server::url() const {
    std::ostringstream out;
    out << "http://" << acceptor_.local_endpoint();
    return out.str();
}

asio::awaitable<bool> Server::run() {
    asio::co_spawn(io_, measure_lateness(), asio::detached);
    asio::co_spawn(io_, accept(), asio::detached);
    co_await signals_.async_wait(asio::use_awaitable);
    std::cout << "Draining" << std::endl;
    const bool clean = co_await drain();
    ended_ = true;
    ticker_.cancel();
    signals_.cancel();
    co_return clean;
}

asio::awaitable<void> Server::accept() {
    while (acceptor_.is_open()) {
        if (sessions_.size() >= options_.max_connections) {
            co_await session_left();
            continue;
        }
        auto [error, socket] = co_await acceptor_.async_accept(as_tuple);
        if (!error) {
            start(std::move(socket));
        } else if (acceptor_.is_open()) {
            // Such as too many open files: try again when there may be fewer.
            asio::steady_timer pause(io_, 50ms);
            co_await pause.async_wait(as_tuple);
        }
    }
}

void Server::start(tcp::socket socket) {
    const auto session = std::make_shared<Session>(std::move(socket), service_, options_, metrics_);
    sessions_.insert(session);
    ++metrics_.connections_accepted;
    metrics_.connections_open = sessions_.size();
    asio::co_spawn(io_, session->run(), [this, session](const std::exception_ptr&) {
        sessions_.erase(session);
        metrics_.connections_open = sessions_.size();
        session_left_.cancel();
    });
}

// The timer's lateness is how long a request waits for the event loop.
asio::awaitable<void> Server::measure_lateness() {
    while (!ended_) {
        ticker_.expires_after(tick);
        const auto [error] = co_await ticker_.async_wait(as_tuple);
        if (!error) {
            metrics_.loop_lateness.observe(std::chrono::steady_clock::now() - ticker_.expiry());
        }
    }
}

asio::awaitable<void> Server::session_left() {
    co_await session_left_.async_wait(as_tuple);
}

asio::awaitable<void> Server::hurry_on_signal() {
    const auto [error, signal] = co_await signals_.async_wait(as_tuple);
    if (!error) {
        deadline_.expires_at(std::chrono::steady_clock::now());
    }
}

asio::awaitable<bool> Server::drain() {
    using namespace asio::experimental::awaitable_operators;
    deadline_.expires_after(options_.drain_time);
    asio::co_spawn(io_, hurry_on_signal(), asio::detached);
    service_.drain();
    acceptor_.close();
    session_left_.cancel();  // accept() may wait for it
    const auto open = sessions_;
    for (const auto& session : open) {
        session->drain();
    }
    const auto in_time = [this] {
        return std::chrono::steady_clock::now() < deadline_.expiry();
    };
    while (!sessions_.empty() && in_time()) {
        co_await (session_left() || deadline_.async_wait(as_tuple));
    }
    const bool answered = sessions_.empty();
    for (const auto& session : sessions_) {
        session->abort();
    }
    while (!sessions_.empty()) {
        co_await session_left();
    }
    // Nothing of a client's is left; the workers at most end tasks that nobody waits for.
    co_await service_.shut_down(deadline_.expiry());
    co_return answered;
}

}  // namespace image_server
