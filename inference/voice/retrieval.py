"""A singer's own content frames -> content that is drawn towards them: retrieval, as in RVC and so-vits-svc 5.0.

Each frame of the source is mixed with the mean of the nearest frames that the singer really sang, weighted by the
inverse square of their distance. Less of the source's singer is left in it, and where the singer never sang anything
like it, words suffer: so the share is a choice. By torch on any device; no index library is needed.

Shapes: N frames, D numbers of content, M frames in the index, K nearest.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from autosing.errors import InputError
from autosing.storage.store import replacing

MOST_FRAMES = 40_000
"""Of an index: 13 minutes. Of more singing every n-th frame is taken."""
_AT_ONCE = 2048


def write_index(path: Path, content: Iterable[np.ndarray]) -> int:
    """Frames of a singer's clips, content_ND each -> an .npy of float16; the number of frames in it.

    Raises InputError where there are none.
    """
    clips = [np.asarray(content_ND, np.float16) for content_ND in content]
    if not clips or not sum(map(len, clips)):
        raise InputError(f"{path}: no content of that singer; need a dataset with the member content in which it sings")
    frames_MD = np.concatenate(clips)
    frames_MD = frames_MD[np.isfinite(frames_MD).all(axis=1)]
    frames_MD = frames_MD[:: -(-len(frames_MD) // MOST_FRAMES)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside, beside.open("wb") as file:
        np.save(file, frames_MD)
    return len(frames_MD)


class Retrieval:
    """An index, ready to draw content towards it."""

    def __init__(self, path: Path, share: float = 0.5, nearest: int = 4, device: str = "cpu") -> None:
        """`share`: 0 leaves content as it is, 1 replaces it. Raises InputError where the file is no index."""
        if not path.is_file():
            raise InputError(f"index {path}: no such file; make it with 'autosing voices index NAME DATASET'")
        frames_MD = np.load(path, allow_pickle=False)
        if frames_MD.ndim != 2 or not len(frames_MD):
            raise InputError(f"index {path}: shape {frames_MD.shape}, need frames of content; make it again")
        self.path, self.share, self.nearest = path, share, min(nearest, len(frames_MD))
        self._frames_MD = torch.from_numpy(frames_MD.astype(np.float32)).to(device)
        self._squares_M = self._frames_MD.square().sum(1)

    def __call__(self, content_ND: np.ndarray) -> np.ndarray:
        """content_ND, drawn. Raises InputError where the index is of other content."""
        width = self._frames_MD.shape[1]
        if content_ND.shape[1] != width:
            raise InputError(
                f"index {self.path}: of content with {width} numbers a frame, the model's has {content_ND.shape[1]}; "
                "make it from a dataset with the model's encoders"
            )
        parts = [self._drawn(content_ND[first : first + _AT_ONCE]) for first in range(0, len(content_ND), _AT_ONCE)]
        return np.concatenate([np.zeros((0, width), np.float32), *parts])

    @torch.inference_mode()
    def _drawn(self, content_ND: np.ndarray) -> np.ndarray:
        x_ND = torch.from_numpy(np.asarray(content_ND, np.float32)).to(self._frames_MD.device)
        distance_NM = self._squares_M - 2 * x_ND @ self._frames_MD.mT
        at_NK = distance_NM.topk(self.nearest, dim=1, largest=False).indices
        near_NKD = self._frames_MD[at_NK]
        # Distances anew: squares that nearly cancel are no good. A frame that is in the index has distance 0.
        squared_NK: Tensor = (near_NKD - x_ND[:, None]).square().sum(2)
        weight_NK = 1 / squared_NK.clamp(min=1e-6)
        mean_ND = (near_NKD * (weight_NK / weight_NK.sum(1, keepdim=True))[..., None]).sum(1)
        drawn_ND: np.ndarray = ((1 - self.share) * x_ND + self.share * mean_ND).cpu().numpy()
        return drawn_ND
