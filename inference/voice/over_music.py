"""A song -> its voice and its music as files; and a new voice laid over the music again, as loud as the old one was.

All block by block: what is as long as the song lies in the work folder. The rules of levels are inference.mix's.

Shapes: C channels, S samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autosing.audio.blocks import Blocks, Tape, as_long, inspected, reading, resampled
from autosing.audio.io import Audio, Writer
from autosing.audio.loudness import LoudnessMeter, PeakMeter
from autosing.models.separation import Known, SeparatorConfig, at_most_stereo, load_separator, split_blocks
from inference.mix import balance_of, headroom_db, voice_gain_db
from inference.voice.mapped import Mapped

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Stems:
    """A song in two files that add up to it."""

    vocals: Path
    music: Path
    sample_rate_hz: int
    channels: int
    num_samples: int
    vocals_lufs: float
    music_lufs: float


def separate(song: Path, work: Path, config: SeparatorConfig) -> Stems:
    """Into the work folder. Raises InputError where the song is no audio, or the separator's weights are not there."""
    vocals_of = load_separator(config)
    found = inspected(song)
    rate, channels = found.sample_rate_hz, found.channels if found.channels <= 2 else 1
    paths = work / "vocals.wav", work / "music.wav"
    writers = [Writer(rate, channels, "wav", path) for path in paths]
    meters = [LoudnessMeter(rate) for _ in paths]
    with reading(song) as reader:
        mix = (at_most_stereo(Audio(block_SC.T, rate)).samples_CS for block_SC in reader.blocks())
        for stems in split_blocks(mix, rate, Known.of(found), vocals_of):
            for stem_CS, writer, meter in zip(stems, writers, meters, strict=True):
                writer.write(stem_CS)
                meter.push(stem_CS)
    for writer in writers:
        writer.finish()
    return Stems(*paths, rate, channels, found.num_samples, *(meter.lufs() for meter in meters))


def lay_over(voice: Iterator[np.ndarray], voice_rate_hz: int, stems: Stems, work: Path) -> Blocks:
    """Blocks of the mix, at the song's rate, channels and length. The voice, in blocks of audio_S, is sung whole before
    the first comes: its loudness must be known, and the peak of the sum."""
    rate, path, meter = stems.sample_rate_hz, work / "voice.f32", LoudnessMeter(stems.sample_rate_hz)
    mono = (block_S[None] for block_S in voice)
    with path.open("wb") as file:
        for block_CS in resampled(mono, voice_rate_hz, rate, stems.num_samples, channels=1):
            file.write(block_CS[0].astype(np.float32).tobytes())
            meter.push(np.broadcast_to(block_CS, (stems.channels, block_CS.shape[1])))
    balance = balance_of(stems.vocals_lufs, stems.music_lufs)
    gain = 10 ** (voice_gain_db(meter.lufs() - stems.music_lufs, balance) / 20)
    peak = PeakMeter(rate, stems.channels)
    for block_CS in _sum(path, stems, gain):
        peak.push(block_CS)
    quiet = np.float32(10 ** (headroom_db(peak.peak_db()) / 20))
    return (block_CS * quiet for block_CS in _sum(path, stems, gain))


def _sum(voice: Path, stems: Stems, gain: float) -> Blocks:
    sung = Mapped.raw(voice)
    own = (np.array(sung.array[None, k : k + _BLOCK]) for k in range(0, stems.num_samples, _BLOCK))
    tape = Tape(sung.resting(own))
    with reading(stems.music) as reader:
        for music_CS in as_long((block_SC.T for block_SC in reader.blocks()), stems.num_samples):
            yield music_CS + np.float32(gain) * tape.take(music_CS.shape[1])
