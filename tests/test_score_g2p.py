"""Words -> phones, each language against a list that an independent package gave (tests/data/g2p); and on to notes.

Lists and dictionaries spell alike sounds differently (reduced vowels, flaps, aspiration that is never contrasted): what
is folded before they are compared stands beside each language.
"""

import re
from pathlib import Path

import pytest

from autosing.errors import InputError
from autosing.score.alphabets import ARPABET, ROMAJI
from autosing.score.g2p.bind import with_phones
from autosing.score.g2p.english import english_phones
from autosing.score.g2p.espeak import espeak_phones, has_espeak
from autosing.score.g2p.japanese import japanese_syllables
from autosing.score.g2p.korean import korean_syllables
from autosing.score.g2p.mandarin import mandarin_syllables
from autosing.score.g2p.words import Spoken, language_for, pronounce
from autosing.score.phones import ipa_phones
from autosing.score.score import Note, Score, Syllable, Word
from autosing.score.timing import with_times

DATA = Path(__file__).parent / "data" / "g2p"
_EN_FOLDS = {
    "ɾ": "t",
    "ʔ": "t",
    "d": "t",
    "ʌ": "ə",
    "ɪ": "ə",
    "i": "ə",
    "ɛ": "ə",
    "ʊ": "ə",
    "n̩": "ə n",
    "ɚ": "ə ɹ",
    "ɔ": "ɑ",
}
_KO_FOLDS = {
    "ɲ": "n",
    "ʎ": "l",
    "ɭ": "l",
    "ɛ": "e",
    "β": "b",
    "ɦ": "h",
    "ç": "h",
    "ɣ": "ɡ",
    "x": "h",
    "ɸ": "h",
    "p̚": "p",
    "t̚": "t",
    "k̚": "k",
    "dʑ j": "dʑ",
    "tɕʰ j": "tɕʰ",
    "ɥ i": "w i",
}
_ZH_FOLDS = {"ɨ": "ʅ", "ɯ": "ɿ", "ɥ œ": "ɥ ɛ", "w ɔ": "w o", "ɤ ŋ": "ə ŋ", "ɑ ɻ": "ɚ", "ɔ": "o"}
_ES_FOLDS = {"β": "b", "ɣ": "ɡ", "ð": "d", "ʝ": "j", "ʎ": "ʝ", "ŋ": "n", "ɾ": "r", "ɛ": "e"}


def rows(language: str) -> list[list[str]]:
    lines = (DATA / f"{language}.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ") and "package" in lines[0]
    return [line.split("\t") for line in lines[1:]]


def folded(phones, folds) -> str:
    text = f" {' '.join(phones)} "
    for one, other in folds.items():
        text = text.replace(f" {one} ", f" {other} ").replace(f" {one} ", f" {other} ")
    return " ".join(text.split())


def agreement(pairs) -> tuple[float, list]:
    wrong = [(word, ours, theirs) for word, ours, theirs in pairs if ours != theirs]
    pairs = list(pairs)
    return 1 - len(wrong) / len(pairs), wrong


def flat(syllables) -> list[str]:
    return [symbol for syllable in syllables for symbol in syllable.symbols]


def test_english_agrees_with_the_cmu_dictionary():
    pairs = [
        (word, folded(english_phones(word), _EN_FOLDS),
         folded([ARPABET[p.rstrip("012").lower()] for p in phones.split()], _EN_FOLDS))
        for word, phones in rows("en")
    ]  # fmt: skip
    share, wrong = agreement(pairs)
    assert len(pairs) >= 100 and share >= 0.95, (share, wrong)


def test_mandarin_agrees_with_dragonmapper():
    pairs = []
    for character, pinyin, ipa in rows("zh"):
        theirs = folded(ipa_phones(ipa, unknown="drop"), _ZH_FOLDS)
        pairs.append((character, folded(flat(mandarin_syllables([pinyin])[0]), _ZH_FOLDS), theirs))
    share, wrong = agreement(pairs)
    assert len(pairs) >= 100 and share >= 0.95, (share, wrong)
    read = [flat(s) for s in mandarin_syllables([character for character, *_ in rows("zh")])]
    alone = [flat(mandarin_syllables([pinyin])[0]) for _, pinyin, _ in rows("zh")]
    assert sum(a == b for a, b in zip(read, alone, strict=True)) >= 0.95 * len(alone)


def test_korean_agrees_with_ko_pron():
    pairs = []
    for word, ipa in rows("ko"):
        plain = re.sub("(?<!͡)ɕ͈", "s͈", re.sub("(?<!͡)ɕʰ", "ɕ", ipa.split(" ~ ")[0])).replace("sʰ", "s")
        pairs.append((word, folded(flat(korean_syllables(word)), _KO_FOLDS),
                      folded(ipa_phones(plain, unknown="drop"), _KO_FOLDS)))  # fmt: skip
    share, wrong = agreement(pairs)
    assert len(pairs) >= 100 and share >= 0.95, (share, wrong)


def test_japanese_agrees_with_jaconv():
    pairs = []
    for word, letters in rows("ja"):
        theirs: list[str] = []
        for letter in letters.split():
            name = letter.rstrip(":")
            theirs += ROMAJI[{"q": "cl"}.get(name, name)].split()
            theirs += theirs[-1:] if letter.endswith(":") else []
        pairs.append((word, " ".join(flat(japanese_syllables(word))).replace("ç i", "h i"), " ".join(theirs)))
    share, wrong = agreement(pairs)
    assert len(pairs) >= 100 and share >= 0.95, (share, wrong)


