"""Codes are told by their codec's vectors: alike where they sound alike, and each can be named by a readout."""

import pytest
import torch

from autosing.codecs import BUNDLED, codec_digest, load_codec
from autosing.codecs.delay import Pattern
from autosing.errors import InputError
from autosing.models.presets import SHAPES
from autosing.nn.embedding import RowEmbedding
from autosing.nn.mup import Tunables
from autosing.schemas.records import CodecRecord
from train.tasks.codebook import code_vectors, code_width, described

WIDTH, CODE_WIDTH = 16, 48


@pytest.fixture(scope="module")
def vectors() -> list[torch.Tensor]:
    record = CodecRecord(digest=codec_digest(BUNDLED), spec=load_codec(BUNDLED).spec)
    found = code_vectors(record)
    assert found is not None
    return found


def made(vectors: list[torch.Tensor] | None, rows: int = 8) -> RowEmbedding:
    torch.manual_seed(0)
    pattern = Pattern.of(load_codec(BUNDLED).spec, "bricks")
    return RowEmbedding(pattern, rows, WIDTH, Tunables(), CODE_WIDTH, vectors)


def test_each_code_of_each_row_can_be_named_by_a_readout_of_its_vector(vectors) -> None:
    """2 v * x - |x|^2 is largest where x is nearest to v: the numbers and their squares suffice."""
    rows = made(vectors)
    for row in (0, 2, 7):
        entries_VF = rows.entries(row)
        vectors_VC, zeros_VC = (
            entries_VF[:, :CODE_WIDTH],
            torch.zeros(len(entries_VF), entries_VF.shape[1] - 2 * CODE_WIDTH),
        )
        squares_VC = vectors_VC.square()
        spread = (squares_VC - squares_VC.mean(0)).std()
        readout_VF = torch.cat([2 * vectors_VC, -spread * torch.ones_like(vectors_VC), zeros_VC], dim=1)
        some = torch.arange(0, len(entries_VF), 37)
        assert torch.equal((readout_VF[some] @ entries_VF.T).argmax(1), some)


def test_codes_that_sound_alike_are_alike_from_the_start(vectors) -> None:
    known, unknown = made(vectors), made(None)
    level_VC = known.frozen_LVW[0, :2048, :CODE_WIDTH]
    distance_VV = torch.cdist(level_VC[:200], level_VC) + torch.eye(2048)[:200] * 1e9
    near_V, far_V = distance_VV.argmin(1), torch.randint(2048, (200,), generator=torch.Generator().manual_seed(1))

    def apart(rows: RowEmbedding, codes_V: torch.Tensor) -> torch.Tensor:
        columns_BRT = torch.zeros(len(codes_V), 8, 1, dtype=torch.long)
        columns_BRT[:, 0, 0] = codes_V
        return rows(columns_BRT)[:, 0]

    with torch.no_grad():
        here = torch.arange(200)
        of_near, of_far = ((apart(known, here) - apart(known, to)).norm(dim=1).mean() for to in (near_V, far_V))
        assert of_near < 0.6 * of_far
        of_near, of_far = ((apart(unknown, here) - apart(unknown, to)).norm(dim=1).mean() for to in (near_V, far_V))
        assert of_near > 0.9 * of_far, "learned numbers know nothing at first"


def test_vectors_are_kept_with_the_weights_and_specials_are_no_codes(vectors) -> None:
    rows, empty = made(vectors), made(None)
    empty.load_state_dict(rows.state_dict())
    columns_BRT = torch.randint(0, 512, (2, 8, 5), generator=torch.Generator().manual_seed(2))
    columns_BRT[0, :, 0] = rows.vocabulary - 1
    assert torch.equal(rows(columns_BRT), empty(columns_BRT))
    assert not rows.frozen_LVW[:, -2:].any() and not rows.frozen_LVW[1, 512:].any()
    assert "frozen_LVW" not in dict(rows.named_parameters()), "frozen"


def test_another_codec_under_the_name_gives_no_vectors_and_the_user_is_told(vectors) -> None:
    spec = load_codec(BUNDLED).spec
    other = CodecRecord(digest="0" * 64, spec=spec)
    assert code_vectors(other) is None
    assert code_vectors(CodecRecord(digest="0" * 64, spec=spec.model_copy(update={"name": "no-such-codec"}))) is None
    with pytest.raises(InputError, match=r"task\.codec autosing-24khz: .* the dataset's codes are of 000000000000"):
        code_vectors(other, BUNDLED)
    assert code_width(None) == {} and code_width(vectors) == {"code_width": CODE_WIDTH}
    assert "learned" in described("small", SHAPES["small"], None, False, None)["codec"]
    assert "known" in described("small", SHAPES["small"], None, False, vectors)["codec"]
