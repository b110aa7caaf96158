// Python's example for ThreadPoolExecutor: several pages are fetched at once, and each is reported
// as soon as it is there, or has failed. The pages come from a small server of the program's own.

#include <cofutures/thread_pool_executor.hpp>
#include <cofutures/wait.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;

namespace {

// Serves a few pages on a loopback port that the system chooses, on a thread of its own.
class PageServer {
public:
    PageServer() {
        asio::co_spawn(io_, accept(), asio::detached);
        thread_ = std::thread([this] { io_.run(); });
    }
    PageServer(const PageServer&) = delete;
    PageServer& operator=(const PageServer&) = delete;
    ~PageServer() {
        io_.stop();
        thread_.join();
    }

    [[nodiscard]] std::string url(const std::string& path) const {
        return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + path;
    }

private:
    struct Page {
        std::size_t size;
        std::chrono::milliseconds delay;
    };

    asio::awaitable<void> accept() {
        for (;;) {
            tcp::socket socket = co_await acceptor_.async_accept(asio::use_awaitable);
            asio::co_spawn(io_, serve(std::move(socket)), asio::detached);
        }
    }

    asio::awaitable<void> serve(tcp::socket socket) {
        std::string request;
        co_await asio::async_read_until(
            socket, asio::dynamic_buffer(request, 8192), "\r\n\r\n", asio::use_awaitable
        );
        const std::size_t begin = request.find(' ') + 1;
        const auto page = pages_.find(request.substr(begin, request.find(' ', begin) - begin));
        std::string reply = "HTTP/1.0 404 Not Found\r\n\r\n";
        if (page != pages_.end()) {
            asio::steady_timer timer(io_, page->second.delay);
            co_await timer.async_wait(asio::use_awaitable);
            reply = "HTTP/1.0 200 OK\r\n\r\n" + std::string(page->second.size, 'x');
        }
        co_await asio::async_write(socket, asio::buffer(reply), asio::use_awaitable);
    }

    const std::map<std::string, Page> pages_ = {
        {"/news", {1'234, 300ms}},
        {"/weather", {567, 100ms}},
        {"/sports", {45'678, 200ms}},
        {"/archive", {1'000'000, 400ms}},
    };
    asio::io_context io_{1};
    tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    std::thread thread_;
};

// Reads a whole page, and blocks meanwhile.
std::string load_url(const std::string& url, std::chrono::seconds timeout) {
    const std::size_t host = url.starts_with("http://") ? 7 : url.size();
    const std::size_t colon = std::min(url.find(':', host), url.size());
    const std::size_t slash = std::min(url.find('/', colon), url.size());
    if (slash == url.size()) {
        throw std::invalid_argument("not an address with a port: " + url);
    }
    tcp::iostream stream;
    stream.expires_after(timeout);
    stream.connect(url.substr(host, colon - host), url.substr(colon + 1, slash - colon - 1));
    stream << "GET " << url.substr(slash) << " HTTP/1.0\r\n\r\n" << std::flush;
    std::string version;
    int status = 0;
    std::string reason;
    stream >> version >> status >> std::ws;
    std::getline(stream, reason, '\r');
    if (!stream) {
        throw std::runtime_error(stream.error().message());
    }
    if (status != 200) {
        throw std::runtime_error("HTTP Error " + std::to_string(status) + ": " + reason);
    }
    for (std::string header; std::getline(stream, header) && header != "\r";) {
    }
    return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

int main() {
    using Page = cofutures::Future<std::string>;
    const PageServer server;
    const auto start = std::chrono::steady_clock::now();
    const auto elapsed = [start] {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - start
        );
    };

    cofutures::ThreadPoolExecutor pool(5);
    std::vector<Page> futures;
    std::unordered_map<Page, std::string> url_of;
    for (const char* path : {"/news", "/weather", "/sports", "/no-such-page", "/archive"}) {
        const std::string url = server.url(path);
        futures.push_back(pool.submit(load_url, url, 60s));
        url_of.emplace(futures.back(), url);
    }

    std::size_t bytes = 0;
    int errors = 0;
    for (const Page& future : cofutures::as_completed(futures)) {
        const std::string& url = url_of.at(future);
        try {
            const std::string& page = future.result();
            bytes += page.size();
            std::cout << url << " page is " << page.size() << " bytes";
        } catch (const std::exception& error) {
            ++errors;
            std::cout << url << " generated an exception: " << error.what();
        }
        std::cout << ", after " << elapsed().count() << " ms\n";
    }
    std::cout << "all after " << elapsed().count() << " ms; one after the other: 1000 ms\n";
    return bytes == 1'047'479 && errors == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
