"""A visinger model -> the graphs that OpenUtau's DiffSinger renderer, phonemizer and pitch tool run.

| file | inputs | outputs |
|---|---|---|
| acoustic.onnx | tokens, durations, f0, steps, spk_embed | mel |
| dsvocoder/vocoder.onnx | mel, f0 | waveform |
| dsdur/linguistic.onnx | tokens, word_div, word_dur | encoder_out, x_masks |
| dsdur/dur.onnx | encoder_out, x_masks, ph_midi, spk_embed | ph_dur_pred |
| dspitch/linguistic.onnx | tokens, ph_dur | encoder_out, x_masks |
| dspitch/pitch.onnx | encoder_out, ph_dur, notes, pitch, expr, retake, steps, spk_embed | pitch_pred |

(notes: note_midi, note_rest, note_dur.) Inputs of these names are what OpenUtau gives, no more and no less
(OpenUtau.Core/DiffSinger, as of 2025). What it calls `mel` goes from the first graph to the second as it is: here it
holds frames of the model's own space and, last, whether each is voiced, which OpenUtau's pitch curve does not say.
`steps` is read by no graph: their steps are fixed.

Shapes: B = 1 phrase, N signs, W groups of signs, M notes, F frames, D numbers of a frame, E = 256 singer.
"""

import torch
from torch import Tensor, nn

from autosing.models.acoustic import AcousticSpace
from autosing.models.melody import PhoneLengths
from autosing.models.sung_score import LengthsTold
from autosing.models.visinger import Visinger
from autosing.nn.solvers import frame_noise
from autosing.score.timing import SHARE
from inference.export.graphs import FramesGraph, SpaceSound, everywhere
from inference.export.openutau.phrase import Alphabet, PhraseScore, octaves

_NOISE_STEPS = 1024
"""After so many folded steps the noise repeats."""


