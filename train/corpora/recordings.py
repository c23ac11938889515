"""Unpacked Debian packages of recorded speech -> tracks of about 45 s, a table of speakers, and a card of sources.

    apt-get download klettres-data ktuberling-data ...         (PACKAGES, below)
    for f in *.deb; do dpkg-deb -x $f UNPACKED/${f%%_*}; done
    python -m train.corpora.recordings UNPACKED OUT [--songs TRUTH ...]

Many people, rooms and microphones in some thirty languages: a codec needs them to keep the words of real voices. They
are only for networks that analyse and resynthesise (codec, vocoder, alignment head), never for voices that a user can
choose. The repository holds none of the recordings.

TRUTH is the folder that `autosing songs` writes beside its corpus. The voices of these songs (vocals.flac, speech.flac)
become tracks too. Every fourth recording is mixed with one of their accompaniments, 0 to 15 dB below the voice, and
separated again, so that it has a separator's artefacts. The tracks are therefore processed with
`separate.separator=none`.
Needs the extra `recordings` (PyAV, for G.722). Shapes: C channels, S samples.
"""

import argparse
import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
import soundfile
import soxr

from autosing.audio.io import Audio, decode, resample
from autosing.errors import InputError
from autosing.ids import clean_id, seed_of
from autosing.models.separation import SeparatorConfig, VocalsOf, load_separator, split

RATE_HZ, SEPARATOR_RATE_HZ = 24000, 44100
TRACK_S, LEAST_S = 45.0, 8.0
GAP_S = 0.1
LEAST_RATE_HZ = 16000
"""Recordings of a lower rate would teach a codec to remove the high frequencies."""


@dataclass(frozen=True)
class Package:
    """A package of recordings: its licence, and the maximum minutes that are used of it."""

    licence: str
    minutes: float


