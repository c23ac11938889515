"""Rows of one id stand side by side, whoever joins them: a stage or the builder. Orders that differ are refused."""

from dataclasses import dataclass

import numpy as np
import pytest

from autosing.errors import InputError
from autosing.schemas.tables import Pitch, Singer
from autosing.storage.rows import side_by_side
from autosing.storage.tables import TableWriter
from dataset_builder.join import clips_of, sources
from processing.engine.rows import joined
from tests.test_build import make_corpus, write


@dataclass(frozen=True)
class Fractions:
    id: str
    voiced_fraction: float


def table(path, ids, record=Pitch):
    with TableWriter(path, record) as writer:
        for id in ids:
            writer.add(Pitch(id, np.zeros(1, np.float32), 1.0) if record is Pitch else Singer(id, np.zeros(256)))
        writer.commit("pitch", 1, len(ids), {})
    return path


def rows(ids):
    return [(id, f"row {id}") for id in ids]


def test_rows_are_joined_by_id_and_gaps_are_none(tmp_path):
    other = table(tmp_path / "o.parquet", "abce")
    found = list(side_by_side(rows("bcde"), [(other, rows("abce"))]))
    assert found == [("b", ["row b", "row b"]), ("c", ["row c", "row c"]), ("d", ["row d", None]), ("e", ["row e"] * 2)]


@pytest.mark.parametrize(("first", "ids"), [("abc", "acb"), ("aab", "ab"), ("cab", "abc")])
def test_ids_in_two_orders_or_twice_are_refused(tmp_path, first, ids):
    other = table(tmp_path / "o.parquet", ids)
    with pytest.raises(InputError, match=r"o\.parquet: no row . where it should stand; ids must be unique"):
        list(side_by_side(rows(first), [(other, rows(ids))]))


def test_a_stage_is_told_of_a_row_that_a_table_should_have(tmp_path):
    paths = [table(tmp_path / "first.parquet", "ab", Singer), table(tmp_path / "pitch.parquet", "a")]
    with pytest.raises(InputError, match=r"pitch\.parquet: no row b"):
        list(joined(paths, Fractions))


@pytest.mark.parametrize(
    ("ids", "odd"), [(("s0-0", "s0-2", "s0-1"), "s0-2"), (("s0-0", "x-0", "s0-1"), "x-0"), (("s0-0", "x-0"), "x-0")]
)
def test_the_builder_refuses_clips_of_a_table_that_segment_lacks_or_has_in_another_order(tmp_path, ids, odd):
    corpus = make_corpus(tmp_path / "c", partitions=((0,),), without=())
    segment = sources(corpus, ("pitch",))[0].meta.fingerprint
    write(corpus, 0, "pitch", [Pitch(id, np.zeros(100, np.float32), 1.0) for id in ids], (), segment)
    with pytest.raises(
        InputError, match=rf"pitch\.parquet: row {odd} is no clip of segment.parquet, or not in its ord"
    ):
        clips_of(corpus, ("pitch",))


def test_the_first_table_that_lacks_a_clip_says_why_in_its_own_word_where_it_has_one(tmp_path):
    corpus = make_corpus(tmp_path / "c", partitions=((0,), (1,)), without=("s0-1",))
    segment = sources(corpus, ("singer",))[0].meta.fingerprint
    held = [Singer(f"s0-{k}", np.zeros(256, np.float32)) for k in (0,)]
    write(corpus, 0, "singer", held, [("s0-1", "too_short")], segment)
    found = clips_of(corpus, ("meta", "singer", "pitch"))
    assert found.columns == ["id", "song", "singer", "language", "licence", "duration_s", "lacks"]
    lacking = dict(found.drop_nulls("lacks").select("id", "lacks").rows())
    assert lacking == {"s0-1": "pitch: mostly_unvoiced", "s0-2": "singer: missing"} and len(found) == 6


def test_a_table_made_from_another_is_refused(tmp_path):
    """Codes of f0 that was tracked anew since are codes of another f0."""
    corpus = make_corpus(tmp_path / "c", partitions=((0,),), without=())
    inputs = {"segment": sources(corpus, ())[0].meta.fingerprint, "pitch": "an older one"}
    write(corpus, 0, "singer", [], (), None, inputs=inputs)
    with pytest.raises(InputError, match=r"singer\.parquet of partition 0 was made from another pitch\.parquet"):
        sources(corpus, ("singer",))
