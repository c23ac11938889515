"""Scores of placed lines: what is heard well, at the song's pace and among lines that are, is likelier in its place."""

from dataclasses import replace

from autosing.alignment.place import PlacedLine, PlacedWord, SungLine
from processing.alignment.confidence import rated

LINE = SungLine("river stone", ("river", "stone"))


def _line(start_s=1.0, closeness=0.9, evidence=4.0, word_s=0.5):
    words = (PlacedWord(start_s + k * word_s, start_s + (k + 1) * word_s, closeness, evidence) for k in range(2))
    return PlacedLine(tuple(words))


def _scores(*placed):
    return [line.score for line in rated(placed, [LINE] * len(placed))]


def test_what_is_heard_badly_squeezed_or_beside_wrong_lines_is_less_likely_in_its_place():
    song = [_line(), _line(5.0), _line(9.0)]
    (first, middle, last) = _scores(*song)
    assert first > 0.9 and middle > 0.9 and last > 0.9
    for worse in (_line(5.0, closeness=0.5), _line(5.0, evidence=-4.0), _line(5.0, word_s=0.05)):
        found = _scores(song[0], worse, song[2])
        assert found[1] < middle
    assert _scores(_line(evidence=0.0), song[1], song[2])[1] < middle
    assert max(_scores(*(_line(t, closeness=0.6, evidence=0.5) for t in (1.0, 5.0, 9.0)))) < 0.5


def test_one_word_that_is_heard_clearly_does_not_vouch_for_the_others():
    """A wrong line that begins or ends with a word that is sung was told to be in place, at 0.98 and more."""
    song = [_line(), _line(5.0), _line(9.0)]
    words = song[1].words
    lucky = PlacedLine((replace(words[0], evidence=30.0), replace(words[1], evidence=-1.0)))
    assert lucky.score == song[1].score
    assert _scores(song[0], lucky, song[2])[1] < _scores(*song)[1], "it was higher"
    assert _scores(song[0], _line(5.0, evidence=9.0), song[2]) == _scores(song[0], _line(5.0, evidence=30.0), song[2])


def test_a_line_that_was_not_found_stays_at_zero_and_a_song_without_any_has_no_scores():
    assert _scores(_line(), PlacedLine(None))[1] == 0.0
    assert _scores(PlacedLine(None)) == [0.0]


def test_words_have_scores_of_their_own():
    line = _line()
    worse = PlacedLine((line.words[0], replace(line.words[1], score=0.2)))
    (found,) = rated([worse], [LINE])
    assert 0 <= found.words[1].score < found.words[0].score <= 1
    assert [word.start_s for word in found.words] == [1.0, 1.5]
