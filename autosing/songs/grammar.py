"""A random generator -> a sentence to sing: a grammar over an open lexicon, so that few words come twice.

A form is a row of slots and plain words. `{thing}` draws of that bank; `{things}` its plural; `{noun}` any noun; of
verbs `{do}` is the bare form, `{dos}` that of he, `{did}` the past, `{done}` the participle, `{doing}` what it says.
"""

import re
from functools import cache
from pathlib import Path

import numpy as np

from autosing.songs.words import read_banks

_LEXICON = Path(__file__).with_name("lexicon")
_NOUNS = ("person", "animal", "place", "thing", "nature", "idea", "body")
_FORMS = {
    "the {adj} {person} {did} the {thing}": 3, "I {did} {a_thing} {prep} the {place}": 3,
    "you {do} my {body} {when}": 2, "we {went} {prep} the {place} {when}": 3, "{name} {did} the {adj} {thing}": 3,
    "{name} is {going} {manner}": 2, "the {noun} and the {noun} {went} {manner}": 2,
    "nobody {dos} the {noun} of the {place}": 2,
    "I will {do} you {when}": 2, "will you {do} the {things} {when}": 2, "my {adj} {noun} is {adj}": 2,
    "there is {a_noun} {prep} the {place}": 2, "there were {number} {things} {prep} the {noun}": 2,
    "she {did} her {adj} {noun} {when}": 2, "he {dos} the {animals} of {town}": 1, "they {go} like {animals} {when}": 1,
    "all the {persons} of {town} {go} {manner}": 2, "do not {do} the {noun} {when}": 2,
    "let me {do} your {noun} {when}": 2, "if you {do} the {noun} I will {go}": 2,
    "when the {nature} {goes} I {do} the {noun}": 2,
    "{name} and {name} {went} to {town} {when}": 2, "I have {done} {a_noun} in {town}": 2, "we have {gone} {when}": 1,
    "every {person} {dos} {a_noun}": 2, "why did {name} {do} the {noun}": 2, "where is the {noun} that I {did}": 2,
    "who {did} the {things} {prep} my {place}": 2, "give the {adj} {thing} to the {person}": 1,
    "tell {name} that the {noun} is {adj}": 2, "the {animal} is {going} {prep} the {nature}": 2,
    "you are my {noun} and my {noun}": 2, "it was {a_adj} {idea} for {a_adj} {person}": 2,
    "your {body} is {adj} and your {body} is {adj}": 1, "what {a_adj} {noun} to {do}": 1,
    "I was {going} with {number} {persons}": 2, "we could {go} {prep} the {noun} {when}": 2,
    "{name} has {done} my {noun} {manner}": 2, "they are {doing} the {noun} {prep} the {place}": 2,
    "the {nature} {goes} {prep} the {place}": 2, "oh {name} you {did} my {noun}": 2, "no {noun} can {do} the {noun}": 1,
    "never {do} {a_noun} {prep} {town}": 1, "how {adj} is the {noun} {when}": 1, "this {noun} was {a_adj} {noun}": 2,
    "I am {a_adj} {person} from {town}": 2, "the {person} who {went} {when} {did} me": 1,
    "maybe the {persons} will {do} us {when}": 1, "as {adj} as {a_noun} {prep} the {nature}": 1,
}  # fmt: skip
"""form -> how often, beside the others"""
_SLOT = re.compile(r"\{(\w+)\}")
_COUNTED = ("person", "animal", "place", "thing")
_PLURALS = {f"{name}s": name for name in _COUNTED}
_VERBS = {
    "do": ("do", 0), "dos": ("do", 1), "did": ("do", 2), "done": ("do", 3), "doing": ("do", 4),
    "go": ("go", 0), "goes": ("go", 1), "went": ("go", 2), "gone": ("go", 3), "going": ("go", 4),
}  # fmt: skip
"""slot -> its bank, and the form that it takes: bare, of he, past, participle, ing"""
_AN = re.compile(r"(?!one\b|uni|us[eu])[aeiou]|hour|honest|honor")
_DOUBLES = re.compile(r"[^aeiou]*(?:[^aeiou]|qu)[aeiou][bdgmnprt]|begin|forget")


@cache
def lexicon(language: str) -> dict[str, list[str]]:
    """class -> its entries, as they are written in the lexicon."""
    text = (_LEXICON / f"{language}.txt").read_text(encoding="utf-8")
    banks = "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
    return read_banks(re.sub(r"\n\s+", " ", banks))


def english_sentence(rng: np.random.Generator) -> str:
    """Five to nine words in good grammar and of little sense, without punctuation."""
    odds = np.array(list(_FORMS.values()), float)
    form = list(_FORMS)[int(rng.choice(len(odds), p=odds / odds.sum()))]
    return _SLOT.sub(lambda slot: _fill(slot[1], rng), form)


def _fill(slot: str, rng: np.random.Generator) -> str:
    words = lexicon("en")
    if slot.startswith("a_"):
        word = _fill("counted" if slot == "a_noun" else slot[2:], rng)
        return f"{'an' if _AN.match(word) else 'a'} {word}"
    if slot in ("noun", "counted"):
        banks = [words[name] for name in (_NOUNS if slot == "noun" else _COUNTED)]
        return _base(_pick([entry for bank in banks for entry in bank], rng))
    if slot in _PLURALS:
        return plural(_pick(words[_PLURALS[slot]], rng))
    if slot in _VERBS:
        bank, form = _VERBS[slot]
        return conjugated(_pick(words[bank], rng))[form]
    return _base(_pick(words["where" if slot == "prep" else slot], rng))


def plural(entry: str) -> str:
    """Of a noun as the lexicon has it: regular, unless it says otherwise."""
    one, _, many = entry.partition("/")
    return many or _with_s(one)


def conjugated(entry: str) -> tuple[str, str, str, str, str]:
    """Of a verb as the lexicon has it: bare, of he, past, participle, ing."""
    bare, *irregular = entry.split("/")
    doubled = bare + bare[-1] if _DOUBLES.fullmatch(bare) else bare
    if bare.endswith("e"):
        regular = bare + "d"
    elif bare.endswith("y") and bare[-2] not in "aeiou":
        regular = bare[:-1] + "ied"
    else:
        regular = doubled + "ed"
    past, participle = irregular or (regular, regular)
    if bare.endswith("ie"):
        doing = bare[:-2] + "ying"
    elif bare.endswith("e") and bare[-2] not in "eoy":
        doing = bare[:-1] + "ing"
    else:
        doing = doubled + "ing"
    return bare, _with_s(bare), past, participle, doing


def _with_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh", "go", "do")):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") and word[-2] not in "aeiou" else word + "s"


def _base(entry: str) -> str:
    return entry.partition("/")[0]


def _pick(bank: list[str], rng: np.random.Generator) -> str:
    return bank[int(rng.integers(len(bank)))]
