"""a song's lyrics (LRC, plain text or none) and the name of its language -> lines to place, and a language code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autosing.alignment.place import SungLine
from autosing.text.cleaning.clean import clean
from autosing.text.cleaning.line import FileLine, Kind
from autosing.text.normalize import has_own_script, languages_of, main_script, without_held_marks, words_of

LRC, PLAIN, TRANSCRIBED = "lrc", "plain", "transcribed"


@dataclass(frozen=True)
class Reading:
    """The lines of a file, each with its kind."""

    lines: tuple[FileLine, ...]

    @property
    def sung(self) -> list[SungLine]:
        """The lines that are sung in their turn."""
        return [to_place(line) for line in self.lines if line.is_sung]

    def numbers(self, kind: Kind) -> list[int]:
        """The numbers of the lines of a kind."""
        return [number for number, line in enumerate(self.lines) if line.kind == kind]

    @property
    def script(self) -> str | None:
        return main_script(" ".join(line.text for line in self.lines if line.is_sung))


def read_lyrics(
    lrc_lyrics: str | None, raw_lyrics: str | None, known: Sequence[str] = (), language: str | None = None
) -> tuple[list[Reading], str]:
    """(readings of the file, the likeliest first, lrc or plain). None if nothing in it is sung.

    An LRC without any stamp counts as plain text; raw lyrics are preferred to it. `known`: title and artist.
    """
    lrc = clean(lrc_lyrics or "", known, language)
    plain = clean(raw_lyrics or "", known, language)
    found, source = (lrc, LRC) if lrc.stamped else (plain, PLAIN)
    if not lrc.stamped and not any(line.is_sung for line in plain.lines):
        found = lrc
    readings = [Reading(lines) for lines in found.readings]
    return [reading for reading in readings if reading.sung], source


def transcribed(lines: Sequence[SungLine]) -> Reading:
    """Lines that were heard."""
    return Reading(tuple(FileLine(line.text, start_s=line.start_s) for line in lines))


def known_language(name: str | None) -> str | None:
    """`en`, `EN-us` or `English` -> en; None if Whisper does not know the language."""
    from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE

    text = (name or "").strip().lower()
    code = TO_LANGUAGE_CODE.get(text, text.replace("_", "-").split("-")[0])
    code = "zh" if code == "cmn" else code
    return code if code in LANGUAGES else None


def likely_language(detected: Mapping[str, float], script: str | None) -> str:
    """The most probable of the detected languages that are written in the lyrics' script; of all if there is none.

    For Latin script those are the languages without a script of their own: romanised lyrics are not expected.
    """
    owners = languages_of(script or "LATIN")
    fitting = {name: p for name, p in detected.items() if (name in owners if owners else not has_own_script(name))}
    fitting = fitting or dict(detected)
    return max(sorted(fitting), key=lambda name: fitting[name])


def _sung(text: str) -> str:
    """A line's text without marks of held notes, its spaces tidied; a line without such marks stays as it is."""
    plain = without_held_marks(text)
    return text if plain == text else " ".join(plain.split())


def to_place(line: FileLine) -> SungLine:
    """Stamps of symbols (`♪`) are ignored. If most stamps do not match the line's words, none of them is used."""
    words = tuple(words_of(line.text))
    starts: list[float | None] = [None] * len(words)
    at = missed = 0
    for stamped in line.words:
        head = words_of(stamped.text)[:1]
        if not head:
            continue
        found = next((k for k in range(at, len(words)) if words[k].startswith(head[0])), None)
        if found is None:
            missed += 1
            continue
        starts[found], at = stamped.start_s, found + 1
    usable = missed <= sum(start is not None for start in starts)
    return SungLine(_sung(line.text), words, line.start_s, tuple(starts) if line.words and usable else ())
