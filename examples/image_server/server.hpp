#pragma once

#include "metrics.hpp"
#include "options.hpp"
#include "service.hpp"
#include "session.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <unordered_set>

namespace image_server {

/// Accepts connections until a signal asks it to end, then lets what is under way finish.
///
/// All of it runs on the one thread that runs the io_context.
class Server {
public:
    /// Listens; nothing is accepted before run().
    ///
    /// @throws boost::system::system_error  if it cannot listen there.
    Server(boost::asio::io_context& io, Options options);

    /// Where it listens, such as `http://127.0.0.1:8080`.
    [[nodiscard]] std::string url() const;

    /// Serves until SIGTERM or SIGINT, and drains. Another signal cuts the draining short.
    ///
    /// @returns Whether all requests that were under way have been answered.
    [[nodiscard]] boost::asio::awaitable<bool> run();

private:
    [[nodiscard]] boost::asio::awaitable<void> accept();
    [[nodiscard]] boost::asio::awaitable<void> measure_lateness();
    [[nodiscard]] boost::asio::awaitable<bool> drain();
    [[nodiscard]] boost::asio::awaitable<void> hurry_on_signal();
    [[nodiscard]] boost::asio::awaitable<void> session_left();
    void start(boost::asio::ip::tcp::socket socket);

    const Options options_;
    boost::asio::io_context& io_;
    Metrics metrics_;
    Service service_;
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::signal_set signals_;
    boost::asio::steady_timer ticker_;
    boost::asio::steady_timer session_left_;  // never expires; cancelled when a session has ended
    boost::asio::steady_timer deadline_;      // of the draining
    std::unordered_set<std::shared_ptr<Session>> sessions_;
    bool ended_ = false;
};

}  // namespace image_server
