"""Sound -> the same sound with a watermark; and sound -> whether it has one. The network is Resemble AI's Perth.

Perth's encoder changes the levels of the bins below 2 kHz of a spectrogram, in the measure that its training took for
inaudible; its decoder gives one number from 0 to 1, so it tells that a sound is marked, not by whom. Both come with
their weights in the package resemble-perth (MIT). What they change is added to the sound at its own rate, so that
nothing above 16 kHz is lost. Windows of a song are marked one by one; memory does not grow with its length.

Shapes: C channels, S samples, F bins, T spectrogram frames.
"""

import functools
import io
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autosing.audio.blocks import Blocks, Tape, at_rate, fork, mixed, padded, reading
from autosing.errors import InputError
from autosing.pretrained.cache import file_digest

PACKAGE = "resemble-perth"
MISSING = f"the package {PACKAGE} is not installed; pip install 'autosing[watermark]'"
_RUN, _WEIGHTS = "implicit", "perth_net_250000.pth.tar"
_SHA256 = "a15bce457ebc53ce5e6c9c3f11df78cf7ee2bf9cdab0a798902135b4c4027670"
_STRIDE_S, _CONTEXT_S = 10, 1
"""Of windows. The encoder hears 0.2 s around a frame."""
_MARKED, _DOUBTFUL = 0.7, 0.4
"""Of the decoder's number: the least at which a mark is called found, and at which it is not called absent. Sounds
without one reached 0.63 (docs/provenance.md)."""


@dataclass(frozen=True)
class Perth:
    """The network, and its name for tags."""

    net: Any
    """perth's PerthNet."""
    name: str

    @property
    def sample_rate_hz(self) -> int:
        return int(self.net.hp.sample_rate)

    @torch.no_grad()
    def change(self, audio_CS: np.ndarray) -> np.ndarray:
        """What is added to samples at `sample_rate_hz` to mark them, each channel by itself."""
        hop, num_samples = int(self.net.hp.hop_size), audio_CS.shape[1]
        # Its transform reflects the ends, and leaves out what does not fill a hop.
        whole_CS = np.pad(audio_CS, ((0, 0), (0, self.sample_rate_hz // 4 + -num_samples % hop)))
        level_CFT, phase_CFT = self.net.ap.signal_to_magphase(whole_CS)
        marked_CFT, _ = self.net.encoder(level_CFT)
        sound_CS: Tensor = self.net.ap.magphase_to_signal(marked_CFT, phase_CFT)
        same_CS: Tensor = self.net.ap.magphase_to_signal(level_CFT, phase_CFT)
        change_CS: np.ndarray = (sound_CS - same_CS)[:, :num_samples].numpy()
        return change_CS

    @torch.no_grad()
    def confidence(self, audio_S: np.ndarray) -> float | None:
        """From 0 to 1, of samples at `sample_rate_hz`; None where they are digital silence."""
        if not np.abs(audio_S).max(initial=0) > 0:
            return None
        padded_CS = np.pad(audio_S, (0, self.sample_rate_hz // 4))[None]
        level_CFT, _ = self.net.ap.signal_to_magphase(padded_CS)
        return float(self.net.decoder(level_CFT).clip(0, 1))


@dataclass(frozen=True)
class Heard:
    """What the decoder says of a file."""

    confidence: float
    """Mean over what sounds, from 0 to 1."""
    marked_share: float
    """Of what sounds, by windows."""
    seconds: float
    """That sound; 0 where all is silent."""

    @property
    def found(self) -> bool:
        return self.confidence >= _MARKED

    @property
    def doubtful(self) -> bool:
        return _DOUBTFUL <= self.confidence < _MARKED


@functools.lru_cache(maxsize=1)
def watermark_here() -> Perth | None:
    """None where the package is not installed. Raises InputError where what it needs is missing, or its weights are not
    those we know."""
    try:
        found = version(PACKAGE)
    except PackageNotFoundError:
        return None
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # it prints a line; pkg_resources warns
        warnings.simplefilter("ignore")
        try:
            from perth.perth_net import PREPACKAGED_MODELS_DIR
            from perth.perth_net.perth_net_implicit.model.perth_net import PerthNet
        except ImportError as error:
            raise InputError(
                f"watermark: {PACKAGE} lacks what it needs ({error}); pip install 'autosing[watermark]', or give "
                "--no-watermark"
            ) from None
        weights = Path(PREPACKAGED_MODELS_DIR) / _RUN / _WEIGHTS
        digest = file_digest(weights)
        if digest != _SHA256:
            raise InputError(
                f"watermark: {weights} has digest {digest[:12]}, need {_SHA256[:12]}; "
                "pip install --force-reinstall 'autosing[watermark]', or give --no-watermark"
            )
        net = PerthNet.load(_RUN, PREPACKAGED_MODELS_DIR)
    return Perth(net.eval().requires_grad_(False), f"perth-implicit {found}")


def marked(blocks: Blocks, sample_rate_hz: int, channels: int, mark: Perth) -> Blocks:
    """samples_CS, as many as came, in blocks of any size."""
    own, heard = fork(blocks)
    return mixed(own, _changes(heard, sample_rate_hz, channels, mark), 1.0)


def heard_in(path: Path, mark: Perth) -> Heard:
    """What the decoder says of an audio file, in windows. Raises InputError where it is none."""
    rate, confidences, lengths = mark.sample_rate_hz, [], []
    with reading(path) as reader:
        tape = Tape(reader.mono_blocks(rate))
        while (window_CS := tape.take(_STRIDE_S * rate)).shape[1]:
            confidence = mark.confidence(window_CS[0])
            if confidence is not None:
                confidences.append(confidence)
                lengths.append(window_CS.shape[1])
    if not lengths:
        return Heard(0.0, 0.0, 0.0)
    said = np.array(confidences)
    mean, share = (float(np.average(values, weights=lengths)) for values in (said, said >= _MARKED))
    return Heard(mean, share, sum(lengths) / rate)


def _changes(blocks: Blocks, sample_rate_hz: int, channels: int, mark: Perth) -> Blocks:
    """What is added to the blocks, at their rate; a sample more or less than they have."""
    rate = mark.sample_rate_hz
    heard = at_rate(blocks, sample_rate_hz, rate, channels)
    return at_rate(_changes_of_windows(heard, channels, mark), rate, sample_rate_hz, channels)


def _changes_of_windows(blocks: Blocks, channels: int, mark: Perth) -> Blocks:
    stride, context = _STRIDE_S * mark.sample_rate_hz, _CONTEXT_S * mark.sample_rate_hz
    tape = Tape(padded(blocks, context, 0, channels))
    while (window_CS := tape.look(context + stride + context)).shape[1] > context:
        yield mark.change(window_CS)[:, context : context + stride]
        tape.skip(stride)
