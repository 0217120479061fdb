"""The words by which a question and a sentence are compared, in any language."""

import re
import unicodedata
from collections.abc import Iterator

_WORD = re.compile(r"\w+")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_SHORT = 3  # letters: an ending is taken off only where a stem of this many remains
_ENDINGS = ("ings", "ing", "ies", "ed", "es", "s", "en", "e")
# Words that say how something is asked, not what about: English, German, French, Spanish.
_FUNCTION_WORD_LIST = """
a an and any are as at be been by can could did do does for from had has have how i in into is it
its may me my of on or our shall should that the their them there these they this those to us was
we were what when where which who whom whose why will with would you your about each much
many tell please
aber als am auf aus bei bin bis da das dass dem den der des die ein eine einem einen einer er es
für hat ich im ist kann man mit nach oder sich sie sind so und von vor wann war warum wer wie wir
wo zu zum zur welche welcher welches
au aux avec ce ces dans de du elle en est et il ils je la le les leur lui ne où ou par pas pour
quand que quel quelle quels quelles qui quoi se ses son sont sur un une vous nous
al como con cuál cuándo cuánto del dónde el ella ellos los las lo para por qué quién su sus y o es
"""
_FUNCTION_WORDS = frozenset(_FUNCTION_WORD_LIST.split())


def terms(text: str) -> Iterator[str]:
    """Yield stems of words, and pairs of characters for scripts written without spaces."""
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = match.group()
        if _CJK.search(word):
            yield from _pairs(word)
        elif word not in _FUNCTION_WORDS:
            yield _stem(word)


def _pairs(word: str) -> Iterator[str]:
    if len(word) == 1:
        yield word
    for index in range(len(word) - 1):
        yield word[index : index + 2]


def _stem(word: str) -> str:
    """Take one common ending off: enough for `limits` to meet `limit`, crude on purpose."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORT:
            return word[: -len(ending)]
    return word
