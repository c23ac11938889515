"""Speech, the score of a song and a singer -> singing of the speech's words: AlignSTS's parts around `svc_flow`.

    content of speech on one pitch -> encoder
    where in the speech each frame's phone is spoken, phones, notes, rhythm codes -> aligner, within windows -> content
    content, notes, singer -> f0, voicing, loudness, where nobody draws them (as in `visinger`)
    content, f0, voicing, loudness, singer -> prior and flow -> frames of the codec's latent -> sound

AlignSTS (Li et al. 2023, arXiv:2305.04476) finds words by attention along the diagonal, from rhythm codes alone. Here
the phones of speech and song are known, or found (autosing.speech), so that windows lie where the phone is spoken. The
aligner carries the speech's content as it is, and adds to it: so the flow of a trained conversion run understands it
from the first step on.

Shapes: B clips, S frames of speech (50 Hz), F frames of the space, C numbers of content, W width, E = 256 singer.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.checkpoint import load_model, restore
from autosing.config import Config
from autosing.models.acoustic import AcousticSpace, InSpace, Vocoder, load_space
from autosing.models.melody import Curves, CurvesConfig, NoteVibrato, SignEmbedding
from autosing.models.rhythm import Rhythm, RhythmConfig
from autosing.models.sung_score import FRAME_NUMBERS, Item, ScoreTold, score_item, score_told, stacked
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.models.told import Sampling, Told, frame_times
from autosing.models.visinger import Melody, kept_from, melody_of
from autosing.nn.convnext import ConvNeXt, ConvNeXtBlock
from autosing.nn.window_attention import Transport, WindowAttention
from autosing.schemas.records import Part
from autosing.score.score import Score
from autosing.speech.time_map import spoken_at
from autosing.timebase import CONTENT_RATE_HZ


class StsConfig(Config):
    """The model's numbers; about 9 M by default."""

    flow: SvcFlowConfig
    """The prior and the flow; its content is that of the speech."""
    width: int = Field(default=192, ge=8, multiple_of=8)
    heads: int = Field(default=4, ge=1)
    layers: int = Field(default=2, ge=1)
    """Of the aligner."""
    speech_blocks: int = Field(default=2, ge=1)
    frame_blocks: int = Field(default=2, ge=1)
    window_s: float = Field(default=0.3, gt=0)
    """How far from where its phone is spoken a frame looks, to each side."""
    guide_s: float = Field(default=0.06, gt=0)
    """How far attention strays before the guiding loss is felt."""
    rhythm: RhythmConfig = RhythmConfig()
    curves: CurvesConfig = CurvesConfig()

    @property
    def reach(self) -> int:
        return max(1, round(self.window_s * float(CONTENT_RATE_HZ)))


@dataclass(frozen=True)
class SpeechTold:
    """A batch of speech. Frames of speech beyond a clip's own are 0."""

    speech_BCS: Tensor
    speech_length_B: Tensor
    centre_BF: Tensor
    """Where in it each frame of the song is spoken, in frames of speech."""


class Heard(NamedTuple):
    """What the aligner made."""

    content_BCF: Tensor
    strayed: Tensor
    """How far attention strays, the mean over frames and layers."""
    logits_BVJ: Tensor
    """The rhythm codes that it would have guessed."""


class Aligner(nn.Module):
    """Speech -> content at the song's frames."""

    def __init__(self, config: StsConfig) -> None:
        super().__init__()
        width, content = config.width, config.flow.content_width
        sigma = config.guide_s * float(CONTENT_RATE_HZ)
        self.speech = ConvNeXt(content, width, 3 * width, config.speech_blocks)
        self.signs = SignEmbedding(width)
        self.enter = nn.Conv1d(2 * width + FRAME_NUMBERS + 1, width, 7, padding=3)
        self.rhythm = Rhythm(config.rhythm, width)
        self.attention = nn.ModuleList(
            WindowAttention(width, config.heads, config.reach, sigma) for _ in range(config.layers)
        )
        self.blocks = nn.ModuleList(ConvNeXtBlock(width, 3 * width, 1.0 / config.layers) for _ in range(config.layers))
        self.transport = Transport(width, config.reach, sigma)
        self.over_frames = ConvNeXt(width, width, 3 * width, config.frame_blocks)
        self.out = nn.Conv1d(width, content, 1)
        nn.init.zeros_(self.out.weight)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)

    def forward(
        self, speech: SpeechTold, told: ScoreTold, latent_BDJ: Tensor | None = None, read_B11: Tensor | None = None,
        signs_B11: Tensor | None = None,
    ) -> Heard:  # fmt: skip
        """`latent_BDJ`: of the rhythm, as it was read. Where `read_B11` is 0, and without it, the likeliest codes are
        taken. Where `signs_B11` is 0, the phones are not told."""
        num = speech.speech_BCS.shape[2]
        mask_BS = torch.arange(num, device=speech.speech_BCS.device) < speech.speech_length_B[:, None]
        memory_BSW = self.speech(speech.speech_BCS, mask_BS).mT
        centre_BF, length_B = speech.centre_BF, speech.speech_length_B
        signs_BWN = self.signs(told.sign_B3N)
        signs_BWF = signs_BWN.gather(2, told.sign_of_BF[:, None].expand(-1, signs_BWN.shape[1], -1))
        if signs_B11 is not None:
            signs_BWF = signs_BWF * signs_B11
        near_BF = torch.minimum(centre_BF.round().long().clamp(min=0), length_B[:, None] - 1)
        spoken_BWF = memory_BSW.mT.gather(2, near_BF[:, None].expand(-1, memory_BSW.shape[2], -1))
        height_B1F = ((told.midi_BF - 60) / 12)[:, None]
        x_BWF = self.enter(torch.cat([signs_BWF, spoken_BWF, told.frame_BKF, height_B1F], dim=1))
        logits_BVJ = self.rhythm.predict(x_BWF)
        likely_BDJ = self.rhythm.vectors_of(logits_BVJ.argmax(1))
        if latent_BDJ is None:
            latent_BDJ = likely_BDJ
        elif read_B11 is not None:
            latent_BDJ = torch.where(read_B11 > 0, latent_BDJ, likely_BDJ.to(latent_BDJ.dtype))
        x_BWF = x_BWF + self.rhythm.shown(latent_BDJ, x_BWF.shape[2])
        strayed = []
        for attention, block in zip(self.attention, self.blocks, strict=True):
            x_BFW, strayed_BF = attention(x_BWF.mT, memory_BSW, centre_BF, length_B)
            x_BWF = block(x_BFW.mT)
            strayed.append(strayed_BF.mean())
        carried_BFC, strayed_BF = self.transport(x_BWF.mT, memory_BSW, speech.speech_BCS.mT, centre_BF, length_B)
        strayed.append(strayed_BF.mean())
        content_BCF = carried_BFC.mT + self.out(self.over_frames(x_BWF))
        return Heard(content_BCF, torch.stack(strayed).mean(), logits_BVJ)


