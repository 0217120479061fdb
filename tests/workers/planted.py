"""The corpus of planted instructions, and what a prompt that holds them must look like."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

# What templates read as a turn; ｜ stands in the marks of a model in use.  # noqa: RUF003
MARK = re.compile(
    r"<[|｜]|</?s>|<?</?SYS>|</?\w+_of_turn>|<[be]os>|</?think>|\[/?[A-Z_]*(?:INST|PROMPT|TOOL)"  # noqa: RUF001
)
UNSEEN = re.compile("[\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")


@dataclass(frozen=True)
class Planted:
    """An instruction, where in a document it stands, and what it is after."""

    at: str
    aim: str
    language: str
    text: str


PLANTED = [
    Planted(**each)
    for each in yaml.safe_load(
        (Path(__file__).parents[1] / "planted_instructions.yaml").read_text()
    )
]


class Block(NamedTuple):
    """One passage of a prompt."""

    number: int
    source: str
    text: str


def fence_of(system: str) -> str:
    """The one fence that a system message names."""
    [fence] = set(re.findall(r'"(?:begin|end) passage (\w{16})"', system))
    return str(fence)


def parsed(system: str, user: str) -> tuple[list[Block], str]:
    """Read a prompt as strictly as can be: its passages, and all that stands outside of them."""
    fence, blocks, rest = fence_of(system), [], user
    begin = re.compile(rf"\[(\d+)\] begin passage {fence}\nSource: (.*)\n")
    while found := begin.match(rest):
        number = int(found[1])
        body, end, rest = rest[found.end() :].partition(f"\n[{number}] end passage {fence}\n\n")
        assert end
        blocks.append(Block(number, found[2], body))
    assert [block.number for block in blocks] == list(range(1, len(blocks) + 1))
    assert user.count(fence) == 2 * len(blocks)
    assert not MARK.search(user)
    assert not UNSEEN.search(user)
    for block in blocks:
        assert not re.search(r"\[\d+[],;-]", block.source + block.text)
    return blocks, rest
