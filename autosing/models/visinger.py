"""A score and a singer -> singing: VISinger's parts around the flow of `svc_flow`.

    signs (phones, rests) and notes -> score encoder -> stretched to frames by the score's times -> content
    content, notes, singer -> f0 (with vibrato), voicing, loudness: curves that people may edit
    content, f0, voicing, loudness -> prior mean, and a flow around it -> frames of the codec's latent -> sound

VISinger (Zhang et al. 2021, arXiv:2110.08813) puts a VAE with a normalising flow and a GAN's generator behind its frame
prior. Here the latent is that of a codec which is trained already, and flow matching leads from the prior to it: two
CPU cores learn that in an hour, where a generator that begins with nothing does not. F0 reaches the sound exactly, by
the codec's own excitation. The vowel stands on the beat: times come from the score, and where it has none
`timed` asks PhoneLengths how long consonants last and autosing.score.timing puts them before the beat.

Shapes: B clips, N signs, P phones, M notes, F frames, C numbers of content, D of the latent, E = 256 singer.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.checkpoint import load_model, restore
from autosing.config import Config
from autosing.models.acoustic import AcousticSpace, InSpace, SpaceSpec, Vocoder, load_space
from autosing.models.melody import (
    Curves,
    CurvesConfig,
    NoteVibrato,
    PhoneLengths,
    SignEmbedding,
    loudness_db,
    voiced_phones,
)
from autosing.models.sung_score import (
    FRAME_NUMBERS,
    SIGN_NUMBERS,
    ScoreTold,
    lengths_item,
    lengths_told,
    score_item,
    score_told,
    stacked,
)
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.models.told import Sampling, Told
from autosing.nn.convnext import ConvNeXt
from autosing.schemas.records import Part
from autosing.score.score import Score
from autosing.score.timing import with_times

_OWN_GRADIENT = 0.1
"""Of the curves' loss so much reaches the score encoder, as in VISinger: phones are for sound first."""
_VOICED_GAP_S = 0.03
"""Gaps in the voicing that are shorter are closed, and islands that are shorter taken away."""
_UNVOICED_BELOW = (-2.0, -4.5)
"""Logits of voicing: of phones that are voiceless by nature and of silences, and of voiced ones. Training counts all
errors alike, but a tone that breaks off is heard more than one that sounds a little too long."""


class VisingerConfig(Config):
    """The model's numbers; about 8 M by default."""

    flow: SvcFlowConfig
    """The prior and the flow; its content is this model's own (see `flow_config`)."""
    content: int = Field(default=192, ge=8, multiple_of=8)
    """Numbers a frame that say what is sung."""
    sign_blocks: int = Field(default=3, ge=1)
    frame_blocks: int = Field(default=2, ge=1)
    curves: CurvesConfig = CurvesConfig()


def content_part(width: int) -> Part:
    """What SvcFlow is told its content is: not an encoder's states, but a score's."""
    return Part(name="score", layer=0, width=width, digest="")


class ScoreEncoder(nn.Module):
    """Signs, in the light of their neighbours, stretched to frames."""

    def __init__(self, config: VisingerConfig) -> None:
        super().__init__()
        width = config.content
        self.signs = SignEmbedding(width)
        self.over_signs = ConvNeXt(width + SIGN_NUMBERS, width, 3 * width, config.sign_blocks)
        self.over_frames = ConvNeXt(width + FRAME_NUMBERS, width, 3 * width, config.frame_blocks)

    def forward(self, told: ScoreTold) -> Tensor:
        """content_BCF."""
        x_BCN = torch.cat([self.signs(told.sign_B3N), told.sign_BKN], dim=1)
        x_BCN = self.over_signs(x_BCN, told.sign_mask_BN)
        index_BCF = told.sign_of_BF[:, None].expand(-1, x_BCN.shape[1], -1)
        content_BCF: Tensor = self.over_frames(torch.cat([x_BCN.gather(2, index_BCF), told.frame_BKF], dim=1))
        return content_BCF


@dataclass(frozen=True)
class Melody:
    """What is sung beside the phones, frame by frame."""

    f0_hz_BF: Tensor
    """Without gaps."""
    voiced_BF: Tensor
    loudness_db_BF: Tensor


