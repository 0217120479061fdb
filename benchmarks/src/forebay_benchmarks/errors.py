"""What can go wrong with a measurement."""


class BenchmarkError(Exception):
    """The measurement cannot go on."""


class NoCalls(BenchmarkError):
    """Not one call of a round succeeded: there is nothing to take a median of."""

    def __init__(self, failure: str) -> None:
        super().__init__(f"a round without a call that succeeded; one failed with: {failure}")


class CallFailed(BenchmarkError):
    """One call did not do what was measured; it counts as a failure of its round."""
