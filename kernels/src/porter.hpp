// Porter's stemmer as nltk extends it (and rouge-score uses it). Its definition is in kernels/porter.py.
#pragma once

#include <cstddef>

namespace m4i {

// Stems a lower-case ASCII word where it stands; returns the new length, which is never larger.
std::size_t stem(char* word, std::size_t length);

}  // namespace m4i
