"""The unpacked dialogues of a game -> tracks of speech with an LRC each: real voices whose words are known.

    apt-get download fillets-ng-data fillets-ng-data-cs fillets-ng-data-nl
    for f in *.deb; do dpkg-deb -x $f UNPACKED/${f%%_*}; done
    python -m train.corpora.dialogs UNPACKED OUT [--minutes 30]
    autosing import OUT CORPUS

Actors of Fish Fillets speak the subtitles of its Lua scripts (GPL-2.0-only), in rooms and under effects. A line of a
track is what one of them says at a time, with its start. Lines whose words are not what is heard are found by the align
stage, which marks them. Nothing of the recordings is kept in the repository. Shapes: S samples.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.text.letters import UNKNOWN, letters
from autosing.text.lrc import LrcLine, write_lrc
from train.corpora.recordings import PACKAGES, write_table

RATE_HZ = 24000
TRACK_S = 28.0
"""A track is heard at once by Whisper."""
LONGEST_S, GAP_S = 14.0, 0.4
LANGUAGES = ("cs", "nl", "en")
_GAME = "usr/share/games/fillets-ng"
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_ITEM = re.compile(rf"dialogId\(\s*{_QUOTED}\s*,\s*{_QUOTED}\s*,\s*{_QUOTED}\s*\)|dialogStr\(\s*{_QUOTED}\s*\)")


@dataclass(frozen=True)
class Spoken:
    """A recording and its words."""

    path: Path
    text: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("unpacked", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0, help="at most, of each language")
    given = parser.parse_args()
    for language, minutes in write_dialogs(given.unpacked, given.out, given.minutes).items():
        print(f"{language}: {minutes:.1f} min")  # noqa: T201


def write_dialogs(unpacked: Path, out: Path, most_minutes: float) -> dict[str, float]:
    """Minutes written of each language. OUT then holds <track>.wav, <track>.lrc and songs.csv.

    Raises InputError where no recording with a subtitle is in `unpacked`.
    """
    out.mkdir(parents=True, exist_ok=True)
    minutes, rows = {}, []
    for language in LANGUAGES:
        minutes[language] = 0.0
        for number, (audio_S, lines) in enumerate(_tracks(spoken(unpacked, language), language)):
            if minutes[language] >= most_minutes:
                break
            track = f"{language}_{number:03d}"
            soundfile.write(out / f"{track}.wav", audio_S, RATE_HZ)
            (out / f"{track}.lrc").write_text(write_lrc(lines), encoding="utf-8")
            minutes[language] += len(audio_S) / RATE_HZ / 60
            licence = PACKAGES["fillets-ng-data"].licence
            rows.append({"file": f"{track}.wav", "artist": track, "language": language, "licence": licence})
    if not rows:
        raise InputError(f"{unpacked}: no fillets-ng-data with script/ and sound/ in it; unpack it with dpkg-deb -x")
    write_table(out, ("file", "artist", "language", "licence"), rows)
    return minutes


def spoken(unpacked: Path, language: str) -> list[Spoken]:
    """The recordings of a language that have a subtitle of two words or more, all of them with letters."""
    found = []
    for script in sorted(unpacked.glob(f"*/{_GAME}/script/*/dialogs_{language}.lua")):
        texts = subtitles(script.read_text(encoding="utf-8"), language)
        for name, text in texts.items():
            paths = sorted(unpacked.glob(f"*/{_GAME}/sound/{script.parent.name}/{language}/{name}.ogg"))
            words = [letters(word) for word in text.split()]
            if paths and len([word for word in words if word]) >= 2 and not any(UNKNOWN in word for word in words):
                found.append(Spoken(paths[0], text))
    return found


def subtitles(script: str, language: str) -> dict[str, str]:
    """Name -> text. A name comes with its English text; a translation follows it."""
    texts: dict[str, str] = {}
    name = ""
    for item in _ITEM.finditer(script):
        if item[1] is not None:
            name = item[1]
            if language == "en":
                texts[name] = _plain(item[3])
        elif name and language != "en":
            texts[name] = _plain(item[4])
    return {name: text for name, text in texts.items() if text}


def _plain(quoted: str) -> str:
    return " ".join(re.sub(r"\\(.)", r"\1", quoted).split())


def _tracks(recordings: list[Spoken], language: str) -> Iterator[tuple[np.ndarray, list[LrcLine]]]:
    """Recordings in a seeded order, joined until the next would not fit."""
    order = np.random.default_rng(seed_of("dialogues", language)).permutation(len(recordings))
    parts: list[np.ndarray] = []
    lines: list[LrcLine] = []
    length_s = 0.0
    for recording in (recordings[i] for i in order):
        audio_S = _read(recording.path)
        added_s = len(audio_S) / RATE_HZ + GAP_S
        if not len(audio_S) or added_s > LONGEST_S:
            continue
        if length_s + added_s > TRACK_S:
            yield np.concatenate(parts), lines
            parts, lines, length_s = [], [], 0.0
        lines.append(LrcLine(recording.text, length_s))
        parts += [audio_S, np.zeros(round(GAP_S * RATE_HZ), np.float32)]
        length_s = sum(map(len, parts)) / RATE_HZ
    if parts:
        yield np.concatenate(parts), lines


def _read(path: Path) -> np.ndarray:
    """audio_S at RATE_HZ with its peak at 0.6, without the quiet before and after; empty where there is none."""
    audio_S, rate = soundfile.read(path, dtype="float32")
    if audio_S.ndim == 2:
        audio_S = audio_S.mean(1)
    loud = np.nonzero(np.abs(audio_S) > 0.02 * np.abs(audio_S).max(initial=0.0))[0]
    if not len(loud):
        return np.zeros(0, np.float32)
    margin = round(0.05 * rate)
    audio_S = audio_S[max(0, loud[0] - margin) : loud[-1] + margin]
    return np.asarray(soxr.resample(audio_S * np.float32(0.6 / np.abs(audio_S).max()), rate, RATE_HZ), np.float32)


if __name__ == "__main__":
    main()
