// The compiled parts of Boost.JSON and Boost.URL, which so need no library to link.

#include <boost/json/src.hpp>
#include <boost/url/src.hpp>
