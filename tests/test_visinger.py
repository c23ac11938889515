"""Scores as models are told them, and the model: vowels on the beat, padding unseen, melodies that can be steered."""

import numpy as np
import pytest
import torch

from autosing.models.acoustic import new_space
from autosing.models.melody import measured_vibrato, vibrato_cents
from autosing.models.sung_score import lengths_item, lengths_told, score_item, score_told, stacked
from autosing.models.visinger import Visinger, VisingerConfig, flow_config, melody_of, without_short_runs
from autosing.score.phones import inventory
from autosing.score.score import Score
from autosing.score.timing import with_times
from support.models import stir
from support.scores import made_score, star_score

RATE = new_space("codec_latent").rate_hz


@pytest.fixture(scope="module")
def model() -> Visinger:
    small = {"width": 16, "hidden": 16, "encoder_blocks": 1, "blocks": 1}
    flow = flow_config(new_space("codec_latent"), 16, small)
    torch.manual_seed(0)
    config = VisingerConfig.build({
        "flow": flow.dump(), "content": 16, "sign_blocks": 2, "frame_blocks": 1,
        "curves": {"width": 16, "blocks": 1, "small_width": 8},
    })  # fmt: skip
    made = Visinger(config)
    stir(made)
    return made.eval()


def told_of(*scores: Score, frames: int = 375):
    return score_told(stacked([score_item(score, RATE, frames) for score in scores]))


def singer(seed: int = 0) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(256, generator=torch.Generator().manual_seed(seed)), dim=0)


def test_each_vowel_begins_in_the_frame_of_its_note(model):
    """Also where the learnt lengths are asked: they say how long consonants last, not where vowels stand."""
    timed = model.timed(star_score(), singer())
    starts = [note.start_s for note in timed.notes if not timed.slurs[timed.notes.index(note)]]
    nuclei = [phone for phone in timed.phones if phone.place == "nucleus"]
    assert [phone.start_s for phone in nuclei] == pytest.approx(starts)
    item = score_item(timed, RATE, 375)
    places_F = item["sign_3N"][1][item["sign_of_F"]]
    begins = np.flatnonzero((places_F == 2) & (np.roll(places_F, 1) != 2))
    assert np.abs(begins / float(RATE) - starts).max() <= 0.51 / float(RATE)


def test_a_learnt_length_is_what_its_consonant_gets(model):
    told = lengths_told(stacked([lengths_item(star_score())]))
    seconds_P = model.lengths.seconds(told, singer()[None])[0].tolist()
    timed = model.timed(star_score(), singer())
    first = timed.phones[0]
    assert first.place == "onset" and first.end_s - first.start_s == pytest.approx(seconds_P[0], abs=1e-6)
    given = with_times(star_score())
    assert model.timed(given, singer()) is given, "a score that has times keeps them"


def test_what_lengths_are_guessed_from_does_not_know_the_phones_times():
    untimed, timed = lengths_item(star_score()), lengths_item(with_times(star_score()))
    assert all(np.array_equal(untimed[name], timed[name]) for name in untimed)


def test_a_score_in_a_batch_is_as_it_is_alone(model):
    short, long = made_score(1.0, 60), made_score(4.0, 65)
    alone, both = told_of(short, frames=100), told_of(short, long, frames=100)
    singer_BE = torch.stack([singer(), singer(1)])
    torch.testing.assert_close(model.score(both)[0], model.score(alone)[0])
    vibrato = (model.vibrato(both, singer_BE).cents_BM[0, :2], model.vibrato(alone, singer_BE[:1]).cents_BM[0])
    torch.testing.assert_close(*vibrato)
    lengths = [lengths_told(stacked([lengths_item(s) for s in scores])) for scores in ((short, long), (short,))]
    padded, own = (model.lengths(told, singer_BE[: len(told.phone_BKP)])[0, :4] for told in lengths)
    torch.testing.assert_close(padded, own)


def test_a_language_and_a_singer_are_heard(model):
    score = made_score(2.0, 60)
    spanish = score.replace(words=tuple(word.model_copy(update={"language": "es"}) for word in score.words[1:2] * 4))
    assert not torch.allclose(model.score(told_of(score)), model.score(told_of(spanish)))
    told = told_of(score)
    one, other = (model.melody(model.score(told), told, singer(k)[None]).f0_hz_BF for k in (0, 1))
    assert not torch.allclose(one, other)


def test_vibrato_swings_around_the_same_curve_and_may_be_left_out(model):
    told = told_of(star_score() if star_score().timed else with_times(star_score()))
    content = model.score(told)
    flat, once, twice = (12 * model.melody(content, told, singer()[None], v).f0_hz_BF.log2() for v in (0.0, 1.0, 2.0))
    assert (once - flat).abs().max() > 0.01
    torch.testing.assert_close(twice - flat, 2 * (once - flat), atol=2e-4, rtol=1e-3)
    before = (torch.arange(375) + 0.5) / float(RATE) < 0.69
    assert torch.equal(flat[0, before], once[0, before]), "none in a note's first 0.2 s"


def test_phones_that_are_voiced_by_nature_are_sung_more_readily_than_others():
    told = told_of(with_times(star_score()))
    phone_F = told.sign_B3N[0, 0, told.sign_of_BF[0]]
    by_id = {phone.id: phone for phone in inventory().values()}
    by_nature_F = torch.tensor([by_id[int(number)].voiced for number in phone_F])
    assert 0 < by_nature_F.sum() < len(by_nature_F)
    flat_BF = torch.zeros(1, 375)
    never_F = torch.zeros(375, dtype=torch.bool)
    for logit, sung_F in ((-3.0, by_nature_F), (0.0, ~never_F), (-6.0, never_F)):
        voiced_BF = melody_of((flat_BF, flat_BF + logit, flat_BF), told, flat_BF, 100.0).voiced_BF
        assert torch.equal(voiced_BF, without_short_runs(sung_F[None], 3)), logit


def test_a_vibrato_is_measured_as_it_was_made():
    item = score_item(with_times(star_score()), RATE, 375)
    made_4M = np.zeros((4, 4), np.float32)
    made_4M[:, 2] = 30, 5.5, 0.7, 1
    args = (item["note_of_F"], item["since_F"], item["swell_F"])
    cents_F = vibrato_cents(made_4M, *args) + 15 * np.sin(np.arange(375) / 90)
    found_4M = measured_vibrato(cents_F, np.ones(375, bool), *args, 4)
    assert found_4M[3].tolist() == [0, 0, 1, 0], "other notes are too short to tell"
    assert found_4M[:2, 2] == pytest.approx([30, 5.5], rel=0.12)
    rest_F = (vibrato_cents(found_4M, *args) - vibrato_cents(made_4M, *args))[args[0] == 2]
    assert np.abs(rest_F).max() < 8


def test_short_gaps_in_the_voicing_are_closed_and_short_islands_go():
    text = "111011110000100001111"
    runs = torch.tensor([[c == "1" for c in text]])
    assert "".join(str(int(v)) for v in without_short_runs(runs, 2)[0]) == "111111110000000001111"
    assert torch.equal(without_short_runs(runs, 0), runs)


def test_chunks_are_sung_as_the_whole(model):
    """Content is made of the whole score at once, so a chunk of it is the same numbers; noise belongs to frames."""
    told = told_of(made_score(4.0, 62))
    content = model.score(told)
    melody = model.melody(content, told, singer()[None])
    assert content.shape == (1, 16, 375) and melody.f0_hz_BF.shape == melody.voiced_BF.shape == (1, 375)
    assert melody.voiced_BF.dtype == torch.bool and melody.loudness_db_BF.isfinite().all()
