"""A loaded voice -> modules that take and give plain tensors of one clip, which can be written as ONNX.

    SvcVitsGraph    content, f0_hz, voiced, loudness_db, singer, noise -> audio
    FlowGraph       the same, for frames of a space: svc_flow, and visinger's second half
    MelodyGraph     a score's numbers, singer -> content, f0_hz, voiced, loudness_db: visinger's first half
    LengthsGraph    phones, singer -> the length of each consonant

f0_hz has no gaps; voiced is true where it is sung. The noise is standard normal, times a temperature if one is wanted.

Shapes: B = 1 clip, F frames, T folded steps, S = F * hop samples, C numbers of content, D of the latent or of a folded
step, N signs, P phones, M notes, E = 256 singer.
"""

import torch
from torch import Tensor, nn

from autosing.models.acoustic import AcousticSpace, CodecLatent, LogMelSpace
from autosing.models.codec import CodecModel
from autosing.models.melody import PhoneLengths
from autosing.models.sung_score import LengthsTold, ScoreTold
from autosing.models.svc_flow import SvcFlow
from autosing.models.svc_vits import SvcVits
from autosing.models.told import Told
from autosing.models.visinger import Visinger
from autosing.models.vocoder import VocoderModel
from autosing.nn.convnext_flow import unfold_frames
from autosing.nn.excitation import NOISE_SAMPLES, noise, pulses
from autosing.nn.folding import fold_weight_norms
from autosing.nn.real_source_filter import with_real_numbers
from autosing.nn.solvers import even_times, solve_ode


class Excitations(nn.Module):
    """(f0_hz_BF, voiced_BF) -> (pulses_BS, noise_BS), as autosing.nn.excitation gives them of a whole clip."""

    stretch_S: Tensor

    def __init__(self, hop_samples: int, sample_rate_hz: int) -> None:
        super().__init__()
        self.hop, self.rate = hop_samples, sample_rate_hz
        self.register_buffer("stretch_S", noise(NOISE_SAMPLES, torch.device("cpu")), persistent=False)

    def forward(self, f0_hz_BF: Tensor, voiced_BF: Tensor) -> tuple[Tensor, Tensor]:
        # As fill_gaps does: phases run on at the pitch before, or else the first. ONNX knows no cummax.
        sung_F = voiced_BF[0]
        at_N = torch.cat([sung_F.nonzero()[:, 0], torch.zeros(1, dtype=torch.long)])
        held_BF = f0_hz_BF[:, at_N[(sung_F.long().cumsum(0) - 1).clamp(min=0)]]
        held_BF = torch.where(sung_F.any(), held_BF, torch.full_like(held_BF, 100.0))
        pulses_BS = pulses(held_BF, self.hop, self.rate, voiced_BF)
        at_S = torch.arange(pulses_BS.shape[1]) % NOISE_SAMPLES
        return pulses_BS, self.stretch_S[at_S][None]


