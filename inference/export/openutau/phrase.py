"""Signs and how many frames each lasts -> what a singing model is told of the score they are of, in tensors alone.

OpenUtau's renderer gives phones, durations and a pitch curve, and no notes, syllables or words. So the score is found
again from these (`PhraseScore`): each vowel is a syllable on a note of its own; of k consonants between two vowels the
last ceil(k / 2) belong to the second; a syllable's note lasts from its vowel to the next vowel or rest; each syllable
is a word. Where notes are given, too, they are those of the score. Numbers are as autosing.models.sung_score makes
them of such a score.

Shapes: B = 1 phrase, N signs, M notes, F frames, V signs that there are, K numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autosing.models.sung_score import DECAYS_S, FADE_S, GLIDE_S, SWELL_S, VIBRATO_FROM_S, ScoreTold
from autosing.score.phones import language_id, phone_id
from inference.export.openutau.signs import Sign


@dataclass(frozen=True)
class Syllables:
    """Of each sign, [N]: its place (0 rest, 1 onset, 2 nucleus, 3 coda), and which sign is its syllable's vowel (itself
    where there is none)."""

    place: Tensor
    owner: Tensor
    next_vowel: Tensor
    """The first vowel after each sign; N: none. Likewise the first rest."""
    next_rest: Tensor

    @property
    def edges(self) -> tuple[Tensor, Tensor]:
        """Whether a sign is its syllable's first, and last, as numbers."""
        sung = self.place > 0
        changes = self.owner[1:] != self.owner[:-1]
        end = torch.ones_like(sung[:1])
        return (torch.cat([end, changes]) & sung).float(), (torch.cat([changes, end]) & sung).float()


@dataclass(frozen=True)
class Notes:
    """In seconds, [M + 1]: after the last stands one that is none, for frames before the first."""

    start_s: Tensor
    end_s: Tensor
    midi: Tensor
    slur: Tensor


class Alphabet(nn.Module):
    """Tokens -> phones, languages, syllables."""

    phone_V: Tensor
    language_V: Tensor
    vowel_V: Tensor
    rest_V: Tensor

    def __init__(self, signs: Sequence[Sign]) -> None:
        super().__init__()
        tables = {
            "phone_V": [phone_id(sign.phone) for sign in signs],
            "language_V": [0 if sign.is_rest else language_id(sign.language) for sign in signs],
            "vowel_V": [sign.is_vowel for sign in signs], "rest_V": [sign.is_rest for sign in signs],
        }  # fmt: skip
        for name, values in tables.items():
            self.register_buffer(name, torch.tensor(values), persistent=False)

    def syllables(self, token_N: Tensor) -> Syllables:
        vowel_N, rest_N = self.vowel_V[token_N], self.rest_V[token_N]
        count = token_N.shape[0]
        at_N = torch.arange(count)
        beyond = torch.full_like(at_N, 1) * count

        def following(true_N: Tensor) -> Tensor:
            after_NN = true_N[None] & (at_N[None] > at_N[:, None])
            return torch.where(after_NN, at_N[None], beyond[None]).amin(1)

        def preceding(true_N: Tensor) -> Tensor:
            before_NN = true_N[None] & (at_N[None] < at_N[:, None])
            return torch.where(before_NN, at_N[None], torch.full_like(at_N, -1)[None]).amax(1)

        after_N, before_N = following(vowel_N), preceding(vowel_N)
        rest_after_N, rest_before_N = following(rest_N), preceding(rest_N)
        leads_N, follows_N = after_N < rest_after_N, before_N > rest_before_N
        between_N = after_N - before_N - 1
        late_N = at_N - before_N > torch.div(between_N, 2, rounding_mode="floor")
        onset_N = leads_N & (~follows_N | late_N)
        consonant_N = torch.where(onset_N, torch.full_like(at_N, 1), torch.full_like(at_N, 3))
        place_N = torch.where(vowel_N, torch.full_like(at_N, 2), consonant_N)
        owner_N = torch.where(onset_N, after_N, torch.where(follows_N, before_N, at_N))
        return Syllables(
            torch.where(rest_N, torch.zeros_like(at_N), place_N), torch.where(vowel_N | rest_N, at_N, owner_N), after_N,
            rest_after_N,
        )  # fmt: skip


