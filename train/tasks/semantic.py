"""Task semantic: voices -> a codebook of content: a Whisper layer, projected to what other voices share, and k-means.

Each crop is encoded twice, the second time resampled and with another equaliser: pitch, vocal tract and room change,
the words do not. The projection has the largest variance of features relative to how much they vary within a class:
linear discriminant analysis (Fisher 1936). Classes are the moments of the song, of which the two versions are members;
or, of clips with a score (`task.classes: phones`), its phones. It is solved once, from statistics of the first steps.
Then the codes are initialised by k-means and updated by moving averages; unused codes are replaced. Gradients only
train a linear map from the codes back to the features, which measures what is kept.

Shapes: B clips, S samples, N codes, E encoder width, D code width, K codes, R points in the reservoir, P phones.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.audio.io import Audio
from autosing.checkpoint import ModelFile
from autosing.config import Config
from autosing.ids import seed_of
from autosing.models.semantic import CODE_SAMPLES, SAMPLE_RATE_HZ, SemanticCodebook, SemanticConfig, WhisperFeatures
from autosing.nn.quantize import Level
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.score.phones import inventory, phone_id
from autosing.timebase import SEMANTIC_RATE_HZ
from train.augment import equalise, varispeed
from train.distributed import rows_of_all_ranks
from train.task import Counts, Task


class SemanticSettings(Config):
    """The task's settings."""

    model: SemanticConfig = SemanticConfig()
    classes: Literal["moments", "phones"] = "moments"
    """What codes must tell apart. phones: those of the clips' scores; the dataset needs the member `score`, and a
    `model.dim` of about the number of phones is enough."""
    crop_codes: int = Field(250, ge=25, le=750)
    """Length of a crop (250: 10 s)."""
    statistics_steps: int = Field(40, ge=1)
    """Steps before the projection is solved and the codes are initialised."""
    reservoir: int = Field(16_384, ge=1)
    """Number of features for k-means; at least a few for each code."""
    shift_semitones: float = Field(4.0, gt=0)
    """Largest change of speed in the second version."""
    floor: float = Field(0.1, gt=0)
    """Added to the variance of the movement in every direction, as a share of its mean: it limits the weight of
    directions that hardly moved in the statistics."""


class Statistics(nn.Module):
    """Moments of the features, of their movement between the two versions, and of each phone's; part of the run's
    state."""

    count: Tensor
    sum_E: Tensor
    total_EE: Tensor
    moved_EE: Tensor
    phone_count_P: Tensor
    phone_sum_PE: Tensor
    phones_EE: Tensor
    points_RE: Tensor
    started: Tensor

    def __init__(self, width: int, reservoir: int, phones: int = 0) -> None:
        super().__init__()
        for name, shape in (("count", ()), ("sum_E", (width,)), ("total_EE", (width, width)),
                            ("moved_EE", (width, width)), ("phone_count_P", (phones,)),
                            ("phone_sum_PE", (phones, width)), ("phones_EE", (width, width))):  # fmt: skip
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("points_RE", torch.zeros(reservoir, width))
        self.register_buffer("started", torch.tensor(False))

    def add(self, features_ME: Tensor, again_ME: Tensor) -> None:
        wide_ME, moved_ME = features_ME.double(), (features_ME - again_ME).double()
        self.count += len(wide_ME)
        self.sum_E += wide_ME.sum(0)
        self.total_EE += wide_ME.mT @ wide_ME
        self.moved_EE += moved_ME.mT @ moved_ME / 2

    def add_phones(self, features_ME: Tensor, phone_M: Tensor) -> None:
        """Features whose phone is known; phones below 0 are left out."""
        wide_ME, phone_M = features_ME[phone_M >= 0].double(), phone_M[phone_M >= 0]
        self.phone_count_P.index_add_(0, phone_M, torch.ones_like(wide_ME[:, 0]))
        self.phone_sum_PE.index_add_(0, phone_M, wide_ME)
        self.phones_EE += wide_ME.mT @ wide_ME

    def remember(self, features_ME: Tensor, step: int, steps: int, generator: torch.Generator) -> None:
        """Fill this step's share of the reservoir with features drawn at random."""
        first, last = (len(self.points_RE) * (step - 1)) // steps, (len(self.points_RE) * step) // steps
        drawn = torch.randint(len(features_ME), (last - first,), generator=generator).to(features_ME.device)
        self.points_RE[first:last] = features_ME[drawn]

    def solve(self, dim: int, floor: float) -> tuple[Tensor, Tensor, Tensor]:
        """(mean_E, scale_E, projection_DE) for standardised features: the directions of the largest variance relative
        to that within phones, if any are known, else to the movement between the two versions; scaled so that this
        variance is the same in each."""
        mean_E = self.sum_E / self.count
        total_EE = self.total_EE / self.count - mean_E[:, None] * mean_E
        scale_E = total_EE.diagonal().clamp(min=1e-8).rsqrt()
        both_EE = scale_E[:, None] * scale_E
        moved_EE = self._within_EE() * both_EE
        mean_moved = moved_EE.diagonal().mean().clamp(min=1e-8)
        moved_EE = moved_EE + floor * mean_moved * torch.eye(len(mean_E), dtype=torch.float64, device=mean_E.device)
        inverse_EE = torch.linalg.inv(torch.linalg.cholesky(moved_EE))
        _, vectors_EE = torch.linalg.eigh(inverse_EE @ (total_EE * both_EE) @ inverse_EE.mT)
        projection_DE = vectors_EE[:, -dim:].mT.flip(0) @ inverse_EE
        # The sign of a direction is arbitrary; the largest weight is made positive, so that machines agree.
        largest_D1 = projection_DE.gather(1, projection_DE.abs().argmax(1, keepdim=True))
        return mean_E, scale_E, projection_DE * largest_D1.sign()

    def _within_EE(self) -> Tensor:
        known = self.phone_count_P.sum()
        if known == 0:
            return self.moved_EE / self.count
        mean_PE = self.phone_sum_PE / self.phone_count_P.clamp(min=1)[:, None]
        return (self.phones_EE - self.phone_sum_PE.mT @ mean_PE) / known


