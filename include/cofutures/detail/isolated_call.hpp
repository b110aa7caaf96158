#pragma once

#include <utility>

namespace cofutures::detail {

/// Makes a call, and says whether all such calls are *isolated*: whatever their arguments and what
/// they capture, they neither wait for another thread nor tell one that they have begun or ended.
/// So nobody can wait for something that is put off until after the next such call.
///
/// The compiler decides that, from what it sees of the call. A variable whose address others may
/// have is set before the call: if its value is a constant after it, then nothing in the call may
/// have let other code run - no function that is not seen through, no atomic operation, no lock.
/// What is left are loops, and one without an end and without any of these is undefined behaviour.
/// The answer is one for all calls, since the question is not asked on each path by itself: a call
/// that waits on one path alone is not isolated. For that each path has to come back: what a call
/// throws it must catch itself, and so none is isolated that might throw.
///
/// Not seen are waits on a path that never comes back, as it ends the program; reads of a volatile
/// variable that a signal handler sets; assembler that touches memory without saying so; and
/// functions that allocate memory, replaced by some that wait for others to free it.
///
/// Only g++ with optimisation is asked: clang lets a relaxed load in a loop pass. Else no call is.
template <class Call>
[[gnu::always_inline]] inline bool call_and_tell_if_isolated(Call&& call) noexcept {
    static_assert(noexcept(std::forward<Call>(call)()), "or a path of it would not be looked at");
#if defined(__GNUC__) && !defined(__clang__)
    enum class Witness { unset, set };  // a type of its own, which the call's own stores spare
    Witness witness = Witness::unset;
    asm volatile("" : : "r"(&witness) : "memory");
    witness = Witness::set;
    std::forward<Call>(call)();
    return __builtin_constant_p(witness) != 0;
#else
    std::forward<Call>(call)();
    return false;
#endif
}

}  // namespace cofutures::detail
