"""Text files as people save them: the text is what was written, and an encoding that was guessed is told."""

import pytest

from autosing.errors import InputError
from autosing.text.files import guess_remark, read_text_file

ENGLISH = "[00:01.00]I said it’s over\n"
WORDS = {
    "cp1252": "Où es-tu, mon cœur ?\nJe t’aime à la folie\n",
    "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy\n",
    "cp1251": "Я помню чудное мгновенье\nпередо мной явилась ты\n",
    "koi8_r": "Я помню чудное мгновенье\nПередо мной явилась ты,\nКак мимолётное виденье\n",
    "gb18030": "月亮代表我的心\n你问我爱你有多深\n",
    "big5": "月亮代表我的心\n你問我愛你有多深\n",
    "cp932": "夜に咲く花のように\n君を待っている\n",
    "cp949": "밤에 별이 지는 바다\n사랑해\n",
    "cp1253": "Το τραγούδι της αγάπης\n",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", [ENGLISH, WORDS["cp932"], "", "🎤 밤에"])
def test_unicode_is_read_as_what_it_is_and_is_no_guess(tmp_path, text, encoding):
    (tmp_path / "a.lrc").write_bytes(text.encode(encoding))
    found, told = read_text_file(tmp_path / "a.lrc")
    assert (found, told) == (text, encoding.removesuffix("-sig")) and guess_remark(told) is None


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [ENGLISH, WORDS["cp932"], WORDS["cp1251"]])
def test_utf16_without_its_mark_is_found_by_its_nulls_and_told(tmp_path, text, encoding):
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert read_text_file(tmp_path / "a.txt") == (text, encoding)
    assert encoding in (guess_remark(encoding) or "")


@pytest.mark.parametrize("encoding", WORDS)
def test_what_is_no_unicode_is_read_by_its_letters_and_told(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes(WORDS[encoding].encode(encoding))
    text, told = read_text_file(tmp_path / "a.txt")
    assert text == WORDS[encoding] and told in (guess_remark(told) or "")


@pytest.mark.parametrize("data", [b"[00:01.00]a\0b", bytes(range(256)) * 9, b"\xff\xfea"])
def test_what_is_no_text_is_refused(tmp_path, data):
    (tmp_path / "a.lrc").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.lrc: not readable as text .*save it as UTF-8"):
        read_text_file(tmp_path / "a.lrc")


def test_what_cannot_be_opened_is_refused_with_what_was_found(tmp_path):
    with pytest.raises(InputError, match="is a directory"):
        read_text_file(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_text_file(tmp_path / "absent.txt")