class TrainSemantic(Task):
    """See the module. The encoder is frozen."""

    name = "semantic"
    Settings = SemanticSettings
    members: tuple[str, ...] = ("meta", "audio")
    shardable = False

    def __init__(self, config: SemanticSettings, index: DatasetIndex) -> None:
        super().__init__(config, index)
        self.settings, model = config, config.model
        self.book = SemanticCodebook(model).requires_grad_(False)
        self.level = Level(model.codes, model.dim)
        self._on_phones = config.classes == "phones"
        if self._on_phones:
            self.members = (*self.members, "score")
        self.statistics = Statistics(model.width, config.reservoir, len(inventory()) if self._on_phones else 0)
        self.read = nn.Linear(model.dim, model.width)
        self.modules = nn.ModuleDict(
            {"model": self.read, "book": self.book, "level": self.level, "statistics": self.statistics}
        )
        self.encode: Callable[[Tensor], Tensor] | None = None
        """audio_BS -> features_BNE; the config's encoder, loaded at the first step."""
        self._seen: list[tuple[Tensor, ...]] = []
        """Of this step's micro-batches: both versions' features and their phones until the codes are initialised, then
        the points."""
        self._codes: list[list[int]] = []
        """How many of these belong to each clip."""

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any] | None:
        voice = sample.audio("vocals")
        mono = Audio(voice.mono_S()[None], voice.sample_rate_hz).resampled(SAMPLE_RATE_HZ).samples_CS[0]
        wanted = self.settings.crop_codes * CODE_SAMPLES
        start = int(rng.integers(max(1, len(mono) - wanted + 1)))
        audio_S = mono[start : start + wanted]
        codes = len(audio_S) // CODE_SAMPLES
        if codes < 25:
            return None
        speed = 2 ** (rng.uniform(-1, 1) * self.settings.shift_semitones / 12)
        again_S = equalise(varispeed(audio_S, round(len(audio_S) / speed)), rng, SAMPLE_RATE_HZ)
        return {
            "audio_S": _fit(audio_S, wanted), "again_S": _fit(again_S, wanted), "speed": speed,
            "codes": min(codes, int(self.settings.crop_codes * speed)),
            "phone_N": self._phones_of(sample, start / SAMPLE_RATE_HZ),
        }  # fmt: skip

    def _phones_of(self, sample: Sample, start_s: float) -> np.ndarray:
        """The phone at the middle of each code of a crop; -1 where none is known."""
        phone_N = np.full(self.settings.crop_codes, -1)
        score = sample.score() if self._on_phones and sample.has("score") else None
        if score is not None and score.timed:
            middle_s_N = start_s + (np.arange(len(phone_N)) + 0.5) / float(SEMANTIC_RATE_HZ)
            for phone in score.phones:
                assert phone.start_s is not None and phone.end_s is not None, phone
                phone_N[(phone.start_s <= middle_s_N) & (middle_s_N < phone.end_s)] = phone_id(phone.symbol)
        return phone_N

    def collate(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        return {
            "audio_BS": torch.from_numpy(np.stack([item["audio_S"] for item in items])),
            "again_BS": torch.from_numpy(np.stack([item["again_S"] for item in items])),
            "speed_B": torch.tensor([item["speed"] for item in items], dtype=torch.float32),
            "codes_B": torch.tensor([item["codes"] for item in items]),
            "phone_BN": torch.from_numpy(np.stack([item["phone_N"] for item in items])),
        }

    def loss(self, batch: dict[str, Tensor], step: int, counts: Counts) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.autocast(batch["audio_BS"].device.type, enabled=False):  # distances need fp32
            return self._loss(batch)

    def _loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            features_ME, again_ME = self._both_features(batch)
        started = bool(self.statistics.started)
        if not started:
            if self.read.training:
                phones = [phone_N[:codes] for phone_N, codes in zip(batch["phone_BN"], batch["codes_B"], strict=True)]
                self._seen.append((features_ME, again_ME, torch.cat(phones)))
                self._codes.append(batch["codes_B"].tolist())
            return sum(parameter.sum() * 0 for parameter in self.read.parameters()), {}  # type: ignore[return-value]
        points_MD, again_MD = self.book.points(features_ME), self.book.points(again_ME)
        codes_M = self.level.nearest(points_MD)
        wanted_ME = (features_ME - self.book.mean_E) * self.book.scale_E
        loss = (self.read(self.level.vectors_VD[codes_M]) - wanted_ME).square().mean()
        if self.read.training:
            self._seen.append((points_MD,))
            self._codes.append(batch["codes_B"].tolist())
        share_V = torch.bincount(codes_M, minlength=self.settings.model.codes) / len(codes_M)
        return loss, {
            "explained": 1 - loss.detach(),
            "steady": (self.level.nearest(again_MD) == codes_M).float().mean(),
            "perplexity": torch.special.entr(share_V).sum().exp(),
        }

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        generator = torch.Generator().manual_seed(seed_of("semantic codes", step))
        codes = [count for batch in self._codes for count in batch]
        seen = [rows_of_all_ranks(torch.cat(parts), codes) for parts in zip(*self._seen, strict=True)]
        self.forget()
        if len(seen) == 1:
            self.level.follow(seen[0], generator)
        elif seen:
            first_ME, again_ME, phone_M = seen
            self.statistics.add(first_ME, again_ME)
            if self._on_phones:
                self.statistics.add_phones(torch.cat([first_ME, again_ME]), phone_M.repeat(2))
            drawing = torch.Generator().manual_seed(seed_of("reservoir", step))
            self.statistics.remember(first_ME, step, self.settings.statistics_steps, drawing)
        if not bool(self.statistics.started) and step >= self.settings.statistics_steps:
            self._start(generator)

    def forget(self) -> None:
        self._seen, self._codes = [], []

    def export(self) -> ModelFile:
        state = self.book.state_dict() | {"codes_KD": self.level.vectors_VD}
        halved = {name: t.half() if t.ndim == 2 else t for name, t in state.items()}
        return ModelFile("semantic", self.settings.model.dump(), halved)

    def _start(self, generator: torch.Generator) -> None:
        mean_E, scale_E, projection_DE = self.statistics.solve(self.settings.model.dim, self.settings.floor)
        self.book.mean_E.copy_(mean_E)
        self.book.scale_E.copy_(scale_E)
        self.book.project.weight.copy_(projection_DE)
        points_RD = self.book.points(self.statistics.points_RE)
        # One scale for all directions moves no boundary; models that embed codes need points of about unit size.
        size = points_RD.square().mean().sqrt()
        self.book.project.weight.div_(size)
        self.level.start(points_RD / size, generator)
        solution_DE = torch.linalg.lstsq(
            points_RD / size, (self.statistics.points_RE - self.book.mean_E) * self.book.scale_E
        ).solution
        self.read.weight.copy_(solution_DE.mT)
        self.read.bias.zero_()
        self.statistics.started.fill_(True)

    def _both_features(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """features_ME and again_ME, at the same moments, of the codes that both versions hold."""
        if self.encode is None:
            model = self.settings.model
            self.encode = WhisperFeatures(model.encoder, model.layer, self.device)
        features_BNE, again_BNE = self.encode(batch["audio_BS"]).float(), self.encode(batch["again_BS"]).float()
        first, second = [], []
        for features_NE, again_NE, speed, codes in zip(
            features_BNE, again_BNE, batch["speed_B"].tolist(), batch["codes_B"].tolist(), strict=True
        ):
            place_N = (torch.arange(codes, device=again_NE.device) + 0.5) / speed - 0.5
            low_N = place_N.floor().clamp(0, len(again_NE) - 2).long()
            share_N1 = (place_N - low_N).clamp(0, 1)[:, None]
            first.append(features_NE[:codes])
            second.append(torch.lerp(again_NE[low_N], again_NE[low_N + 1], share_N1))
        return torch.cat(first), torch.cat(second)


def _fit(audio_S: np.ndarray, wanted: int) -> np.ndarray:
    return np.pad(audio_S, (0, max(0, wanted - len(audio_S))))[:wanted].astype(np.float32)
