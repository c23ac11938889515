"""Words -> the phones that Kokoro's network was taught, one letter each, and which of them carry a note.

Its letters are IPA in misaki's manner: A I O W Y are the diphthongs of day, my, go, now, boy; ʤ and ʧ one letter each;
ˈ and ˌ before a stressed vowel are tokens of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from autosing.songs.espeak import Espeak

VOWELS = frozenset("aeiouɑɐɒæɔəɚɛɜɨɪøœʊʌɯɤyAIOQWYᵊᵻ")
STRESS = frozenset("ˈˌ")
_FROM_ESPEAK = (
    ("a^ɪ", "I"), ("a^ʊ", "W"), ("e^ɪ", "A"), ("o^ʊ", "O"), ("ɔ^ɪ", "Y"), ("t^ʃ", "ʧ"), ("d^ʒ", "ʤ"), ("ə^l", "ᵊl"),
    ("n\u0329", "ᵊn"), ("m\u0329", "ᵊm"), ("l\u0329", "ᵊl"), ("ɜː", "ɜɹ"), ("ɚ", "əɹ"), ("ɐ", "ə"), ("r", "ɹ"),
    ("x", "k"), ("ɾ", "T"), ("ʔ", "t"), ("e", "A"), ("ː", ""), ("^", ""), ("ɹɹ", "ɹ"),
)  # fmt: skip
"""eSpeak NG's American English, in order."""
_WEAK = {
    "a": "ə", "an": "ən", "the": "ðə", "to": "tə", "of": "ʌv", "and": "ænd", "for": "fɔɹ", "from": "fɹʌm", "in": "ɪn",
    "on": "ɔn", "at": "æt", "with": "wɪð", "as": "æz", "by": "bI", "but": "bʌt", "or": "ɔɹ", "is": "ɪz", "are": "ɑɹ",
    "was": "wʌz", "were": "wɜɹ", "be": "bi", "been": "bɪn", "am": "æm", "has": "hæz", "have": "hæv", "had": "hæd",
    "will": "wɪl", "would": "wʊd", "can": "kæn", "could": "kʊd", "must": "mʌst", "do": "du", "does": "dʌz",
    "did": "dɪd", "I": "I", "you": "ju", "he": "hi", "she": "ʃi", "it": "ɪt", "we": "wi", "they": "ðA",
    "me": "mi", "him": "hɪm",
    "her": "hɜɹ", "us": "ʌs", "them": "ðɛm", "my": "mI", "your": "jʊɹ", "his": "hɪz", "our": "Wəɹ", "their": "ðɛɹ",
    "its": "ɪts", "that": "ðæt", "this": "ðɪs", "if": "ɪf", "when": "wɛn", "than": "ðæn", "there": "ðɛɹ",
}  # fmt: skip
"""Words that carry no stress in a line."""


@dataclass(frozen=True)
class PhoneString:
    """A line as the network reads it."""

    letters: str
    word_of: list[int | None]
    """For each letter the word that it belongs to; spaces and the full stop to none."""

    @property
    def nuclei(self) -> list[int]:
        """The letters that carry a note each."""
        return [i for i, letter in enumerate(self.letters) if letter in VOWELS]

    def stressed(self, letter: int) -> bool:
        return letter > 0 and self.letters[letter - 1] in STRESS


class EnglishPhones:
    """English words by eSpeak NG's rules, one at a time, so that each letter's word is known."""

    def __init__(self, engine: Espeak, vocabulary: frozenset[str]) -> None:
        self._engine, self._vocabulary = engine, vocabulary

    def line(self, words: Sequence[str]) -> PhoneString:
        spoken = [self._word(word) for word in words]
        for number, following in enumerate(spoken[1:]):
            if words[number] == "the" and following.strip("ˈˌ")[:1] in VOWELS:
                spoken[number] = "ði"
        word_of: list[int | None] = []
        for number, letters in enumerate(spoken):
            word_of += [None] * (number > 0) + [number] * len(letters)
        return PhoneString(" ".join(spoken) + ".", [*word_of, None])

    def _word(self, word: str) -> str:
        if word in _WEAK:
            return _WEAK[word]
        spoken = self._engine.ipa(word, "en-us")
        for theirs, ours in _FROM_ESPEAK:
            spoken = spoken.replace(theirs, ours)
        return "".join(letter for letter in spoken if letter in self._vocabulary and letter != " ")
