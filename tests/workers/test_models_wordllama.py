"""The bundled embedding model."""

import asyncio
import logging
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from forebay_workers.models.choice import embedding_model, generation_model
from forebay_workers.models.extractive_generation import ExtractiveGeneration
from forebay_workers.models.settings import ModelSettings
from forebay_workers.models.wordllama_embedding import WordllamaEmbedding


@pytest.fixture(scope="module")
def model() -> WordllamaEmbedding:
    return WordllamaEmbedding()


async def test_rows_have_length_one_and_like_texts_lie_close(model: WordllamaEmbedding) -> None:
    rows = await model.embed(
        ["How high is the dam?", "The dam is 85 m high.", "Pancake recipe with eggs"]
    )
    assert rows.shape == (3, model.dimensions)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2]


async def test_a_row_does_not_depend_on_its_neighbours(model: WordllamaEmbedding) -> None:
    alone = await model.embed(["The dam."])
    among = await model.embed(["long " * 300, "The dam.", "x"])
    assert np.array_equal(alone[0], among[1])


async def test_nothing_to_embed_gives_no_rows_and_blank_text_is_refused(
    model: WordllamaEmbedding,
) -> None:
    assert (await model.embed([])).shape == (0, model.dimensions)
    with pytest.raises(ValueError, match="visible"):
        await model.embed(["text", ""])


async def test_whatever_can_be_seen_gives_finite_numbers(model: WordllamaEmbedding) -> None:
    assert np.isfinite(await model.embed(["🎉", "\u0627", "\u0301", "?"])).all()


async def test_the_event_loop_runs_on_while_it_computes(model: WordllamaEmbedding) -> None:
    turns = 0
    work = asyncio.ensure_future(model.embed(["a paragraph of words " * 50] * 400))
    while not work.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10


def test_loading_leaves_the_programs_logging_alone() -> None:
    # In a process of its own: pytest's handlers would keep the package from doing its worst.
    program = (
        "import logging; from forebay_workers.models.wordllama_embedding import WordllamaEmbedding;"
        "WordllamaEmbedding(); root = logging.getLogger(); print(root.level, root.handlers)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout == f"{logging.WARNING} []\n"


async def test_settings_choose_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ModelSettings()
    assert isinstance(embedding_model(settings), WordllamaEmbedding)
    assert isinstance(generation_model(settings), ExtractiveGeneration)
    monkeypatch.setenv("FOREBAY_EMBEDDING_PROVIDER", "openai")
    monkeypatch.setenv("FOREBAY_EMBEDDING_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(ValidationError, match="FOREBAY_EMBEDDING_MODEL, FOREBAY_EMBEDDING_DIM"):
        ModelSettings()
    monkeypatch.setenv("FOREBAY_EMBEDDING_MODEL", "m")
    monkeypatch.setenv("FOREBAY_EMBEDDING_DIMENSIONS", "64")
    chosen = embedding_model(ModelSettings())
    assert (chosen.name, chosen.dimensions) == ("openai/m-64", 64)
    await chosen.close()


def test_keys_do_not_show_in_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_GENERATION_API_KEY", "sk-secret")
    assert "sk-secret" not in repr(ModelSettings())