class Sts(nn.Module):
    """`aligner`, `melody` and then `flow.sing`; training asks for the parts one by one."""

    def __init__(self, config: StsConfig) -> None:
        super().__init__()
        self.config = config
        self.aligner = Aligner(config)
        self.curves = Curves(config.flow.content_width, config.curves)
        self.vibrato = NoteVibrato(config.curves.small_width)
        self.flow = SvcFlow(config.flow)

    def drawn_curves(self, content_BCF: Tensor, told: ScoreTold, singer_BE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See Curves; its gradient is mostly kept from the content."""
        curves: tuple[Tensor, Tensor, Tensor] = self.curves(kept_from(content_BCF), told, singer_BE)
        return curves

    @torch.no_grad()
    def melody(self, content_BCF: Tensor, told: ScoreTold, singer_BE: Tensor, vibrato: float = 1.0) -> Melody:
        """`vibrato`: its depth, in that of the singer's own."""
        curves, swing_BF = self.drawn_curves(content_BCF, told, singer_BE), self.vibrato(told, singer_BE).at(told)
        return melody_of(curves, told, vibrato * swing_BF, float(self.config.flow.space.rate_hz))


def speech_item(speech_ND: np.ndarray, knots_2K: np.ndarray, times_s_F: np.ndarray, margin: int) -> Item:
    """The fields of SpeechTold for the song's frames at those times: the speech that they may look at, with `margin`
    frames around it, so that a crop is told no more than it needs."""
    centre_F = spoken_at(knots_2K, times_s_F) * float(CONTENT_RATE_HZ)
    first = int(np.clip(np.floor(centre_F.min()) - margin, 0, max(0, len(speech_ND) - 1)))
    last = int(np.clip(np.ceil(centre_F.max()) + margin + 1, first + 1, len(speech_ND)))
    return {
        "speech_CS": np.asarray(speech_ND[first:last], np.float32).T, "centre_F": (centre_F - first).astype(np.float32),
        "spoken_K": np.array([last - first]),
    }  # fmt: skip


class StsVoice(InSpace):
    """A run of `autosing train sts`, ready to sing."""

    def __init__(self, model: Sts, space: AcousticSpace) -> None:
        self.model, self.space = model.eval(), space

    @property
    def content(self) -> tuple[Part, ...]:
        """The encoders' layers that the speech's content must be of."""
        return self.model.config.flow.content

    @torch.no_grad()
    def read(
        self, score: Score, speech_ND: np.ndarray, knots_2K: np.ndarray, singer_E: Tensor, vibrato: float = 1.0
    ) -> tuple[Tensor, Melody]:
        """(content_CF, the melody) of a whole score whose phones have times."""
        device, spec = self.device, self.spec
        num_frames = spec.num_frames(round(score.duration_s * spec.sample_rate_hz))
        times_s_F = frame_times(0, num_frames, float(spec.rate_hz))
        item = score_item(score, spec.rate_hz, num_frames) | speech_item(speech_ND, knots_2K, times_s_F, len(speech_ND))
        batch = {name: tensor.to(device) for name, tensor in stacked([item]).items()}
        told, speech = score_told(batch), speech_told(batch)
        content_BCF = self.model.aligner(speech, told).content_BCF
        return content_BCF[0], self.model.melody(content_BCF, told, singer_E.to(device)[None], vibrato)

    def sing(self, told: Told, sampling: Sampling, first_frame: int = 0) -> Tensor:
        return self.model.flow.sing(told, sampling, first_frame)


def speech_told(batch: dict[str, Tensor]) -> SpeechTold:
    return SpeechTold(batch["speech_BCS"], batch["spoken_BK"][:, 0], batch["centre_BF"])


def load_sts(folder: Path, device: str | torch.device = "cpu", vocoder: Vocoder | None = None) -> StsVoice:
    """A run folder -> the model. Raises InputError where it is none, or its space's codec is another by now."""
    file = load_model(folder, "sts")
    model = Sts(StsConfig.build(file.config, origin=str(folder)))
    restore(model, file, folder)
    space = load_space(model.config.flow.space, vocoder, str(device))
    return StsVoice(model.to(device).eval().requires_grad_(False), space)
