"""Answers without a model: the sentences of the passages that support an answer best.

Sentences are scored by the question's terms they hold, weighted by rarity (after BM25, Robertson
and Zaragoza 2009) and by the passage's rank, and picked one by one for what they add (after
Carbonell and Goldstein 1998), so that several documents speak. Every byte of the answer is quoted
and cited.
"""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

from forebay_workers.chunking.sentences import sentence_spans
from forebay_workers.models.cost_estimate import estimated_cost
from forebay_workers.models.generation_model import (
    NO_EVIDENCE_ANSWER,
    AnswerPart,
    CitationMark,
    Finished,
    FinishReason,
    GenerationRequest,
    PromptPassage,
    TextDelta,
)
from forebay_workers.models.terms import terms
from forebay_workers.models.token_estimate import estimate_tokens

_NAME = "extractive"
_MOST_SENTENCES = 6  # people read no longer list of quotes
_MOST_PER_PASSAGE = 2
_LEAST_SUPPORT = 0.3  # share of the question's weight; below it a sentence shares words by chance
_LEAST_OF_BEST = 0.4  # of the best sentence's score: what is far behind it answers something else
_RANK_DECAY = 0.05  # each rank weighs 5 % less: retrieval's order counts, but does not decide
_RARITY_WEIGHT = 0.5  # a term in one of thirty sentences counts 2.4 times one that is in all
_HEADING_WEIGHT = 0.4  # a heading says what its sentences are about without saying it
_SAME_PASSAGE = 0.7  # a second sentence of a passage must be that much better than another's first
_LONG_SENTENCE = 40  # terms; longer ones hold many words by sheer length


@dataclass(frozen=True, slots=True)
class _Sentence:
    passage: int
    text: str
    own: frozenset[str]
    above: frozenset[str]
    length: int


class ExtractiveGeneration:
    """Quotes and cites; never writes a word of its own, except that there is no evidence."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[AnswerPart, None]:
        """See `GenerationModel.generate`; sentence by sentence, best first."""
        chosen = _choose(request)
        written = ""
        reason = FinishReason.STOP if chosen else FinishReason.NO_EVIDENCE
        for sentence in chosen:
            quote = " ".join(sentence.text.split())
            if estimate_tokens(written) + estimate_tokens(quote) > request.max_output_tokens:
                reason = FinishReason.LENGTH
                break
            start = len(written.encode()) + bool(written)
            delta = f" {quote}" if written else quote
            written += delta
            yield TextDelta(delta)
            yield CitationMark(sentence.passage, start, len(written.encode()))
            await asyncio.sleep(0)  # other queries run between two sentences
        if not chosen:
            written = NO_EVIDENCE_ANSWER
            yield TextDelta(written)
        yield estimated_cost(request, written, _NAME)
        yield Finished(reason)

    async def close(self) -> None:
        """See `GenerationModel.close`; there is nothing to give back."""


def _choose(request: GenerationRequest) -> list[_Sentence]:
    sentences = [
        sentence
        for index, passage in enumerate(request.passages)
        for sentence in _sentences(index, passage)
    ]
    weights = _weights(frozenset(terms(request.question)), sentences)
    whole = sum(weights.values())
    supported = {
        index: _score(sentence, weights)
        for index, sentence in enumerate(sentences)
        if whole and _support(sentence, weights) / whole >= _LEAST_SUPPORT
    }
    return _diverse(sentences, supported)


def _sentences(index: int, passage: PromptPassage) -> Iterator[_Sentence]:
    above = frozenset(terms(f"{passage.title} {passage.heading}"))
    for start, end in sentence_spans(passage.text):
        text = passage.text[start:end]
        words = list(terms(text))
        if words:
            yield _Sentence(index, text, frozenset(words), above, len(words))


def _weights(question: frozenset[str], sentences: list[_Sentence]) -> dict[str, float]:
    """Weigh each term of the question by its rarity over the sentences.

    Plain inverse document frequency would forget what the question is about: retrieval chose the
    passages because most of them say it. So every term counts 1, and rarity adds to that.
    """
    found = Counter(term for sentence in sentences for term in sentence.own & question)
    total = len(sentences)
    return {
        term: 1 + _RARITY_WEIGHT * math.log((total + 1) / (found[term] + 1)) for term in question
    }


def _support(sentence: _Sentence, weights: dict[str, float]) -> float:
    """Weigh the question's terms in a sentence; headings support, but never alone."""
    own = sum(weights.get(term, 0.0) for term in sentence.own)
    above = sum(weights.get(term, 0.0) for term in sentence.above - sentence.own)
    return own + _HEADING_WEIGHT * above if own else 0.0


def _score(sentence: _Sentence, weights: dict[str, float]) -> float:
    rank = 1 / (1 + _RANK_DECAY * sentence.passage)
    return _support(sentence, weights) * rank / max(1.0, sentence.length / _LONG_SENTENCE)


def _diverse(sentences: list[_Sentence], scores: dict[int, float]) -> list[_Sentence]:
    chosen: list[_Sentence] = []
    least = _LEAST_OF_BEST * max(scores.values(), default=0.0)
    left = dict(scores)
    while left and len(chosen) < _MOST_SENTENCES:
        # Ties go to the earlier sentence, so that the same passages give the same answer.
        gains = {index: _gain(sentences[index], score, chosen) for index, score in left.items()}
        best = max(gains, key=lambda index: (gains[index], -index))
        if gains[best] < least:
            break
        chosen.append(sentences[best])
        del left[best]
    return chosen


def _gain(sentence: _Sentence, score: float, chosen: list[_Sentence]) -> float:
    spoken = sum(other.passage == sentence.passage for other in chosen)
    if spoken >= _MOST_PER_PASSAGE:
        return 0.0
    if any(sentence.own <= other.own for other in chosen):
        return 0.0  # every word of it was said: a copy, as in two versions of one document
    return float(score * _SAME_PASSAGE**spoken)