class Visinger(nn.Module):
    """`content`, `melody` and then `flow.sing`; training asks for the parts one by one."""

    def __init__(self, config: VisingerConfig) -> None:
        super().__init__()
        self.config = config
        self.score = ScoreEncoder(config)
        self.curves = Curves(config.content, config.curves)
        self.vibrato = NoteVibrato(config.curves.small_width)
        self.lengths = PhoneLengths(config.curves.small_width, 2)
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

    @torch.no_grad()
    def timed(self, score: Score, singer_E: Tensor) -> Score:
        """The score with times of phones: its own where it has some. Raises InputError as `with_times` does."""
        if score.timed or not score.phones:
            return score
        batch = stacked([lengths_item(score)])
        told = lengths_told({name: tensor.to(singer_E.device) for name, tensor in batch.items()})
        seconds_P = self.lengths.seconds(told, singer_E[None])[0]
        return with_times(score, seconds_P[: len(score.phones)].tolist())


def kept_from(content_BCF: Tensor) -> Tensor:
    """Content whose gradient is mostly kept from what made it: phones are for sound first."""
    return _OWN_GRADIENT * content_BCF + (1 - _OWN_GRADIENT) * content_BCF.detach()


def melody_of(curves: tuple[Tensor, Tensor, Tensor], told: ScoreTold, swing_BF: Tensor, rate_hz: float) -> Melody:
    """What Curves says of a score, and a vibrato in cents -> pitch in Hz, voicing without flickering, dB."""
    away_BF, voiced_BF, loudness_BF = curves
    f0_hz_BF = 440 * 2 ** ((told.midi_BF + away_BF + swing_BF / 100 - 69) / 12)
    phone_BF = told.sign_B3N[:, 0].gather(1, told.sign_of_BF)
    voiceless, voiced = _UNVOICED_BELOW
    sung_BF = voiced_BF > torch.where(voiced_phones(phone_BF.device)[phone_BF], voiced, voiceless)
    return Melody(f0_hz_BF, without_short_runs(sung_BF, round(_VOICED_GAP_S * rate_hz)), loudness_db(loudness_BF))


def flow_config(space: SpaceSpec, content: int, values: dict[str, object]) -> SvcFlowConfig:
    """SvcFlow's config for content of a score."""
    return SvcFlowConfig.build({**values, "space": space.dump(), "content": [content_part(content).dump()]})


def without_short_runs(true_BF: Tensor, frames: int) -> Tensor:
    """Runs of at most so many frames take the value of their neighbours: gaps first, then islands."""
    for value in (False, True):
        run_BF = true_BF if value else ~true_BF
        padded_BF = nn.functional.pad(run_BF.float()[:, None], (frames, frames), value=1.0)
        kept_BF = (
            nn.functional.max_pool1d(-nn.functional.max_pool1d(-padded_BF, frames + 1, 1), frames + 1, 1)[:, 0] > 0
        )
        true_BF = (true_BF & kept_BF) if value else (true_BF | ~kept_BF)
    return true_BF


class VisingerVoice(InSpace):
    """A run of `autosing train visinger`, ready to sing."""

    def __init__(self, model: Visinger, space: AcousticSpace) -> None:
        self.model, self.space = model.eval(), space

    @torch.no_grad()
    def read(self, score: Score, singer_E: Tensor, vibrato: float = 1.0) -> tuple[Score, Tensor, Melody]:
        """(the score with times, content_CF, the melody) of a whole score."""
        device, spec = self.device, self.spec
        singer_E = singer_E.to(device)
        timed = self.model.timed(score, singer_E)
        num_frames = spec.num_frames(round(timed.duration_s * spec.sample_rate_hz))
        batch = stacked([score_item(timed, spec.rate_hz, num_frames)])
        told = score_told({name: tensor.to(device) for name, tensor in batch.items()})
        content_BCF = self.model.score(told)
        melody = self.model.melody(content_BCF, told, singer_E[None], vibrato)
        return timed, content_BCF[0], melody

    def sing(self, told: Told, sampling: Sampling, first_frame: int = 0) -> Tensor:
        return self.model.flow.sing(told, sampling, first_frame)


def load_visinger(folder: Path, device: str | torch.device = "cpu", vocoder: Vocoder | None = None) -> VisingerVoice:
    """A run folder -> the model. Raises InputError where it is none, or its space's codec is another by now."""
    file = load_model(folder, "visinger")
    model = Visinger(VisingerConfig.build(file.config, origin=str(folder)))
    restore(model, file, folder)
    space = load_space(model.config.flow.space, vocoder, str(device))
    return VisingerVoice(model.to(device).eval().requires_grad_(False), space)
