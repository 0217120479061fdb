"""`forebay demo`, as somebody runs it who has just installed Forebay."""

import json
import subprocess
import sysconfig
from importlib.resources import files
from pathlib import Path

SECONDS = 200
FOREBAY = Path(sysconfig.get_path("scripts")) / "forebay"


def test_the_demo_answers_each_tier_with_its_own_fact(tmp_path: Path) -> None:
    done = subprocess.run(
        [FOREBAY, "demo", "--state-dir", tmp_path / "demo"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads(files("forebay_standalone").joinpath("corpus/facts.json").read_text())
    assert done.stdout.endswith("then open http://127.0.0.1:8080/\n")
    answers = answers_by_tier(done.stdout)
    assert set(answers) == {"free", "standard", "enterprise"}
    known: dict[str, str] = facts["facts"]
    tiers = list(known)
    for place, tier in enumerate(tiers):
        assert known[tier] in answers[tier]
        assert not any(known[above] in answers[tier] for above in tiers[place + 1 :])


def answers_by_tier(output: str) -> dict[str, str]:
    """What follows each line that begins with a tier in brackets."""
    found: dict[str, list[str]] = {}
    tier = ""
    for line in output.splitlines():
        head, bracket, _ = line.partition("]")
        if bracket and head.startswith("[") and head[1:].isalpha():
            tier = head[1:]
        elif tier:
            found.setdefault(tier, []).append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}
