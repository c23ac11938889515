"""Songs and text files of a folder -> which text belongs to which song, told by names and folders.

A text belongs to a song whose name, without the ending, is its own. It may lie beside the song or in a folder of lyrics
(`Lyrics/` beside it, or beside the song's folder), have the song's whole name (`song.wav.lrc`) or a language before its
ending (`song.en.lrc`). Names are compared as they are, then as composed text (a Mac decomposes é), then without case;
the looser comparison counts where it fits one name only.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autosing.score.languages import language_code
from processing.importer.lyric_files import LYRIC_SUFFIXES

LYRIC_FOLDERS = frozenset(("lyrics", "lyric", "lrc", "lrcs", "text", "texts", "txt", "subs", "subtitles", "karaoke",
                           "score", "scores", "midi", "json", "ultrastar", "歌词", "歌詞", "paroles",
                           "letras"))  # fmt: skip
_LANGUAGES = frozenset((
    "en", "zh", "ko", "ja", "es", "fr", "de", "it", "pt", "ru", "nl", "pl", "sv", "da", "no", "fi", "tr", "el", "cs",
    "hu", "ro", "uk", "ar", "he", "hi", "id", "vi", "th", "la", "yue", "ca", "eng", "spa", "fra", "fre", "deu", "ger",
    "ita", "por", "rus", "jpn", "kor", "zho", "chi", "english", "chinese", "mandarin", "korean", "japanese", "spanish",
    "french", "german", "italian", "portuguese", "russian", "cn", "jp", "kr",
))  # fmt: skip
_AS_CODE = {"eng": "en", "spa": "es", "fra": "fr", "fre": "fr", "deu": "de", "ger": "de", "ita": "it", "por": "pt",
            "rus": "ru", "jpn": "ja", "kor": "ko", "zho": "zh", "chi": "zh", "cn": "zh", "jp": "ja",
            "kr": "ko"}  # fmt: skip


@dataclass(frozen=True)
class Side:
    """A text file of a song; `language`: as its name says, in a code; `distance`: the smaller, the closer."""

    path: Path
    language: str | None
    distance: int


class Beside:
    """`of`: song -> its texts, the closest first. `unowned`: the texts that are no song's, and why."""

    def __init__(self, songs: Iterable[Path], texts: Iterable[Path]) -> None:
        self.of: dict[Path, list[Side]] = {}
        self.unowned: dict[Path, str] = {}
        self._folders: dict[Path, list[Path]] = {}
        for song in songs:
            self._folders.setdefault(song.parent, []).append(song)
        self._below: dict[Path, dict[Path, None]] = {}
        for folder in self._folders:
            for inner in (folder, *folder.parents):
                self._below.setdefault(inner.parent, {})[inner] = None
        for text in texts:
            self._place(text)
        for sides in self.of.values():
            sides.sort(key=lambda side: side.distance)

    def _place(self, text: Path) -> None:
        several: list[str] = []
        for distance, folder in self._places(text):
            for further, stem, language in _stems(text):
                for compare in (str, _composed, lambda name: _composed(name).casefold()):
                    found = self._named(folder, stem, compare)
                    if len({_stem(song, stem) for song in found}) > 1:
                        several = [song.name for song in found]
                    elif found:
                        for song in found:
                            side = Side(text, language, distance + further)
                            self.of.setdefault(song, []).append(side)
                        return
        self.unowned[text] = (
            f"several songs have its name but for case: {', '.join(sorted(several)[:3])}; give it the name of one"
            if several
            else "no song has its name; give it the name of its song, and put it beside that"
        )

    def _named(self, folder: Path, stem: str, compare: Callable[[str], str]) -> list[Path]:
        """The songs of a folder with this stem, or with it as their whole name."""
        songs = self._folders.get(folder, ())
        whole = [song for song in songs if compare(song.name) == compare(stem)]
        return whole or [song for song in songs if compare(song.stem) == compare(stem)]

    def _places(self, text: Path) -> Iterator[tuple[int, Path]]:
        """Folders in which its song may lie, the closest first."""
        yield 0, text.parent
        for folder in text.parents:
            if _composed(folder.name).casefold() in LYRIC_FOLDERS:
                inside = text.parent.relative_to(folder)
                yield 2, folder.parent / inside
                for other in self._below.get(folder.parent, ()):
                    if other != folder:
                        yield 4, other / inside


def _stems(text: Path) -> Iterator[tuple[int, str, str | None]]:
    """(further, name, language) that a song may have to which the text belongs."""
    yield 0, text.stem, None
    if Path(text.stem).suffix.lower() in LYRIC_SUFFIXES:  # an editor's .txt behind the ending that was meant
        yield 1, Path(text.stem).stem, None
    name, _, last = text.stem.rpartition(".")
    words = last.lower().replace("_", "-").split("-")
    if name and words[0] in _LANGUAGES and len(words) <= 3:
        yield 1, name, _AS_CODE.get(words[0], language_code(words[0]))


def _stem(song: Path, wanted: str) -> str:
    return song.name if song.name == wanted else song.stem


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
