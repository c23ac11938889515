"""The truth of a made song (autosing.songs) -> its score, with the times that were sung.

eSpeak NG names phonemes in ways of its own: some are several phones in one (ɑːɹ), some are two signs for one phone
(Korean t h). Here they become phones of the inventory, and a sign's time is shared out among its phones.
"""

from collections.abc import Sequence

from autosing.score.alphabets import spread
from autosing.score.phones import inventory, ipa_phones
from autosing.score.score import Breath, Note, Phone, PhonePlace, Score, Syllable, Word
from autosing.score.tempo import Tempo, TempoMap
from autosing.songs.truth import SongTruth, SungPhone

_SIGNS = {
    "en": {"ɐ": ["ə"], "aɪɚ": ["aɪ", "ɚ"], "aɪə": ["aɪ", "ə"], "iə": ["i", "ə"]},
    "ko": {"ɐ": ["a"], "q": ["k̚"], "q-": ["k͈"], "k-": ["k͈"], "t-": ["t͈"], "p-": ["p͈"], "s-": ["s͈"], "tʃ": ["tɕ"],
           "ɫ": ["l"]},
    "zh": {"s.": ["ʂ"], "ts.": ["ʈʂ"], "ts.h": ["ʈʂʰ"], "tsh": ["tsʰ"], "tɕh": ["tɕʰ"], "i.": ["ʅ"], "i̪": ["ɿ"],
           "onɡ": ["ʊ", "ŋ"], "χ": ["x"], "o-": ["ʊ"], "iɑ": ["j", "a"], "iɛ": ["j", "ɛ"], "uo": ["w", "o"],
           "iou": ["j", "oʊ"], "uei": ["w", "eɪ"], "ua": ["w", "a"], "uə": ["w", "ə"], "yæ": ["ɥ", "ɛ"],
           "yɛ": ["ɥ", "ɛ"], "yə": ["y"], "iɑu": ["j", "aʊ"], "uai": ["w", "aɪ"], "ər": ["ɚ"]},
}  # fmt: skip
"""What eSpeak NG calls phonemes where `ipa_phones` would read them wrongly."""
_FIRST = {"ɡ": "k", "d": "t", "b": "p", "dʑ": "tɕ"}
"""Korean's plain stops at a word's start, which eSpeak NG calls voiced."""
_ASPIRATED = {"p": "pʰ", "t": "tʰ", "k": "kʰ", "ts": "tsʰ", "tɕ": "tɕʰ", "ʈʂ": "ʈʂʰ"}


def score_of_truth(truth: SongTruth) -> Score:
    """The whole song's. Raises InputError for a phoneme that is no IPA."""
    phones: list[Phone] = []
    first = 0
    for number, syllable in enumerate(truth.syllables):
        signs = truth.phones[first : first + len(syllable.phones)]
        begins = number == 0 or truth.syllables[number - 1].word != syllable.word
        phones += _phones(signs, syllable.nucleus - first, number, truth.language, begins)
        first += len(signs)
    words = [Word(text=word.text, language=truth.language, line=word.line) for word in truth.words]
    return Score(
        duration_s=truth.duration_s,
        tempo=TempoMap(tempos=(Tempo(beat=0, bpm=truth.bpm),)),
        words=tuple(words),
        syllables=tuple(Syllable(word=syllable.word) for syllable in truth.syllables),
        phones=tuple(phones),
        notes=tuple(Note(start_s=n.start_s, end_s=n.end_s, midi=n.midi, syllable=n.syllable) for n in truth.notes),
        breaths=tuple(Breath(start_s=start_s, end_s=end_s) for start_s, end_s in truth.breaths),
    )


def _phones(signs: Sequence[SungPhone], nucleus: int, syllable: int, language: str, begins: bool) -> list[Phone]:
    """Of one syllable; `begins`: it is its word's first. Of two vowels in its nucleus the first counts."""
    found: list[Phone] = []
    for i, sign in enumerate(signs):
        symbols = _SIGNS.get(language, {}).get(sign.phone) or ipa_phones(sign.phone)
        if language == "ko" and i == 0 and begins:
            symbols = [_FIRST.get(symbols[0], symbols[0]), *symbols[1:]]
        if language == "zh" and symbols == ["ɑ"] and [after.phone for after in signs[i + 1 : i + 2]] != ["ŋ"]:
            symbols = ["a"]
        joined = _joined(found, symbols, language)
        if joined is not None:
            values = found.pop().model_dump() | {"symbol": joined, "end_s": sign.end_s}
            found.append(Phone(**values))
            continue
        vowels = [k for k, symbol in enumerate(symbols) if inventory()[symbol].kind == "vowel"]
        main = vowels[0] if vowels else 0
        spans = spread(symbols, sign.start_s, sign.end_s)
        for k, symbol in enumerate(symbols):
            place: PhonePlace = (
                "nucleus" if (i, k) == (nucleus, main) else "onset" if (i, k) < (nucleus, main) else "coda"
            )
            found.append(Phone(symbol=symbol, place=place, syllable=syllable, start_s=spans[k][0], end_s=spans[k][1]))
    return found


def _joined(found: Sequence[Phone], symbols: Sequence[str], language: str) -> str | None:
    """What the phone before becomes where this sign only goes on with it."""
    before = found[-1].symbol if found else ""
    if language == "ko" and symbols == ["h"]:
        return _ASPIRATED.get(before)
    return "ɚ" if language == "en" and symbols == ["ɹ"] and before in ("ə", "ɜ") else None
