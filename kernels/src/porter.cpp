#include "porter.hpp"

#include <cstring>
#include <string_view>
#include <utility>

namespace m4i {
namespace {

using std::string_view;

struct Rule {
    string_view suffix, replacement;
};

constexpr std::pair<string_view, string_view> kIrregular[] = {
    {"skies", "sky"},        {"dying", "die"},      {"lying", "lie"},        {"tying", "tie"},
    {"news", "news"},        {"innings", "inning"}, {"inning", "inning"},    {"outings", "outing"},
    {"outing", "outing"},    {"canning", "canning"}, {"cannings", "canning"}, {"howe", "howe"},
    {"proceed", "proceed"},  {"exceed", "exceed"},  {"succeed", "succeed"},  {"sky", "sky"},
};

// In the order in which they are tried; the first suffix that fits decides.
constexpr Rule kStep2[] = {
    {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"},   {"anci", "ance"},   {"izer", "ize"},
    {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"},   {"eli", "e"},       {"ousli", "ous"},
    {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},    {"alism", "al"},    {"iveness", "ive"},
    {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},    {"iviti", "ive"},   {"biliti", "ble"},
    {"fulli", "ful"},
};
constexpr Rule kStep3[] = {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
                           {"ical", "ic"},  {"ful", ""},   {"ness", ""}};
constexpr string_view kStep4[] = {"al",   "ance", "ence", "er",  "ic",  "able", "ible", "ant", "ement", "ment",
                                  "ent",  "ion",  "ou",   "ism", "ate", "iti",  "ous",  "ive", "ize"};

bool is_vowel_letter(char c) { return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u'; }

class Word {
public:
    Word(char* letters, std::size_t length) : letters_(letters), length_(length) {}

    std::size_t length() const { return length_; }

    void run() {
        for (const auto& [form, of] : kIrregular) {
            if (view() == form) return become(of);
        }
        if (length_ <= 2) return;
        plural();
        past();
        final_y();
        while (doubled_suffix()) {
        }
        suffix();
        last_suffix();
        final_e();
        if (ends("ll") && measure(length_ - 1) > 1) --length_;
    }

private:
    string_view view() const { return {letters_, length_}; }
    bool ends(string_view suffix) const { return view().ends_with(suffix); }

    void become(string_view other) {
        std::memcpy(letters_, other.data(), other.size());
        length_ = other.size();
    }

    void replace(std::size_t kept, string_view suffix) {
        std::memcpy(letters_ + kept, suffix.data(), suffix.size());
        length_ = kept + suffix.size();
    }

    // A y is a vowel after a consonant.
    bool consonant(std::size_t at) const {
        bool turned = false;
        while (at > 0 && letters_[at] == 'y') {
            turned = !turned;
            --at;
        }
        return !is_vowel_letter(letters_[at]) != turned;
    }

    // How often a consonant follows a vowel in the first `length` letters; `vowels`: whether there is a vowel.
    int measure(std::size_t length, bool* vowels = nullptr) const {
        int count = 0;
        bool before = true, any = false;
        for (std::size_t at = 0; at < length; ++at) {
            const bool now = letters_[at] == 'y' ? at == 0 || !before : !is_vowel_letter(letters_[at]);
            count += at > 0 && now && !before;
            any |= !now;
            before = now;
        }
        if (vowels != nullptr) *vowels = any;
        return count;
    }

    // Ends consonant, vowel, consonant other than w, x, y; or is a vowel and a consonant.
    bool short_end(std::size_t length) const {
        if (length == 2) return !consonant(0) && consonant(1);
        if (length < 3) return false;
        const char last = letters_[length - 1];
        return consonant(length - 3) && !consonant(length - 2) && consonant(length - 1) && last != 'w' &&
               last != 'x' && last != 'y';
    }

    void plural() {
        if (ends("ies")) {
            length_ -= length_ == 4 ? 1 : 2;
        } else if (ends("sses")) {
            length_ -= 2;
        } else if (ends("s") && !ends("ss")) {
            length_ -= 1;
        }
    }

    void past() {
        if (ends("ied")) {
            length_ -= length_ == 4 ? 1 : 2;
            return;
        }
        if (ends("eed")) {
            if (measure(length_ - 3) > 0) --length_;
            return;
        }
        bool vowels = false;
        for (const string_view suffix : {string_view("ed"), string_view("ing")}) {
            if (!ends(suffix)) continue;
            measure(length_ - suffix.size(), &vowels);
            if (!vowels) continue;
            length_ -= suffix.size();
            break;
        }
        if (!vowels) return;
        const char last = letters_[length_ - 1];
        if (ends("at") || ends("bl") || ends("iz")) {
            replace(length_, "e");
        } else if (length_ >= 2 && last == letters_[length_ - 2] && consonant(length_ - 1)) {
            if (last != 'l' && last != 's' && last != 'z') --length_;
        } else if (measure(length_) == 1 && short_end(length_)) {
            replace(length_, "e");
        }
    }

    void final_y() {
        if (ends("y") && length_ > 2 && consonant(length_ - 2)) letters_[length_ - 1] = 'i';
    }

    // Whether it must be asked again: -alli gives a word that may have another such suffix.
    bool doubled_suffix() {
        if (ends("alli") && measure(length_ - 4) > 0) {
            length_ -= 2;
            return true;
        }
        for (const auto& [suffix, replacement] : kStep2) {
            if (!ends(suffix)) continue;
            if (measure(length_ - suffix.size()) > 0) replace(length_ - suffix.size(), replacement);
            return false;
        }
        if (ends("logi") && measure(length_ - 3) > 0) --length_;
        return false;
    }

    void suffix() {
        for (const auto& [suffix, replacement] : kStep3) {
            if (!ends(suffix)) continue;
            if (measure(length_ - suffix.size()) > 0) replace(length_ - suffix.size(), replacement);
            return;
        }
    }

    void last_suffix() {
        for (const string_view suffix : kStep4) {
            if (!ends(suffix)) continue;
            const std::size_t kept = length_ - suffix.size();
            if (measure(kept) > 1 && (suffix != "ion" || letters_[kept - 1] == 's' || letters_[kept - 1] == 't')) {
                length_ = kept;
            }
            return;
        }
    }

    void final_e() {
        if (!ends("e")) return;
        const int count = measure(length_ - 1);
        if (count > 1 || (count == 1 && !short_end(length_ - 1))) --length_;
    }

    char* letters_;
    std::size_t length_;
};

}  // namespace

std::size_t stem(char* letters, std::size_t length) {
    Word word(letters, length);
    word.run();
    return word.length();
}

}  // namespace m4i
