"""Clips -> the same clips without any model that is measured: the truth, the source, a codec's and WORLD's resynthesis.

They stand beside the models in each table, and say what a figure is worth. Shapes: S samples, T pitch at 100 Hz.
"""

from collections.abc import Mapping

import numpy as np

from autosing.codecs import BUNDLED, load_codec
from autosing.codecs.fitted import FittedCodec
from autosing.metrics.controls import WorldVoice, formant_ratio
from autosing.metrics.meter import Meter
from inference.evaluate.cast import Cast
from inference.evaluate.clips import Clip
from inference.evaluate.systems import Made, Takes, at_rate
from inference.voice.convert import ConvertConfig, in_key
from inference.voice.pitch import Range
from inference.voice.singers import Voice


class AsItIs:
    """The clip itself: the truth where it is judged as its own singer, the source where as another."""

    takes: Takes = "source"
    costs = False
    sample_rate_hz = None

    def sing(self, clip: Clip, voice: Voice) -> Made:
        return Made(clip.audio_S)


class Resynthesis:
    """Through the latent of the codec that comes with the package."""

    takes: Takes = "source"
    costs = False
    sample_rate_hz = None

    def __init__(self) -> None:
        codec = load_codec(BUNDLED)
        assert isinstance(codec, FittedCodec), codec
        self._codec = codec

    def sing(self, clip: Clip, voice: Voice) -> Made:
        rate_hz = self._codec.spec.sample_rate_hz
        audio_S = clip.audio_S if clip.rate_hz == rate_hz else clip.cut.mono_S(rate_hz)
        return Made(at_rate(self._codec.resynthesise(audio_S), rate_hz, clip))


class World:
    """Through WORLD. As another singer: f0 moved as the models are asked to, formants by the ratio of the mean
    envelopes of the clip and of a clip of that singer."""

    takes: Takes = "source"
    costs = True
    sample_rate_hz = None

    def __init__(self, cast: Cast, meter: Meter, config: ConvertConfig, targets: Mapping[str, str]) -> None:
        """`targets`: clip's name -> who should sing it, where that is not its own singer."""
        self._cast, self._meter, self._config, self._targets = cast, meter, config, targets

    def sing(self, clip: Clip, voice: Voice) -> Made:
        f0_hz_T = self._meter.f0_hz(clip.audio_S)
        _, semitones = in_key(f0_hz_T, voice.range, self._config)
        target = self._targets.get(clip.name)
        target_S = self._cast.telling_S(target) if target else None
        return by_world(clip, f0_hz_T, 2 ** (semitones / 12), target_S, self._meter)


def by_world(clip: Clip, f0_hz_T: np.ndarray, ratio: float, target_S: np.ndarray | None, meter: Meter) -> Made:
    """f0 times `ratio`. `target_S`: sound of the voice from which formants are read; None: they stay."""
    source, formants = WorldVoice.of(clip.audio_S, clip.rate_hz, f0_hz_T), 1.0
    if target_S is not None:
        formants = formant_ratio(source, WorldVoice.of(target_S, clip.rate_hz, meter.f0_hz(target_S)))
    return Made(source.sound(ratio, formants), f0_hz_T * np.float32(ratio))


def ratio_to(f0_hz_T: np.ndarray, voice: Voice) -> float:
    """From the middle of a sound's pitch to that of a voice; 1 where one of them is not known."""
    source = Range.of(f0_hz_T)
    return voice.range.middle_hz / source.middle_hz if source and voice.range else 1.0
