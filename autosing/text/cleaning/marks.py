"""A line -> why nobody sings it: a sign, a word that the band plays, what a lyrics site left on the page."""

import re

from autosing.text.cleaning.headings import in_brackets, times_behind
from autosing.text.cleaning.table import any_of
from autosing.text.letters import letters

_PLAYS = rf"{any_of('instrument', 'also plays')}\s*[-–]?\s*{any_of('played')}"
_BARE = re.compile(
    rf"""(?:{any_of("unsung")}|(?:short|long)?\s*{_PLAYS}
    |(?:此|该|這|本)?(?:歌曲)?(?:首)?(?:为|為)?(?:没有填词的|沒有填詞的)?(?:纯音乐|純音樂)(?:[,，]?\s*(?:请|請)(?:您|你)?欣(?:赏|賞))?
    |(?:此|该|該|本)?歌曲?(?:暂|暫)?(?:无|無|没有|沒有)歌(?:词|詞).*|(?:暂无|暫無|沒有|没有)歌(?:词|詞).*)[\s.!。！~…]*""",
    re.IGNORECASE | re.VERBOSE,
)  # fmt: skip
"""Not sung, dressed or not."""
_DRESSED = re.compile(rf"{any_of('instrument', 'heard')}|{any_of('heard and more')}\b.*|\W+", re.IGNORECASE)
"""Not sung where they stand in brackets, stars or dashes."""
_PAGE = re.compile(
    r"""you\s+might\s+also\s+like|get\s+tickets\s+as\s+low\s+as.*|see\s.{1,60}\slive\s*get\s+tickets.*|\d+\s*contributors?.*
    |(?:lyrics\s+)?translations?|read\s+more|submit\s+(?:corrections|lyrics).*|\d*(?:[.,]\d+)?k?\s*embed
    |(?:embed\s*)?(?:share\s*)?url\s*copy(?:\s*embed)?(?:\s*copy)?|share\s+url|advertis(?:e?ments?|ing)
    |sponsored(?:\s+links)?|report\s+(?:a\s+)?(?:problem|an?\s+error).*
    |\W*this\s+lyrics\s+is\s+not\s+for\s+commercial\s+use\W*.*
    |(?:more\s+|all\s+|find\s+.*\s)?lyrics\s+(?:licensed|provided|powered|found|courtesy|from|©|copyright)\b.*
    |lyrics\s+are\s+(?:the\s+)?property\b.*|.*\blyrics\s*(?:©|\(c\)).*|all\s+rights\s+reserved.*
    |(?:https?://|www\.)\S+|[\w.-]+\.(?:com|net|org|info|ru|cn|jp|kr|fr|de|es|br|co)(?:/\S*)?|\S+@\S+\.\w{2,}
    |(?:click|tap)\s+here\b.*|(?:print|correct|edit|rate)\s+(?:this|these)\s+(?:song|lyrics?|page)\b.*
    |add\s+to\s+(?:favou?rites|playlist)|looking\s+for\s+.*\blyrics.*|translate\s+to\s+\w+|back\s+to\s+top
    |\[?thanks\s+to\s+.*(?:correct|add|submit|send|shar)ing\b.*|(?:source|via)\s*[:：]\s*\S+
    |.*未经.{0,10}(?:许可|授权).*|.*不得(?:翻唱|翻录|使用).*|.*享有本翻译作品.*|以下歌词.*(?:提供|翻译).*|.*(?:歌词|翻译)贡献者.*""",
    re.IGNORECASE | re.VERBOSE,
)
_PAGE_OF_TOURS = re.compile(r"See(?: [A-Z0-9]\S*){1,8} Live")
_GLUED_HEAD = re.compile(r"\s*(?:\d+\s*Contributors?)?.{0,120}?\bLyrics(?=[^\W\d_a-z]|[\[(\"'“‘¿¡【])")
_CONTRIBUTORS = re.compile(r"\s*\d+\s*Contributors?.*")
_PAGE_TITLE = re.compile(r"\S.{0,80}\s(?:Lyrics|LYRICS)")
_GLUED_END = re.compile(
    r"(?<=[^\W\d_A-Z]|[.,!?)\]'\"”’…])\d*(?:\.\d+)?[KM]?(?:Embed(?:Share)?(?:\s*URL)?(?:Copy)?(?:EmbedCopy)?|Share\s*URLCopyEmbedCopy)\s*$"
)
_GLUED_BETWEEN = re.compile(r"(?:See .{1,60} LiveGet tickets as low as \$\d+)?You might also like(?=[^\s]|\s*$)")


def mark_of(text: str) -> str | None:
    """Why the line is not sung; None if it may be."""
    if not any(map(letters, text.split())):
        return "no word in it"
    if not any(map(letters, times_behind(text)[0].split())):
        return "repeats what stands before it"
    inner, behind = in_brackets(text)
    bare = text.strip(" *_~=-–—♪♫♬♩#.")
    core = inner if inner is not None and not any(map(letters, behind.split())) else bare
    if any(page.fullmatch(part) for page in (_PAGE, _PAGE_OF_TOURS) for part in (text.strip(), core)):
        return "left over from a page"
    if _BARE.fullmatch(core):
        return "says that nobody sings"
    dressed = core == inner or text.strip()[:1] in "*~=-–—"
    return "says what is heard" if dressed and _DRESSED.fullmatch(core) else None


def head_of_page(text: str) -> tuple[str, str]:
    """(what a lyrics site left before the first line, what is sung of it)."""
    glued = _GLUED_HEAD.match(text)
    if glued:
        return text[: glued.end()].strip(), text[glued.end() :].strip()
    if _CONTRIBUTORS.fullmatch(text) or _PAGE_TITLE.fullmatch(text):
        return text, ""
    return "", text


def end_of_page(text: str) -> tuple[str, str]:
    """(what is sung of the last line, the words of a page that are glued to its end)."""
    glued = _GLUED_END.search(text)
    return (text[: glued.start()].rstrip(), text[glued.start() :].strip()) if glued else (text, "")


def around_page_words(text: str) -> list[str]:
    """The parts of a line into which a site's "you might also like" was glued, that phrase among them."""
    found = _GLUED_BETWEEN.search(text)
    if not found or found[0] == text:
        return [text]
    return [part for part in (text[: found.start()].strip(), found[0], text[found.end() :].strip()) if part]
