"""Real songs -> the share of the words heard in the separated voice that are heard again after a codec, as JSON.

python benchmarks/quality/refound.py SONG ... [--codec NAME ...] [--model RUN ...] [--language en] [--seconds 12.5]
    [--clips N] [--separated] [--keep FOLDER]

No labels are needed: what Whisper base (temperature 0, language given) finds in the voice as the separator gives it is
the truth, clip by clip, over all of each song. For each way of resynthesis the share of those words that it finds again
(matches of the word alignment of jiwer), with a 95 % interval by bootstrap over clips. The ways: `control` (times 0.8
with noise at -60 dBFS: what the recogniser loses by itself), `world` (harvest, cheaptrick, d4c), and for each codec its
codes and, of our own, its latent before quantisation; for each run of a conversion model the voice of its singers, who
take the clips in turn, in a key that fits each. --separated: SONG holds a voice alone already. --keep: a folder
that holds what Whisper heard by digest of the sound, so that the next run need not ask again.
"""

import argparse
import json
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from autosing.audio.io import Audio, decode, resample, save
from autosing.codecs import load_codec
from autosing.codecs.fitted import FittedCodec
from autosing.metrics.controls import noisy, world
from autosing.metrics.interval import bootstrap_interval, ratio_of_sums
from autosing.metrics.kept import Kept
from autosing.metrics.meter import Meter
from autosing.metrics.recognition import found_again, spelled
from autosing.models.separation import SeparatorConfig, load_separator, split
from inference.evaluate.clips import Clip
from inference.evaluate.systems import FromSource
from inference.voice.convert import ConvertConfig
from inference.voice.singers import voices_of_run

RATE_HZ = 24000
LEAST_WORDS = 3
"""Clips in which fewer words are heard are left out."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path, nargs="+")
    parser.add_argument("--codec", nargs="*", default=["autosing-24khz"])
    parser.add_argument("--model", type=Path, nargs="*", default=[])
    parser.add_argument("--language", default="en")
    parser.add_argument("--seconds", type=float, default=12.5)
    parser.add_argument("--clips", type=int)
    parser.add_argument("--separated", action="store_true")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    meter, language = Meter(Kept(given.keep), RATE_HZ), given.language
    clips = [clip for path in given.songs for clip in voice_clips(path, given.seconds, given.separated)]
    heard = [(clip_S, meter.heard(clip_S, language)) for clip_S in clips]
    truths = [(clip_S, text) for clip_S, text in heard if len(spelled(text, language).split()) >= LEAST_WORDS]
    truths = truths[:: max(1, len(truths) // given.clips)] if given.clips else truths
    result: dict[str, Any] = {"clips": len(truths)}
    with TemporaryDirectory(prefix="autosing-") as folder:
        remade = ways(given.codec) | {str(run): converted(run, Path(folder)) for run in given.model}
        for name, remake in remade.items():
            again = [found_again(text, meter.heard(remake(x_S), language), language) for x_S, text in truths]
            hits_N, words_N = np.array(again).T
            result |= {"words": int(words_N.sum()), name: interval(hits_N, words_N)}
    print(json.dumps(result, indent=1))


def ways(codecs: list[str]) -> dict[str, Any]:
    """name -> audio_S -> audio_S, each way of resynthesis."""
    found: dict[str, Any] = {"control": noisy, "world": lambda x_S: world(x_S, RATE_HZ)}
    for name in codecs:
        codec = load_codec(name)
        found[name] = lambda audio_S, codec=codec: codec.decode_flat(codec.encode_flat(audio_S))[: len(audio_S)]
        if isinstance(codec, FittedCodec):
            found[f"{name} latent"] = codec.resynthesise
    return found


def converted(run: Path, folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """audio_S -> the same singing by the next of the run's singers."""
    system, singers = FromSource(run, ConvertConfig(key="auto"), folder), cycle(voices_of_run(run))

    def remake(audio_S: np.ndarray) -> np.ndarray:
        save(Audio(audio_S[None].clip(-1, 1), RATE_HZ), folder / "clip.wav")
        clip = Clip("clip", "", "und", folder / "clip.wav", 0.0, len(audio_S) / RATE_HZ, rate_hz=RATE_HZ)
        return system.sing(clip, next(singers)).audio_S

    return remake


def voice_clips(path: Path, seconds: float, separated: bool) -> list[np.ndarray]:
    """audio_S at RATE_HZ of the song's separated voice, cut into clips of equal length; the rest is left out."""
    mix = decode(path)
    vocals = mix if separated else split(mix, load_separator(SeparatorConfig()))[0]
    voice_S = resample(vocals.mono_S(), vocals.sample_rate_hz, RATE_HZ)
    size = round(seconds * RATE_HZ)
    return [voice_S[first : first + size] for first in range(0, len(voice_S) - size + 1, size)]


def interval(hits_N: np.ndarray, counts_N: np.ndarray) -> dict[str, Any]:
    """Share of all words, and its 95 % interval over clips."""
    found = bootstrap_interval(hits_N, counts_N, statistic=ratio_of_sums)
    return {"found_again": round(found.value, 4), "interval": [round(found.low, 4), round(found.high, 4)]}


if __name__ == "__main__":
    main()