PACKAGES = {
    "klettres-data": Package("GPL-2.0-or-later", 60),
    "ktuberling-data": Package("GPL-2.0-or-later", 60),
    "fillets-ng-data": Package("GPL-2.0-only", 30),
    "fillets-ng-data-cs": Package("GPL-2.0-only", 60),
    "fillets-ng-data-nl": Package("GPL-2.0-only", 60),
    "asterisk-core-sounds-en-g722": Package("CC-BY-SA-3.0", 30),
    "asterisk-core-sounds-es-g722": Package("CC-BY-SA-3.0", 15),
    "asterisk-core-sounds-fr-g722": Package("CC-BY-SA-3.0", 15),
    "asterisk-core-sounds-it-g722": Package("CC-BY-3.0", 15),
    "asterisk-core-sounds-ru-g722": Package("CC-BY-3.0", 15),
}
_ENDINGS = (".ogg", ".wav", ".g722")
_KINDS = ("alpha", "syllab")
"""Klettres' folders below a language."""
_NOT_SPEECH = ("music", "share", "silence")
"""Folders of music and effects."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("unpacked", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--songs", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    write_tracks(given.unpacked, given.out, given.songs)


def write_tracks(unpacked: Path, out: Path, songs: Sequence[Path] = ()) -> dict[str, float]:
    """Write <track>.wav, songs.csv and sources.json to `out`. Returns the minutes written of each source.

    Raises InputError if none of PACKAGES is in `unpacked`.
    """
    here = {name: package for name, package in PACKAGES.items() if (unpacked / name).is_dir()}
    if not here:
        raise InputError(f"{unpacked}: none of {', '.join(PACKAGES)} found; unpack each with dpkg-deb -x into its name")
    out.mkdir(parents=True, exist_ok=True)
    accompaniments = sorted(path for truth in songs for path in truth.glob("*/instrumental.flac"))
    minutes = dict.fromkeys([*here, *(["made songs"] if songs else [])], 0.0)
    rows = []
    for track, singer, audio_S in made_voices(songs):
        soundfile.write(out / f"{track}.wav", audio_S, RATE_HZ)
        minutes["made songs"] += len(audio_S) / RATE_HZ / 60
        rows.append({"file": f"{track}.wav", "artist": singer, "licence": "made"})
    for name, package in here.items():
        for speaker, number, audio_S in tracks(unpacked / name, name, package.minutes * 60):
            track = f"{speaker}_{number:02d}".replace("@", "-")
            if accompaniments and number % 4 == 1:
                audio_S = separated(over_a_band(audio_S, track, accompaniments))
            soundfile.write(out / f"{track}.wav", audio_S, RATE_HZ)
            minutes[name] += len(audio_S) / RATE_HZ / 60
            rows.append({"file": f"{track}.wav", "artist": speaker, "licence": package.licence})
    write_table(out, ("file", "artist", "licence"), rows)
    sources = {
        name: {"licence": here[name].licence if name in here else "made", "minutes": round(length, 1)}
        for name, length in minutes.items()
    }
    (out / "sources.json").write_text(json.dumps(sources, indent=1) + "\n", encoding="utf-8")
    return minutes


def write_table(out: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """OUT/songs.csv, a row a track, as `autosing import` reads it."""
    with (out / "songs.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)


def tracks(folder: Path, package: str, most_s: float) -> Iterator[tuple[str, int, np.ndarray]]:
    """(speaker, number, audio_S): a speaker's recordings in a seeded order, joined with short gaps.

    A package's language counts as one speaker: most packages have one speaker per language, and none names them.
    """
    found = (path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
    spoken = sorted((_speaker(path, package), path) for path in found if path.parent.name not in _NOT_SPEECH)
    left_s = most_s
    for speaker, group in groupby(spoken, lambda pair: pair[0]):
        paths = [path for _, path in group]
        order = np.random.default_rng(seed_of("recordings", speaker)).permutation(len(paths))
        number, parts, length_s = 0, [], 0.0
        for path in (paths[i] for i in order):
            audio_S = _read(path)
            if audio_S is None or left_s <= 0:
                continue
            parts += [audio_S, np.zeros(round(GAP_S * RATE_HZ), np.float32)]
            length_s += len(audio_S) / RATE_HZ
            left_s -= len(audio_S) / RATE_HZ
            if length_s >= TRACK_S:
                yield speaker, number, np.concatenate(parts)
                number, parts, length_s = number + 1, [], 0.0
        if length_s >= LEAST_S:
            yield speaker, number, np.concatenate(parts)


def made_voices(songs: Sequence[Path]) -> Iterator[tuple[str, str, np.ndarray]]:
    """(track, singer, audio_S): the singing, with its room, and the speech of each synthetic song."""
    for truth in songs:
        for folder in sorted(truth.iterdir()):
            singer = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["artist"]
            for name in ("vocals", "speech"):
                audio = decode(folder / f"{name}.flac")
                audio_S = resample(audio.mono_S(), audio.sample_rate_hz, RATE_HZ)
                yield clean_id(f"{truth.parent.name}_{folder.name}_{name}"), f"made-{singer}", audio_S


def over_a_band(audio_S: np.ndarray, track: str, accompaniments: list[Path]) -> np.ndarray:
    """The voice mixed with an accompaniment, from a random moment on, 0 to 15 dB below it in power."""
    rng = np.random.default_rng(seed_of("band", track))
    band = decode(accompaniments[int(rng.integers(len(accompaniments)))])
    band_S = resample(band.mono_S(), band.sample_rate_hz, RATE_HZ)
    band_S = np.tile(band_S, -(-len(audio_S) // len(band_S)) + 1)
    first = int(rng.integers(len(band_S) - len(audio_S)))
    band_S = band_S[first : first + len(audio_S)]
    gain = np.sqrt(np.square(audio_S).mean() / max(np.square(band_S).mean(), 1e-12)) * 10 ** (-rng.uniform(0, 15) / 20)
    mixed_S = audio_S + np.float32(gain) * band_S
    return mixed_S * np.float32(0.9 / max(0.9, float(np.abs(mixed_S).max())))


def separated(audio_S: np.ndarray) -> np.ndarray:
    """The voice that the default separator finds in the mix."""
    mix = Audio(audio_S[None], RATE_HZ).resampled(SEPARATOR_RATE_HZ)
    vocals, _ = split(mix, _separator())
    return resample(vocals.mono_S(), SEPARATOR_RATE_HZ, RATE_HZ)[: len(audio_S)]


@lru_cache(maxsize=1)
def _separator() -> VocalsOf:
    return load_separator(SeparatorConfig())


def _speaker(path: Path, package: str) -> str:
    """Package and language: the last folder of the path that is not one of Klettres' kinds."""
    if package.startswith("asterisk"):
        return package.removesuffix("-g722")
    parts = [part for part in path.parent.parts if part not in _KINDS]
    return f"{package}-{parts[-1]}" if len(package.split("-")) < 4 else package


def _read(path: Path) -> np.ndarray | None:
    """audio_S at RATE_HZ with its peak in [0.3, 0.9]; None if the rate is too low, or it is too short or too quiet."""
    audio_S, rate = _read_g722(path) if path.suffix.lower() == ".g722" else soundfile.read(path, dtype="float32")
    if audio_S.ndim == 2:
        audio_S = audio_S.mean(1)
    if rate < LEAST_RATE_HZ or len(audio_S) < 0.2 * rate:
        return None
    peak = float(np.abs(audio_S).max())
    if peak < 0.01:
        return None
    wanted = np.random.default_rng(seed_of("level", path.name)).uniform(0.3, 0.9)
    return np.asarray(soxr.resample(audio_S * np.float32(wanted / peak), rate, RATE_HZ), np.float32)


def _read_g722(path: Path) -> tuple[np.ndarray, int]:
    import av

    with av.open(str(path), format="g722") as container:
        blocks = [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
    return np.concatenate([np.zeros(0, np.int16), *blocks]).astype(np.float32) / 32768, 16000


if __name__ == "__main__":
    main()
