#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace cofutures::process {

/// Cuts a stream of text, however it is split, into lines. It does no I/O.
///
///     splitter.feed("one\ntw", print);   // one
///     splitter.feed("o\nthree", print);  // two
///     splitter.finish(print);            // three
///
/// A line without end does not grow for ever: after `longest` bytes it is cut, and what follows is
/// another line.
class LineSplitter {
public:
    static constexpr std::size_t longest = std::size_t{64} * 1024;

    /// Calls `on_line` with each line that ends in `text`, without its end. The views are valid
    /// during the call.
    template <class OnLine>
    void feed(std::string_view text, OnLine on_line) {
        while (!text.empty()) {
            const std::size_t room = longest - begun_.size();
            const std::size_t end = text.substr(0, room + 1).find('\n');
            const bool ended = end != std::string_view::npos;
            const std::string_view piece =
                text.substr(0, ended ? end : std::min(room, text.size()));
            if (!ended &&
                piece.size() == text.size()) {  // one of full length too: its end may come
                begun_ += piece;
                return;
            }
            text.remove_prefix(piece.size() + (ended ? 1 : 0));
            deliver(piece, on_line);
        }
    }

    /// Says that nothing follows: calls `on_line` with what was begun and not ended.
    template <class OnLine>
    void finish(OnLine on_line) {
        if (!begun_.empty()) {
            deliver({}, on_line);
        }
    }

private:
    template <class OnLine>
    void deliver(std::string_view piece, OnLine& on_line) {
        if (begun_.empty()) {
            on_line(piece);
            return;
        }
        begun_ += piece;
        on_line(std::string_view(begun_));
        begun_.clear();
    }

    std::string begun_;
};

}  // namespace cofutures::process
