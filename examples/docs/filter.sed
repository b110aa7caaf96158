# What a test does with a sample is none of the reader's business.
s/@code\{\.cpp\} run.*/@code{.cpp}/
# Doxygen takes one word for the name of an exception.
:again
s/(@throws \([^)]*) /\1\&nbsp;/
t again
s/^```cpp (run|compile)$/```cpp/
