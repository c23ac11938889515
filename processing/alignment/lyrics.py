"""a song's lyrics (LRC, plain text or none) and the name of its language -> lines to place, and a language code."""

from collections.abc import Mapping

from autosing.text.lrc import LrcLine, parse_lrc
from autosing.text.normalize import has_own_script, languages_of, lines_of, without_held_marks, words_of
from processing.alignment.place import SungLine

LRC, PLAIN, TRANSCRIBED = "lrc", "plain", "transcribed"


def read_lyrics(lrc_lyrics: str | None, raw_lyrics: str | None) -> tuple[list[SungLine], str]:
    """(lines that hold words, lrc or plain). No lines if there are no lyrics: null, blank, headings only.

    An LRC without any stamp counts as plain text; raw lyrics are preferred to it.
    """
    lrc = parse_lrc(lrc_lyrics or "")
    stamped = [line for line in map(_from_lrc, lrc.lines) if line.words]
    if any(line.start_s is not None for line in stamped):
        return stamped, LRC
    plain = [SungLine(_sung(text), tuple(words_of(text))) for text in lines_of(raw_lyrics or "")]
    return [line for line in plain if line.words] or stamped, PLAIN


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


def _from_lrc(line: LrcLine) -> SungLine:
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