class PhraseScore(nn.Module):
    """See the module."""

    def __init__(self, signs: Sequence[Sign], rate_hz: float) -> None:
        super().__init__()
        self.alphabet, self.rate = Alphabet(signs), rate_hz
        half = max(1, round(GLIDE_S * rate_hz / 2))
        window_K = torch.hann_window(2 * half + 2, dtype=torch.float64)[1:]
        self.glide = half
        self.register_buffer("glide_11K", (window_K / window_K.sum()).float()[None, None], persistent=False)
        self.glide_11K: Tensor

    def forward(
        self, token_BN: Tensor, frames_BN: Tensor, f0_hz_BF: Tensor, given: tuple[Tensor, Tensor, Tensor] | None = None
    ) -> ScoreTold:
        """`f0_hz_BF`: of as many frames as the signs last; whence the pitch of notes is taken, unless notes are `given`
        (midi_M, frames_M, rest_M)."""
        token_N, frames_N = token_BN[0], frames_BN[0]
        edge_N = frames_N.cumsum(0)
        start_N, end_N = (edge_N - frames_N).float() / self.rate, edge_N.float() / self.rate
        at_F = torch.arange(f0_hz_BF.shape[1])
        time_F = (at_F.float() + 0.5) / self.rate
        last = frames_N.shape[0] - 1
        sign_of_F = (at_F[:, None] >= edge_N[None]).long().sum(1).clamp(max=last)
        syllables = self.alphabet.syllables(token_N)
        # One more, for what lies beyond the phrase.
        begins = torch.cat([start_N, end_N[-1:]])
        until_N = torch.minimum(begins[syllables.next_vowel], begins[syllables.next_rest])
        vowel_N = syllables.place == 2
        if given is None:
            notes = self._notes(f0_hz_BF[0], vowel_N, start_N, until_N, sign_of_F)
        else:
            notes = self._given(given, vowel_N, start_N)
        first_N = self._note_at(notes, start_N)
        final_N = self._note_at(notes, until_N - 0.75 / self.rate)
        return self._told(token_N, start_N, end_N, time_F, sign_of_F, syllables, notes, first_N, final_N)

    def _notes(self, f0_hz_F: Tensor, vowel_N: Tensor, start_N: Tensor, until_N: Tensor, sign_of_F: Tensor) -> Notes:
        """One for each vowel, as high as the pitch in it is on average."""
        midi_F = 69 + 12 * (f0_hz_F.clamp(min=20) / 440).log2()
        in_NF = (sign_of_F[None] == torch.arange(vowel_N.shape[0])[:, None]).float()
        midi_N = (in_NF * midi_F[None]).sum(1) / in_NF.sum(1).clamp(min=1)
        sung_M = vowel_N.nonzero()[:, 0]
        return _with_none(start_N[sung_M], until_N[sung_M], midi_N[sung_M], torch.zeros_like(start_N)[sung_M])

    def _given(self, given: tuple[Tensor, Tensor, Tensor], vowel_N: Tensor, start_N: Tensor) -> Notes:
        midi_M, frames_M, rest_M = given
        edge_M = frames_M.cumsum(0)
        start_M, end_M = (edge_M - frames_M).float() / self.rate, edge_M.float() / self.rate
        # A vowel that begins in it, or as near as times are rounded, makes it no slur.
        near = 1.25 / self.rate
        begins_MN = (start_N[None] > start_M[:, None] - near) & (start_N[None] < end_M[:, None] - near) & vowel_N[None]
        slur_M = 1 - begins_MN.any(1).float()
        sung_M = (~rest_M).nonzero()[:, 0]
        return _with_none(start_M[sung_M], end_M[sung_M], midi_M[sung_M], slur_M[sung_M])

    def _note_at(self, notes: Notes, time_N: Tensor) -> Tensor:
        """Which note has begun by then; 0 before the first."""
        begun = time_N[:, None] >= notes.start_s[None, :-1] - 0.5 / self.rate
        return (begun.long().sum(1) - 1).clamp(min=0)

    def _told(
        self, token_N: Tensor, start_N: Tensor, end_N: Tensor, time_F: Tensor, sign_of_F: Tensor, syllables: Syllables,
        notes: Notes, first_N: Tensor, final_N: Tensor,
    ) -> ScoreTold:  # fmt: skip
        count = notes.start_s.shape[0] - 1
        place_N, owner_N = syllables.place, syllables.owner
        sung_N = place_N > 0
        own_first_N, own_final_N = first_N[owner_N], final_N[owner_N]
        own_N = torch.where(place_N == 3, own_final_N, own_first_N)
        pitched_N = (sung_N & (syllables.place[owner_N] == 2)).float()
        note_s_N = notes.end_s[own_final_N] - notes.start_s[own_first_N]
        begins_N, ends_N = syllables.edges
        sign_KN = torch.stack([
            octaves(end_N - start_N), pitched_N, pitched_N * (notes.midi[own_N] - 60) / 12,
            torch.where(sung_N, octaves(note_s_N), torch.zeros_like(note_s_N)),
            pitched_N * (own_final_N > own_first_N).float(), begins_N, ends_N,
        ])  # fmt: skip
        ids_3N = torch.stack([self.alphabet.phone_V[token_N], place_N, self.alphabet.language_V[token_N]])
        note_KM, before_M, after_M = self._note_numbers(notes)
        heard_M = self._first_heard(notes, start_N, syllables, first_N)
        note_of_F = (time_F[:, None] >= heard_M[None]).long().sum(1) - 1
        has_F = (note_of_F >= 0) & (time_F < notes.end_s[note_of_F])
        there_F = torch.where(note_of_F >= 0, note_of_F, torch.full_like(note_of_F, 1) * count)
        since_F = time_F - notes.start_s[there_F]
        until_F = (notes.end_s[there_F] - time_F).clamp(min=0)
        sign_since_F, sign_until_F = (
            (time_F - start_N[sign_of_F]).clamp(min=0),
            (end_N[sign_of_F] - time_F).clamp(min=0),
        )
        length_F = (end_N - start_N).clamp(min=1e-4)[sign_of_F]
        frame_KF = torch.stack([
            (sign_since_F / length_F).clamp(0, 1), *decays(sign_since_F), *decays(sign_until_F),
            *decays(since_F.clamp(min=0)), *decays(until_F), has_F.float(), notes.slur[there_F] * has_F.float(),
            before_M[there_F], after_M[there_F],
        ])  # fmt: skip
        swell_F = ((since_F - VIBRATO_FROM_S) / SWELL_S).clamp(0, 1) * (until_F / FADE_S).clamp(0, 1)
        mask_M = torch.arange(count + 1) < count
        return ScoreTold(
            ids_3N[None], sign_KN[None], torch.ones_like(sung_N)[None], note_KM[None], mask_M[None], sign_of_F[None],
            note_of_F[None], frame_KF[None], self._gliding(notes, note_of_F)[None], since_F[None],
            (swell_F * (note_of_F >= 0).float())[None],
        )  # fmt: skip

    def _first_heard(self, notes: Notes, start_N: Tensor, syllables: Syllables, first_N: Tensor) -> Tensor:
        """heard_M: when each note begins to count: with its first consonant, where that sounds in a rest."""
        begins_N, _ = syllables.edges
        leads_NM = (syllables.place == 1)[:, None] & (begins_N > 0)[:, None]
        leads_NM = leads_NM & (first_N[syllables.owner][:, None] == torch.arange(notes.start_s.shape[0] - 1)[None])
        start_M = notes.start_s[:-1]
        lead_M = torch.where(leads_NM, start_N[:, None], start_M[None]).amin(0)
        ended_M = torch.cat([torch.zeros_like(notes.end_s[:1]), notes.end_s[:-1]])[:-1]
        return torch.minimum(start_M, torch.maximum(lead_M, ended_M))

    def _note_numbers(self, notes: Notes) -> tuple[Tensor, Tensor, Tensor]:
        """(note_KM, before_M, after_M), the last of them that of the note which is none."""
        start_M, end_M, midi_M = notes.start_s[:-1], notes.end_s[:-1], notes.midi[:-1]
        zero_1, one_1 = torch.zeros_like(notes.midi[:1]), torch.ones_like(notes.midi[:1])
        up = ((midi_M[1:] - midi_M[:-1]) / 5).clamp(-3, 3)
        gap = (start_M[1:] - end_M[:-1]).clamp(0, 1)
        # Cut to the notes, for where there is none.
        size = midi_M.shape[0]
        before_M, after_M = torch.cat([zero_1, up])[:size], torch.cat([up, zero_1])[:size]
        numbers = [
            octaves(end_M - start_M), (midi_M - 60) / 12, before_M, after_M, torch.cat([one_1, gap])[:size],
            torch.cat([gap, one_1])[:size], notes.slur[:-1], torch.ones_like(midi_M),
        ]  # fmt: skip
        note_KM = torch.stack([torch.cat([x, zero_1]) for x in numbers])
        return note_KM, torch.cat([before_M, zero_1]), torch.cat([after_M, zero_1])

    def _gliding(self, notes: Notes, note_of_F: Tensor) -> Tensor:
        held_11F = notes.midi[note_of_F.clamp(min=0)][None, None]
        return F.conv1d(F.pad(held_11F, (self.glide, self.glide), mode="replicate"), self.glide_11K)[0, 0]


def _with_none(start_M: Tensor, end_M: Tensor, midi_M: Tensor, slur_M: Tensor) -> Notes:
    none_1 = torch.zeros(1)
    return Notes(
        torch.cat([start_M, none_1]), torch.cat([end_M, none_1]), torch.cat([midi_M, none_1 + 60]),
        torch.cat([slur_M, none_1]),
    )  # fmt: skip


def decays(time_s: Tensor) -> list[Tensor]:
    """As autosing.models.sung_score."""
    return [torch.where(time_s < 12 * d, (-time_s / d).exp(), torch.zeros_like(time_s)) for d in DECAYS_S]


def octaves(time_s: Tensor) -> Tensor:
    return (time_s.clamp(0.01, 10) / 0.3).log() / (2 * math.log(2))
