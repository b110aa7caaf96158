#include "session.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <cstddef>
#include <iostream>
#include <string>
#include <utility>
#include <variant>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;

namespace image_server {

namespace {

constexpr std::uint32_t header_limit = 8192;
constexpr std::chrono::seconds linger_time{2};

asio::awaitable<void> wait_until_cancelled() {
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, asio::steady_timer::time_point::max());
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

// Ends when the client has closed its end, or is gone. It reads nothing: a client that sends its
// next request already is not watched any longer.
asio::awaitable<void> peer_left(tcp::socket& socket) {
    error_code error;
    co_await socket.async_wait(
        tcp::socket::wait_read, asio::redirect_error(asio::use_awaitable, error)
    );
    if (error) {
        co_return;
    }
    char byte = 0;
    socket.receive(asio::buffer(&byte, 1), tcp::socket::message_peek, error);
    if (!error || error == asio::error::would_block) {
        co_await wait_until_cancelled();
    }
}

asio::awaitable<void> pause(std::chrono::milliseconds time) {
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, time);
    co_await timer.async_wait(asio::use_awaitable);
}

// The answer to bytes that are no request which this server takes; none to a client that is gone.
std::optional<Response> answer_to(const error_code& error) {
    if (error == http::error::end_of_stream || error == http::error::partial_message ||
        error.category() != make_error_code(http::error::body_limit).category()) {
        return std::nullopt;
    }
    if (error == http::error::body_limit) {
        return error_response(
            http::status::payload_too_large, "too_large", "the upload has too many bytes"
        );
    }
    if (error == http::error::header_limit) {
        return error_response(
            http::status::request_header_fields_too_large, "header_too_large", error.message()
        );
    }
    return error_response(http::status::bad_request, "bad_request", error.message());
}

}  // namespace

Session::Session(tcp::socket socket, Service& service, const Options& options, Metrics& metrics)
    : stream_(std::move(socket)), service_(service), options_(options), metrics_(metrics) {}

asio::awaitable<void> Session::run() {
    try {
        stream_.socket().set_option(tcp::no_delay(true));
        stream_.socket().non_blocking(true);  // for peer_left
        while (co_await serve_request()) {
        }
        if (unread_input_) {
            co_await linger();
        }
    } catch (const boost::system::system_error&) {
        // The connection broke, which is the client's affair.
    } catch (const std::exception& error) {
        std::clog << "connection: " << error.what() << '\n';
    }
    stream_.close();
}

void Session::drain() {
    draining_ = true;
    error_code error;
    // A request that is on its way already is answered.
    if (between_requests_ && stream_.socket().available(error) == 0) {
        stream_.close();
    }
}

void Session::abort() {
    draining_ = true;
    stream_.close();
}

asio::awaitable<bool> Session::serve_request() {
    Parser parser;
    parser.header_limit(header_limit);
    parser.body_limit(options_.max_body);
    stream_.expires_after(options_.idle_timeout);
    between_requests_ = buffer_.size() == 0;
    const auto [error, size] = co_await http::async_read_header(
        stream_, buffer_, parser, asio::as_tuple(asio::use_awaitable)
    );
    between_requests_ = false;
    const auto start = std::chrono::steady_clock::now();

    Route route = Route::other;
    std::optional<Response> response;
    if (error) {
        response = answer_to(error);
        unread_input_ = true;
    } else {
        response = co_await respond_to(parser, route);
    }
    if (!response) {
        co_return false;
    }
    const unsigned status = response->result_int();
    const bool go_on = co_await write(std::move(*response), parser);
    count(route, status, start);
    co_return go_on;
}

asio::awaitable<std::optional<Response>> Session::respond_to(Parser& parser, Route& route) {
    auto understood = understand(parser.get());
    if (auto* refused = std::get_if<RefusedCall>(&understood)) {
        route = refused->route;
        unread_input_ = !parser.is_done();  // the body is not wanted
        co_return std::move(refused->response);
    }
    const Call call = std::get<Call>(understood);
    route = call.route;
    const std::uint64_t size = parser.content_length().value_or(options_.max_body);
    const auto room = service_.make_room(parser.is_done() ? 0 : size);
    if (!room) {
        unread_input_ = true;
        co_return service_.overloaded();
    }
    if (const error_code error = co_await read_body(parser)) {
        unread_input_ = true;
        co_return answer_to(error);
    }
    co_return co_await work_on(call, std::move(parser.get().body()));
}

asio::awaitable<error_code> Session::read_body(Parser& parser) {
    stream_.expires_after(options_.request_timeout);
    if (beast::iequals(parser.get()[http::field::expect], "100-continue") && !parser.is_done()) {
        http::response<http::empty_body> go_on(http::status::continue_, 11);
        co_await http::async_write(stream_, go_on, asio::use_awaitable);
    }
    const auto [error, size] =
        co_await http::async_read(stream_, buffer_, parser, asio::as_tuple(asio::use_awaitable));
    co_return error;
}

asio::awaitable<std::optional<Response>> Session::work_on(Call call, Bytes upload) {
    using namespace asio::experimental::awaitable_operators;
    if (call.route != Route::thumbnail) {
        co_return co_await service_.answer(call, std::move(upload));
    }
    stream_.expires_never();
    // Whichever ends first cancels the others, and a cancelled answer() cancels its task.
    auto first = co_await (
        service_.answer(call, std::move(upload)) || peer_left(stream_.socket()) ||
        pause(options_.request_timeout)
    );
    if (first.index() == 0) {
        co_return std::get<0>(std::move(first));
    }
    if (first.index() == 1) {
        ++metrics_.clients_left;
        co_return std::nullopt;
    }
    co_return service_.overloaded();
}

asio::awaitable<bool> Session::write(Response response, const Parser& parser) {
    const bool go_on =
        parser.is_header_done() && parser.get().keep_alive() && !unread_input_ && !draining_;
    response.version(parser.is_header_done() ? parser.get().version() : 11);
    response.keep_alive(go_on);
    response.set(http::field::server, "image_server");
    response.set("X-Content-Type-Options", "nosniff");
    response.prepare_payload();
    if (parser.is_header_done() && parser.get().method() == http::verb::head) {
        response.body().clear();  // Content-Length stays
    }
    metrics_.bytes_sent += response.body().size();
    stream_.expires_after(options_.request_timeout);
    co_await http::async_write(stream_, response, asio::use_awaitable);
    co_return go_on;
}

// Closing a socket with unread input resets the connection, and the client might lose the answer.
asio::awaitable<void> Session::linger() {
    error_code error;
    stream_.socket().shutdown(tcp::socket::shutdown_send, error);
    stream_.expires_after(linger_time);
    std::array<char, 16'384> discarded;
    while (!error) {
        co_await stream_.async_read_some(
            asio::buffer(discarded), asio::redirect_error(asio::use_awaitable, error)
        );
    }
}

void Session::count(Route route, unsigned status, std::chrono::steady_clock::time_point start) {
    ++metrics_.requests[{name_of(route), status}];
    metrics_.request_time[name_of(route)].observe(std::chrono::steady_clock::now() - start);
}

}  // namespace image_server
