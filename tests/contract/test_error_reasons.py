"""Each reason stands beside the ErrorInfo that a client sees, and beside its status code."""

import json

from google.protobuf.json_format import ParseDict
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo

from forebay_kafka.errors import KafkaError
from forebay_kafka.failure import reason_word
from forebay_server.answers import errors as answers_errors
from forebay_server.errors import EdgeError

from .reasons import example


def test_every_reason_has_an_example_that_is_its_own(comments: dict[str, str]) -> None:
    assert comments
    for word, comment in comments.items():
        info = ParseDict(json.loads(example(comment)), ErrorInfo())
        assert info.reason == word
        assert info.domain == "forebay"


def test_every_reason_names_exactly_one_status_code(comments: dict[str, str]) -> None:
    codes = set(Code.keys()) - {"OK"}
    for word, comment in comments.items():
        prose = comment.replace(example(comment), "")
        named = {part.strip(".,;:") for part in prose.split()} & codes
        assert len(named) == 1, word


def test_an_errors_metadata_keys_are_in_the_form_of_the_aip(comments: dict[str, str]) -> None:
    for word, comment in comments.items():
        for key in json.loads(example(comment)).get("metadata", {}):
            assert key.islower(), (word, key)
            assert key.replace("_", "").isalnum(), (word, key)


def test_the_codes_that_errors_are_raised_with_are_those_of_the_contract(
    comments: dict[str, str],
) -> None:
    assert answers_errors.QueryNotFound in EdgeError.__subclasses__()
    waiting: list[type[KafkaError | EdgeError]] = [KafkaError, EdgeError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        word = reason_word(error.reason)
        assert Code.Name(error.code) in comments[word], error.__name__
