"""Phones -> the classes that ears tell apart by their spectrum, and the frames they are heard in. Loads no torch."""

from functools import cache

from autosing.score.phones import inventory

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 160
"""Frame t lies around t * 10 ms."""
_VOWELS = {
    "front_high": "i y ɪ ʏ ĩ", "front_mid": "e ø ɛ œ eɪ ẽ ɛ̃ œ̃", "open": "æ a ɐ ɑ ɒ aɪ aʊ ã ɑ̃",
    "back": "o ɔ oʊ ɔɪ əʊ ɤ ʌ õ ɔ̃", "back_high": "u ʊ ɯ ʉ ɨ ũ", "central": "ə ɘ ɵ ɜ", "rhotic": "ɚ",
    "apical": "ɿ ʅ",
}  # fmt: skip
_CONSONANTS = {
    "nasal": "m n ŋ ɱ ɳ ɲ ɴ mʲ nʲ m̩ n̩ ŋ̩", "lateral": "l ɫ ʎ ɭ lʲ l̩", "approximant": "ɹ ɻ ʋ", "glide": "j w ɥ ɰ",
    "tap": "ɾ ɽ r ʀ rʲ r̩", "hiss": "s z ts dz tsʰ s͈ sʲ zʲ", "hush": "ʃ ʒ ʂ ʐ ɕ ʑ tʃ dʒ tɕ dʑ tɕʰ tɕ͈ ʈʂ ʈʂʰ",
    "weak_fricative": "f v θ ð ɸ β fʲ vʲ", "breathy": "h ɦ x χ ħ ç ʝ ɣ ʁ ʕ ɬ xʲ",
}  # fmt: skip
CLASSES = ("silence", *_VOWELS, *_CONSONANTS, "stop", "voiced_stop")


@cache
def class_of() -> dict[str, int]:
    """Phone of the inventory -> its class; specials are silence."""
    found: dict[str, int] = {}
    for name, symbols in (_VOWELS | _CONSONANTS).items():
        found |= dict.fromkeys(symbols.split(), CLASSES.index(name))
    for symbol, phone in inventory().items():
        if symbol not in found:
            stop = "voiced_stop" if phone.voiced else "stop"
            found[symbol] = CLASSES.index("silence" if phone.kind == "special" else stop)
    return found
