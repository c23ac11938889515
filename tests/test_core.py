"""The laws of the shared core: configs, ids, times, records and tables."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from autosing.config import Config, load_config, read_yaml
from autosing.errors import InputError
from autosing.ids import check_id, clean_id, clip_id, seed_of
from autosing.schemas.base import Float32s, from_row, to_row
from autosing.schemas.tables import LyricLine, Lyrics, Word
from autosing.stage import Rejected
from autosing.storage.tables import TableWriter, read_meta, read_rows, rejects_path, table_path
from autosing.timebase import num_frames, num_frames_to_cover, seconds


class Inner(Config):
    depth: int = Field(2, ge=1)


class Outer(Config):
    batch_size: int = 4
    lengths: tuple[float, ...] = (5.0, 30.0)
    inner: Inner = Inner()


def test_an_unknown_key_names_the_nearest_valid_one():
    with pytest.raises(InputError, match=r"unknown key 'batch_sise'; did you mean 'batch_size'"):
        Outer.build({"batch_sise": 3})
    with pytest.raises(InputError, match=r"unknown key 'inner.dept'; did you mean 'depth'"):
        Outer.build({"inner": {"dept": 3}})


def test_values_are_checked_not_coerced():
    for bad in ({"batch_size": "4"}, {"inner": {"depth": 0}}, {"lengths": 5}):
        with pytest.raises(InputError):
            Outer.build(bad)


def test_overrides_win_over_the_file_and_the_file_over_defaults(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("batch_size: 8\ninner: {depth: 5}\n")
    assert load_config(Outer, path, ["batch_size=9"]) == Outer(batch_size=9, inner=Inner(depth=5))
    assert load_config(Outer, None, ["inner.depth=7", "lengths=[1, 2]"]).lengths == (1.0, 2.0)
    assert Outer.build(load_config(Outer, path).dump()) == load_config(Outer, path)


def test_a_number_may_be_written_with_an_exponent(tmp_path):
    (tmp_path / "c.yaml").write_text("rate: 1e-3\n")
    assert read_yaml(tmp_path / "c.yaml") == {"rate": 0.001}


@pytest.mark.parametrize("text", ["a: [", "- 1", "\xff"])
def test_a_broken_config_file_is_an_input_error(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"c\.yaml"):
        load_config(Outer, path)
    with pytest.raises(InputError, match="no such file"):
        load_config(Outer, tmp_path / "absent.yaml")


@given(st.text())
def test_every_name_becomes_a_valid_id_and_cleaning_is_stable(name):
    cleaned = clean_id(name)
    assert check_id(cleaned) == cleaned == clean_id(cleaned)


def test_names_that_clean_alike_stay_apart():
    assert len({clean_id(n) for n in ("a b", "a.b", "a/b", "a_b", "á_b", "사랑", "愛")}) == 7
    assert clip_id("song", 1.2345) == "song-1234"
    assert seed_of(1, "a") != seed_of("1a")


@given(st.integers(0, 10**7), st.sampled_from([Fraction(25), Fraction(24000, 256), Fraction(44100, 512)]))
def test_frames_and_seconds_are_inverse(frame, rate_hz):
    time_s = seconds(frame, rate_hz)
    assert num_frames(time_s, rate_hz) == num_frames_to_cover(time_s, rate_hz) == frame


@dataclass(frozen=True)
class Sung:
    id: str
    f0_hz: Float32s
    artist: str | None = None


def test_records_survive_a_table(tmp_path):
    lyrics = Lyrics(
        "a",
        "lrc",
        "en",
        [LyricLine("la la", 0.0, 1.0, 0.9, True, "sung", "sung by v1")],
        [Word("la", 0.0, 0.5, 0.9, 0)],
        -0.25,
        None,
    )
    assert from_row(Lyrics, to_row(lyrics)) == lyrics
    path = tmp_path / "0" / "pitch.parquet"
    rows = [Sung(str(i), np.arange(i, dtype=np.float32)) for i in range(20)]
    with TableWriter(path, Sung) as table:
        for row in rows:
            table.add(row)
        table.commit("pitch", 1, len(rows), {})
    back = list(read_rows(path, Sung))
    assert [r.id for r in back] == [r.id for r in rows] and back[0].artist is None
    assert all((a.f0_hz == b.f0_hz).all() and a.f0_hz.dtype == np.float32 for a, b in zip(rows, back, strict=True))


def test_a_table_is_whole_or_absent_and_rejects_stand_beside_it(tmp_path):
    path, rejects = table_path(tmp_path, 0, "pitch"), rejects_path(tmp_path, 0, "pitch")
    with pytest.raises(RuntimeError), TableWriter(path, Sung, rejects) as table:
        table.add(Sung("a", np.zeros(3, np.float32)))
        raise RuntimeError("killed half-way")
    assert list(path.parent.iterdir()) == []
    with TableWriter(path, Sung, rejects) as table:
        table.add([Sung("a-0", np.zeros(1, np.float32)), Sung("a-1", np.zeros(1, np.float32))])
        table.add(Rejected("b", "silent", "-90 dB, need -60 dB"))
        meta = table.commit("pitch", 1, 2, {"k": 1})
    assert read_meta(path) == meta and (meta.rows_in, meta.sources, meta.rows, meta.rejected) == (2, 1, 2, 1)
    assert [r.reason for r in read_rows(rejects, Rejected)] == ["silent"]


def test_a_lost_row_is_never_committed(tmp_path):
    with (
        pytest.raises(AssertionError, match="3 rows in, 1 out, 0 rejected"),
        TableWriter(tmp_path / "t", Sung) as table,
    ):
        table.add(Sung("a", np.zeros(3, np.float32)))
        table.commit("pitch", 1, 3, {})
    assert list(tmp_path.iterdir()) == []


def test_wrong_columns_are_named(tmp_path):
    path = tmp_path / "t.parquet"
    with TableWriter(path, Rejected) as table:
        table._rows.append({"id": "x", "reason": "r", "measurement": "m"})
        table.commit("x", 1, 0, {})
    with pytest.raises(InputError, match=r"columns f0_hz missing; it holds id, reason, measurement"):
        list(read_rows(path, Sung))