class AcousticGraph(nn.Module):
    """-> mel_BFD; one singer for the phrase, the mean of its frames'."""

    noise_BDT: Tensor

    def __init__(self, model: Visinger, score: PhraseScore, steps: int) -> None:
        super().__init__()
        self.model, self.score = model, score
        config = model.config.flow
        self.fold = config.fold
        self.frames = FramesGraph(model.flow, steps)
        noise_NBDT = frame_noise(0, (1, self.fold * config.space.width, _NOISE_STEPS))
        self.register_buffer("noise_BDT", noise_NBDT[0], persistent=False)

    def forward(
        self, tokens_BN: Tensor, durations_BN: Tensor, f0_hz_BF: Tensor, steps_1: Tensor, singer_BFE: Tensor
    ) -> Tensor:
        told, singer_BE = self.score(tokens_BN, durations_BN, f0_hz_BF), one_singer(singer_BFE)
        content_BCF = self.model.score(told)
        melody = self.model.melody(content_BCF, told, singer_BE)
        at_T = torch.arange((f0_hz_BF.shape[1] + self.fold - 1) // self.fold) % _NOISE_STEPS
        x_BDF = self.frames(
            content_BCF, f0_hz_BF, melody.voiced_BF, melody.loudness_db_BF, singer_BE, self.noise_BDT[:, :, at_T]
        )
        return torch.cat([x_BDF, melody.voiced_BF.float()[:, None]], dim=1).mT


class VocoderGraph(nn.Module):
    """-> waveform_BS."""

    def __init__(self, space: AcousticSpace) -> None:
        super().__init__()
        self.sound = SpaceSound(space)

    def forward(self, mel_BFD: Tensor, f0_hz_BF: Tensor) -> Tensor:
        waveform_BS: Tensor = self.sound(mel_BFD[:, :, :-1].mT, f0_hz_BF, mel_BFD[:, :, -1] > 0.5)
        return waveform_BS


class GroupsGraph(nn.Module):
    """Signs in groups, each from a note's start to the next -> encoder_out_BND: all that DurationGraph is told of them.

    The first group is the consonants before the first note. A group's length is that of its vowel's note.
    """

    def __init__(self, alphabet: Alphabet, rate_hz: float) -> None:
        super().__init__()
        self.alphabet, self.rate = alphabet, rate_hz

    def forward(self, tokens_BN: Tensor, word_div_BW: Tensor, word_dur_BW: Tensor) -> tuple[Tensor, Tensor]:
        token_N, frames_W = tokens_BN[0], word_dur_BW[0]
        edge_W = word_div_BW[0].cumsum(0)
        at_N = torch.arange(token_N.shape[0])
        group_N = (at_N[:, None] >= edge_W[None]).long().sum(1).clamp(max=frames_W.shape[0] - 1)
        syllables = self.alphabet.syllables(token_N)
        own_N = group_N[syllables.owner]
        seconds_W = frames_W.float() / self.rate
        earlier_N = (own_N - 1).clamp(min=0)
        has_vowel_NW = (group_N[None] == torch.arange(frames_W.shape[0])[:, None]) & (syllables.place == 2)[None]
        follows_N = (own_N > 0) & has_vowel_NW.any(1)[earlier_N]
        alike_NN = (syllables.owner[:, None] == syllables.owner) & (syllables.place[:, None] == syllables.place)
        begins_N, ends_N = syllables.edges
        two, one, none = (torch.full_like(begins_N, value) for value in (2.0, 1.0, 0.0))
        numbers = [
            octaves(seconds_W[own_N]), octaves(torch.where(follows_N, seconds_W[earlier_N], two)),
            torch.where(follows_N, none, one), alike_NN.float().sum(1) - 1, begins_N, ends_N,
        ]  # fmt: skip
        ids = [self.alphabet.phone_V[token_N], syllables.place, self.alphabet.language_V[token_N]]
        told_ND = torch.stack([*(x.float() for x in ids), *numbers, group_N.float(), frames_W[group_N].float()], dim=1)
        return told_ND[None], torch.zeros_like(tokens_BN, dtype=torch.bool)


class DurationGraph(nn.Module):
    """-> frames_BN. Consonants last as they are learnt, at most a part of their group; vowels and rests hold what is
    left."""

    def __init__(self, lengths: PhoneLengths, rate_hz: float) -> None:
        super().__init__()
        self.lengths, self.rate = lengths, rate_hz

    def forward(self, told_BND: Tensor, masks_BN: Tensor, midi_BN: Tensor, singer_BNE: Tensor) -> Tensor:
        told_BDN = told_BND.mT
        ids_B3N, numbers_BKN = told_BDN[:, :3].round().long(), told_BDN[:, 3:9]
        group_N, room_N = told_BDN[0, 9], told_BDN[0, 10]
        place_N = ids_B3N[0, 1]
        # Rests are no phones: those before and behind them are neighbours.
        phone_N = (place_N > 0).nonzero()[:, 0]
        numbers_BKP = numbers_BKN[:, :, phone_N]
        told = LengthsTold(ids_B3N[:, :, phone_N], numbers_BKP, everywhere(numbers_BKP))
        seconds_P = self.lengths.seconds(told, one_singer(singer_BNE))[0]
        at_N = ((place_N > 0).long().cumsum(0) - 1).clamp(min=0)
        wanted_N = torch.cat([seconds_P, torch.zeros(1)])[at_N] * self.rate
        consonant_N = ((place_N == 1) | (place_N == 3)).float()
        alike_NN = (group_N[:, None] == group_N).float()
        total_N = (alike_NN * (wanted_N * consonant_N)).sum(1)
        shrunk_N = wanted_N * (SHARE * room_N / total_N.clamp(min=1e-3)).clamp(max=1)
        taken_N = (alike_NN * (shrunk_N * consonant_N)).sum(1)
        holders_N = (alike_NN * (1 - consonant_N)).sum(1).clamp(min=1)
        held_N = ((room_N - taken_N) / holders_N).clamp(min=1e-2)
        return torch.where(consonant_N > 0, shrunk_N.clamp(min=1e-2), held_N)[None]


class TokensGraph(nn.Module):
    """-> encoder_out_BN1: the tokens themselves."""

    def forward(self, tokens_BN: Tensor, ph_dur_BN: Tensor) -> tuple[Tensor, Tensor]:
        return tokens_BN.float()[:, :, None], torch.zeros_like(tokens_BN, dtype=torch.bool)


class PitchGraph(nn.Module):
    """-> midi_BF; where nothing shall be retaken, the pitch that is given. expr: how much of what the singer does
    beside the notes, vibrato and all, is done."""

    def __init__(self, model: Visinger, score: PhraseScore) -> None:
        super().__init__()
        self.model, self.score = model, score

    def forward(
        self, tokens_BN1: Tensor, ph_dur_BN: Tensor, midi_BM: Tensor, rest_BM: Tensor, frames_BM: Tensor,
        pitch_BF: Tensor, expr_BF: Tensor, retake_BF: Tensor, steps_1: Tensor, singer_BFE: Tensor,
    ) -> Tensor:  # fmt: skip
        singer_BE = one_singer(singer_BFE)
        given = (midi_BM[0], frames_BM[0], rest_BM[0])
        told = self.score(tokens_BN1[:, :, 0].round().long(), ph_dur_BN, pitch_BF, given)
        melody = self.model.melody(self.model.score(told), told, singer_BE)
        drawn_BF = 69 + 12 * (melody.f0_hz_BF / 440).log2()
        return torch.where(retake_BF, told.midi_BF + expr_BF * (drawn_BF - told.midi_BF), pitch_BF)


def one_singer(singer_BFE: Tensor) -> Tensor:
    """singer_BE: the mean, of length one."""
    return nn.functional.normalize(singer_BFE.mean(1), dim=1)
