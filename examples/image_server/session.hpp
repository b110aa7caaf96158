#pragma once

#include "http.hpp"
#include "metrics.hpp"
#include "options.hpp"
#include "routes.hpp"
#include "service.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <optional>

namespace image_server {

/// One connection: reads requests, has them answered one after another, writes the answers.
class Session {
public:
    /// @param service, options, metrics  Must outlive the session.
    Session(
        boost::asio::ip::tcp::socket socket,
        Service& service,
        const Options& options,
        Metrics& metrics
    );

    /// Serves the connection until it ends. Throws nothing that a client could cause.
    [[nodiscard]] boost::asio::awaitable<void> run();

    /// Ends after the answer to the request that is under way, or at once if there is none.
    void drain();

    /// Ends at once; cancels what is under way.
    void abort();

private:
    using Parser = boost::beast::http::request_parser<Body>;

    [[nodiscard]] boost::asio::awaitable<bool> serve_request();
    [[nodiscard]] boost::asio::awaitable<std::optional<Response>>
    respond_to(Parser& parser, Route& route);
    [[nodiscard]] boost::asio::awaitable<boost::system::error_code> read_body(Parser& parser);
    [[nodiscard]] boost::asio::awaitable<std::optional<Response>> work_on(Call call, Bytes upload);
    [[nodiscard]] boost::asio::awaitable<bool> write(Response response, const Parser& parser);
    [[nodiscard]] boost::asio::awaitable<void> linger();
    void count(Route route, unsigned status, std::chrono::steady_clock::time_point start);

    boost::beast::tcp_stream stream_;
    boost::beast::flat_buffer buffer_;
    Service& service_;
    const Options& options_;
    Metrics& metrics_;
    bool between_requests_ = false;
    bool draining_ = false;
    bool unread_input_ = false;
};

}  // namespace image_server