@pytest.mark.skipif(not has_espeak(), reason="eSpeak NG is not installed")
def test_spanish_by_espeak_agrees_with_gruut():
    pairs = [
        (word, folded(espeak_phones(word, "es"), _ES_FOLDS), folded(ipa_phones(ipa, unknown="drop"), _ES_FOLDS))
        for word, ipa in rows("es")
    ]
    share, wrong = agreement(pairs)
    assert len(pairs) >= 100 and share >= 0.95, (share, wrong)


def sung(words, notes, syllables) -> Score:
    """Words (text, language, line); notes of half a second; for each note (word, syllable of the file)."""
    made = sorted({(word, syllable) for word, syllable in syllables})
    return Score(
        duration_s=notes / 2,
        words=tuple(Word(text=text, language=language, line=line) for text, language, line in words),
        syllables=tuple(Syllable(word=word) for word, _ in made),
        notes=tuple(
            Note(start_s=k / 2, end_s=k / 2 + 0.5, midi=60, syllable=made.index(pair))
            for k, pair in enumerate(syllables)
        ),
    )


def spelt(score) -> list[str]:
    return [" ".join(p.symbol for p in score.phones_of(k)) for k in range(len(score.syllables))]


def test_a_word_with_a_syllable_a_note_has_its_phones_there():
    score = with_phones(sung([("sister", "en", 0), ("stars", "en", 0)], 3, [(0, 0), (0, 1), (1, 0)]))
    assert spelt(score) == ["s ɪ", "s t ɚ", "s t ɑ ɹ z"] and score.slurs == (False, False, False)
    assert with_times(score).timed


def test_a_whole_word_under_its_first_note_is_shared_out_and_what_is_left_is_held():
    score = with_phones(sung([("sister", "en", 0)], 3, [(0, 0), (0, 0), (0, 0)]))
    assert spelt(score) == ["s ɪ", "s t ɚ"] and [n.syllable for n in score.notes] == [0, 1, 1]
    held = with_phones(sung([("sister", "en", 0)], 4, [(0, 0), (0, 0), (0, 1), (0, 1)]))
    assert [n.syllable for n in held.notes] == [0, 0, 1, 1]
    one = with_phones(sung([("star", "en", 0)], 2, [(0, 0), (0, 1)]))
    assert spelt(one) == ["s t ɑ ɹ"] and one.slurs == (False, True)


def test_a_word_with_fewer_notes_swallows_its_weakest_vowel():
    score = with_phones(sung([("every", "en", 0)], 2, [(0, 0), (0, 1)]))
    assert spelt(score) == ["ɛ", "v ɚ i"] and [p.place for p in score.phones_of(1)] == ["onset", "onset", "nucleus"]
    single = with_phones(sung([("about", "en", 0)], 1, [(0, 0)]))
    assert spelt(single) == ["ə b aʊ t"] and single.phones[2].place == "nucleus"
    placed = with_times(single)
    assert placed.phones[2].start_s == placed.notes[0].start_s


def test_languages_stand_side_by_side_and_the_neighbour_counts():
    score = with_phones(
        sung([("the", "en", 0), ("angel", "en", 0), ("별이", "ko", 1), ("长", "zh", 1), ("大", "zh", 1)],
             7, [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (4, 0)])
    )  # fmt: skip
    assert spelt(score) == ["ð i", "eɪ n", "dʒ ə l", "p j ʌ", "ɾ i", "ʈʂ ɑ ŋ", "t a"]
    assert language_for(Spoken("사랑", "und")) == "ko" and language_for(Spoken("love", "und")) == "en"
    assert language_for(Spoken("baby", "ko")) == "en" and language_for(Spoken("ni3", "zh")) == "zh"


def test_what_cannot_be_said_is_named_with_its_line():
    with pytest.raises(InputError, match=r"line '空 の': word '空': '空' is no kana"):
        with_phones(sung([("空", "ja", 0), ("の", "ja", 0)], 2, [(0, 0), (1, 0)]))
    with pytest.raises(InputError, match="holds no letter that can be sung"):
        pronounce([Spoken("!?", "en")])
    with pytest.raises(InputError, match="no syllable of Mandarin"):
        mandarin_syllables(["qx1"])


@pytest.mark.skipif(not has_espeak(), reason="eSpeak NG is not installed")
def test_words_beyond_the_dictionary_are_spoken_by_rule():
    assert english_phones("Zorblaxing")[:1] == ["z"] and english_phones("blorgs")[-1] in ("z", "s")
    assert english_phones("singin'")[-1] == "n" and english_phones("rock-and-roll")[:3] == ["ɹ", "ɑ", "k"]
    with pytest.raises(InputError, match="eSpeak NG does not speak it"):
        espeak_phones("la", "xx")


def test_a_word_alone_is_spoken_the_same_however_it_is_written():
    assert english_phones("Don’t!") == english_phones("don't") == ["d", "oʊ", "n", "t"]
    assert [s.places for s in korean_syllables("값이")] == [("onset", "nucleus", "coda"), ("onset", "nucleus")]
