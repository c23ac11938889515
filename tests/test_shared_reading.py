"""Stages that take the same columns share one reading of a partition: the same tables, each clip decoded once."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.audio.io import Audio, encode
from autosing.stage import Stage
from autosing.storage.tables import TableWriter, rejects_path, table_path
from processing.engine.runner import RunResult, drive
from processing.engine.schedule import Schedule
from processing.engine.worker import process_partition, process_together, shares_reading
from processing.engine.workers import Died, Failed
from processing.stages import clip
from processing.stages.acoustic import TokenizeAcoustic
from processing.stages.clip import ClipVocals
from processing.stages.loudness import MeasureLoudness
from processing.stages.pitch import PitchConfig, TrackPitch
from support.made_workers import MadeUp, make_corpus, stage

RATE_HZ = 16_000
FAN = [stage("one", ("index",)), *(stage(name, ("one",)) for name in ("a", "b", "c"))]
ALL = frozenset(s.name for s in FAN)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two sung clips, a silent one, and one that is no audio."""
    times_S = np.arange(2 * RATE_HZ) / RATE_HZ
    tones = [np.sin(2 * np.pi * hz * times_S) + 0.3 * np.sin(4 * np.pi * hz * times_S) for hz in (220, 330)]
    sounds = [encode(Audio((0.3 * tone[None]).astype(np.float32), RATE_HZ)) for tone in tones]
    sounds += [encode(Audio(np.zeros((1, RATE_HZ), np.float32), RATE_HZ)), b"no audio"]
    with TableWriter(table_path(tmp_path, 0, "segment"), ClipVocals) as writer:
        for number, data in enumerate(sounds):
            writer.add(ClipVocals(f"clip{number}", data))
        writer.commit("segment", 1, len(sounds), {})
    return tmp_path


def tables(corpus: Path, stages: list[Stage]) -> dict[str, bytes]:
    return {
        of(corpus, 0, s.name).name: of(corpus, 0, s.name).read_bytes()
        for s in stages
        for of in (table_path, rejects_path)
    }


@pytest.mark.parametrize("rows_in_hand", [1, 3])
def test_tables_are_the_same_bytes_and_each_clip_is_decoded_once(corpus, monkeypatch, rows_in_hand):
    decoded: list[str] = []
    original = clip.decode
    monkeypatch.setattr(clip, "decode", lambda data, name: decoded.append(name) or original(data, name))
    stages = [TrackPitch(PitchConfig(tracker="swiftf0")), MeasureLoudness(MeasureLoudness.Settings())]
    for each in stages:
        each.rows_in_hand = rows_in_hand
        each.setup()
    alone = [process_partition(each, corpus, 0) for each in stages]
    held = tables(corpus, stages)
    assert len(decoded) == 2 * 4
    decoded.clear()
    together = process_together(stages, corpus, 0)
    assert tables(corpus, stages) == held
    # What cannot be decoded is tried by each stage, and rejected by each.
    assert sorted(decoded) == [f"vocals of clip{k}" for k in (0, 1, 2, 3, 3)]
    assert [done.meta for done in together] == [done.meta for done in alone]
    pitch, loudness = together
    assert (pitch.meta.rejected, loudness.meta.rejected) == (2, 1)
    assert pitch.spent["model"] > 0 and "model" not in loudness.spent
    assert all(sum(done.spent.values()) <= done.seconds * rows_in_hand + 0.01 for done in together)


def test_only_stages_that_take_the_same_columns_share():
    pitch, loudness = TrackPitch(PitchConfig()), MeasureLoudness(MeasureLoudness.Settings())
    acoustic = TokenizeAcoustic(TokenizeAcoustic.Settings())
    assert shares_reading(pitch, loudness) and not shares_reading(pitch, acoustic)


def driven(corpus: Path, size: int, events: dict | None = None) -> tuple[MadeUp, RunResult]:
    schedule = Schedule(corpus, FAN)
    pool = MadeUp(schedule, size, can=dict.fromkeys(range(size), ALL), events=events)
    result = RunResult(schedule)
    drive(pool, result, 2, lambda *_: None)
    return pool, result


@given(st.integers(1, 9))
@settings(max_examples=9, deadline=None)
def test_every_job_once_and_nobody_idles_for_the_sake_of_sharing(tmp_path_factory, workers):
    corpus = make_corpus(tmp_path_factory.mktemp("fan"), [2000] * 6)
    pool, result = driven(corpus, workers)
    assert sorted((j.stage, j.partition) for j, _ in result.done) == sorted((s, k) for s in ALL for k in range(6))
    work_s = sum(end - start for start, end, _, _ in pool.log)
    longest_s = 4 * max(end - start for start, end, _, _ in pool.log)
    assert pool.now_s <= work_s / workers + longest_s + 1e-6
    shared = [jobs for jobs in pool.together if len(jobs) > 1]
    assert all([job.stage for job in jobs] == ["a", "b", "c"] for jobs in shared)
    assert len(shared) == max(0, 6 - workers + 1)


def test_of_jobs_that_fail_together_each_is_done_again_by_itself(tmp_path):
    failed = [Failed("row s1\nno such layer")]
    pool, result = driven(make_corpus(tmp_path, [2000] * 3), 1, {("b", 1): failed * 2})
    (failure,) = result.failures
    assert (failure.job.stage, failure.job.partition) == ("b", 1) and len(result.done) == 11
    assert [len(jobs) for jobs in pool.together if jobs[0].partition == 1 and jobs[0].stage != "one"] == [3, 1, 1, 1]


def test_a_death_among_jobs_that_share_counts_for_none_of_them(tmp_path):
    died = Died("its worker died (killed)")
    corpus = make_corpus(tmp_path, [2000] * 3)
    assert not driven(corpus, 1, {("a", 1): [died] * 3})[1].failures
    (failure,) = driven(corpus, 1, {("a", 1): [died] * 4})[1].failures
    assert (failure.job.stage, failure.deaths) == ("a", 3)


def test_a_dataclass_of_a_row_keeps_its_audio_out_of_equality():
    one, other = (ClipVocals("a", encode(Audio(np.zeros((1, 100), np.float32), RATE_HZ))) for _ in range(2))
    assert one.audio is one.audio and one == other