class SpaceSound(nn.Module):
    """(frames of a space, f0_hz_BF, voiced_BF) -> audio_BS, as the space sounds them."""

    def __init__(self, space: AcousticSpace) -> None:
        super().__init__()
        self.hop = space.spec.hop_samples
        self.register_buffer("mean_D1", space.mean_D1, persistent=False)
        self.register_buffer("std_D1", space.std_D1, persistent=False)
        self.mean_D1: Tensor
        self.std_D1: Tensor
        self.excite = Excitations(self.hop, space.spec.sample_rate_hz)
        if isinstance(space, CodecLatent):
            self.network: nn.Module = space.model
            self.stride = space.model.config.strides[space.model.config.f0_level]
        else:
            assert isinstance(space, LogMelSpace) and isinstance(space.vocoder, VocoderModel), space
            self.network, self.stride = space.vocoder, 1
        fold_weight_norms(with_real_numbers(self.network))

    def forward(self, x_BDF: Tensor, f0_hz_BF: Tensor, voiced_BF: Tensor) -> Tensor:
        raw_BDF = x_BDF * self.std_D1 + self.mean_D1
        if isinstance(self.network, VocoderModel):
            excited = self.excite(f0_hz_BF, voiced_BF)
            audio_BS: Tensor = self.network.shape(raw_BDF, torch.where(voiced_BF, f0_hz_BF, 0.0), *excited)
            return audio_BS
        assert isinstance(self.network, CodecModel)
        # To a whole number of pitch codes, by the last frame again.
        num_frames = f0_hz_BF.shape[1]
        at_F = torch.arange((num_frames + self.stride - 1) // self.stride * self.stride).clamp(max=num_frames - 1)
        raw_BDF, f0_hz_BF, voiced_BF = raw_BDF[:, :, at_F], f0_hz_BF[:, at_F], voiced_BF[:, at_F]
        codes_BN = self.network.f0_codes(torch.where(voiced_BF, f0_hz_BF, 0.0))
        audio_BS = self.network.sound(raw_BDF, codes_BN, *self.excite(f0_hz_BF, voiced_BF))
        return audio_BS[:, : num_frames * self.hop]


class SvcVitsGraph(nn.Module):
    """noise_BDF -> audio_BS."""

    def __init__(self, model: SvcVits) -> None:
        super().__init__()
        config = model.config
        self.model = with_real_numbers(model)
        self.excite = Excitations(config.hop_samples, config.sample_rate_hz)
        self.temperature = config.temperature

    def forward(
        self, content_BCF: Tensor, f0_hz_BF: Tensor, voiced_BF: Tensor, loudness_db_BF: Tensor, singer_BE: Tensor,
        noise_BDF: Tensor,
    ) -> Tensor:  # fmt: skip
        model = self.model
        assert isinstance(model, SvcVits)
        told = Told(content_BCF, f0_hz_BF, voiced_BF, loudness_db_BF, singer_BE)
        x_BDF = model.drawn(told, noise_BDF, self.temperature)
        excited = self.excite(f0_hz_BF, voiced_BF)
        return model.voice(x_BDF, torch.where(voiced_BF, f0_hz_BF, 0.0), *excited)


class FramesGraph(nn.Module):
    """noise_BDT -> x_BDF, by so many of Euler's steps, led as hard towards the singer as the model is unasked."""

    def __init__(self, model: SvcFlow, steps: int) -> None:
        super().__init__()
        self.model, self.steps = model, steps

    def forward(
        self, content_BCF: Tensor, f0_hz_BF: Tensor, voiced_BF: Tensor, loudness_db_BF: Tensor, singer_BE: Tensor,
        noise_BDT: Tensor,
    ) -> Tensor:  # fmt: skip
        model = self.model
        h_BWT = model.tell(Told(content_BCF, f0_hz_BF, voiced_BF, loudness_db_BF, singer_BE))
        mu_BDT = model.prior(h_BWT, singer_BE)
        estimate = model.guided_estimator(h_BWT, mu_BDT, singer_BE, 1.0, model.config.usual_guidance_singer)
        slope = model.objective.velocity(estimate, mu_BDT)
        times_N = even_times(model.objective.begin, model.objective.end, self.steps)
        x_BDT = solve_ode(slope, model.objective.source(mu_BDT, noise_BDT), times_N, "euler")
        return unfold_frames(x_BDT, model.config.fold, f0_hz_BF.shape[1])


class FlowGraph(nn.Module):
    """noise_BDT -> audio_BS."""

    def __init__(self, model: SvcFlow, space: AcousticSpace, steps: int) -> None:
        super().__init__()
        self.frames, self.sound = FramesGraph(model, steps), SpaceSound(space)

    def forward(
        self, content_BCF: Tensor, f0_hz_BF: Tensor, voiced_BF: Tensor, loudness_db_BF: Tensor, singer_BE: Tensor,
        noise_BDT: Tensor,
    ) -> Tensor:  # fmt: skip
        x_BDF = self.frames(content_BCF, f0_hz_BF, voiced_BF, loudness_db_BF, singer_BE, noise_BDT)
        audio_BS: Tensor = self.sound(x_BDF, f0_hz_BF, voiced_BF)
        return audio_BS


class MelodyGraph(nn.Module):
    """What autosing.models.sung_score.score_item says -> content_BCF, f0_hz_BF, voiced_BF, loudness_db_BF."""

    def __init__(self, model: Visinger) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, sign_B3N: Tensor, sign_BKN: Tensor, note_BKM: Tensor, sign_of_BF: Tensor, note_of_BF: Tensor,
        frame_BKF: Tensor, midi_BF: Tensor, since_BF: Tensor, swell_BF: Tensor, singer_BE: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        told = ScoreTold(
            sign_B3N, sign_BKN, everywhere(sign_BKN), note_BKM, everywhere(note_BKM), sign_of_BF, note_of_BF,
            frame_BKF, midi_BF, since_BF, swell_BF,
        )  # fmt: skip
        content_BCF = self.model.score(told)
        melody = self.model.melody(content_BCF, told, singer_BE)
        return content_BCF, melody.f0_hz_BF, melody.voiced_BF, melody.loudness_db_BF


class LengthsGraph(nn.Module):
    """What `lengths_item` says of one score -> seconds_BP; those of nuclei mean nothing."""

    def __init__(self, lengths: PhoneLengths) -> None:
        super().__init__()
        self.lengths = lengths

    def forward(self, phone_B3P: Tensor, phone_BKP: Tensor, singer_BE: Tensor) -> Tensor:
        return self.lengths.seconds(LengthsTold(phone_B3P, phone_BKP, everywhere(phone_BKP)), singer_BE)


def everywhere(x_BKN: Tensor) -> Tensor:
    """mask_BN that hides nothing."""
    return torch.ones_like(x_BKN[:, 0], dtype=torch.bool)
