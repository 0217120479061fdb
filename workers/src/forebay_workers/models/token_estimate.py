"""How many tokens a text takes, without the tokenizer of any one model.

Chunks and prompts must fit models whose tokenizer is not at hand, and chunking must not change
when a model does. The estimate errs on the high side for prose (about 1.2 times the count of
byte-pair vocabularies for English) and for scripts that such vocabularies know less well.
"""

import re

# Runs of word characters, of marks and of blanks: one pass, no backtracking.
_RUN = re.compile(r"\w+|[^\w\s]+|\s{4,}")
_BLANKS_PER_TOKEN = 4  # vocabularies have tokens for runs of blanks; single ones cost nothing
_PLAIN_WORD = 7  # letters: nearly every English word up to here is one token
_LONG_WORD = 20  # letters: past it stand keys, hashes and base64, at two characters a token


def estimate_tokens(text: str) -> int:
    """Return an upper guess of the tokens of `text`; never more than its UTF-8 bytes."""
    return sum(_run_tokens(match.group()) for match in _RUN.finditer(text))


def _run_tokens(run: str) -> int:
    if run[0].isspace():
        return len(run) // _BLANKS_PER_TOKEN
    if not run.isascii():
        # A CJK character (3 bytes) is about one token, a Cyrillic or Arabic letter (2) about half.
        return -(-len(run.encode("utf-8", "surrogatepass")) // 3)
    if not run[0].isalnum() and run[0] != "_":
        return -(-len(run) // 2)
    if len(run) > _LONG_WORD:
        return -(-len(run) // 2)
    return 1 if len(run) <= _PLAIN_WORD else -(-len(run) // 4)
