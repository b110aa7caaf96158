#pragma once

#include <cofutures/detail/codec_aggregate.hpp>
#include <cofutures/detail/codec_container.hpp>
#include <cofutures/detail/codec_string.hpp>
#include <cofutures/detail/codec_trait.hpp>
#include <cofutures/detail/codec_wrapper.hpp>

#include <boost/serialization/serialization.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

/// @file
/// Which types Boost.Serialization has been told how to serialize. It offers no way to ask: its own
/// `serialize` takes every type, and fails inside.

namespace cofutures::detail {

namespace archive_probe {

/// Stands for an archive. Its argument is a type of Boost.Serialization, so that an unqualified
/// call finds the functions of that namespace, those declared later too.
template <class>
struct Archive {};

/// As good a match as Boost's own for every type. Where that is all there is the call is ambiguous;
/// where there is a `serialize` for the type itself, that one is better than both.
template <class A, class T>
void serialize(A& archive, T& value, const unsigned int version);

template <class T>
concept HasFreeSerialize = requires(
    Archive<boost::serialization::version_type>& archive, T& value, const unsigned int version
) {
    serialize(archive, value, version);
};

struct HasTheName {
    int serialize;
};

/// Two members of one name make it ambiguous, private ones too.
template <class T>
struct WithTheName : T, HasTheName {};

template <class T>
concept NamesItToo = requires {
    &WithTheName<T>::serialize;
};

template <class T>
concept HasPublicMember = requires(
    Archive<boost::serialization::version_type>& archive, T& value, const unsigned int version
) {
    value.serialize(archive, version);
};

// Nobody can derive from a final class.
template <class T>
concept HasMember = std::is_class_v<T> &&
    ((std::is_final_v<T> && HasPublicMember<T>) || (!std::is_final_v<T> && !NamesItToo<T>));

}  // namespace archive_probe

template <class T>
concept IsArchived = archive_probe::HasFreeSerialize<T> || archive_probe::HasMember<T>;

/// Whether a plain aggregate can be taken apart into members that all have a codec.
template <class T>
consteval bool has_encodable_members() {
    using Members = typename MembersOf<T, std::make_index_sequence<member_count<T>()>>::type;
    return decltype(find_culprit_in<T>(Members{}))::empty;
}

/// The library's own codecs for templates are chosen before this one, as they are more special.
template <class T>
concept IsArchivedClass =
    std::is_class_v<T> && !FilesystemPath<T> && !PlainAggregate<T> && IsArchived<T>;

template <class T>
concept IsArchivedAggregate = IsArchived<T> && !has_encodable_members<T>();

}  // namespace cofutures::detail
