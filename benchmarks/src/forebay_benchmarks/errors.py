"""What can go wrong with a measurement."""


class BenchmarkError(Exception):
    """The measurement cannot go on."""


class CallFailed(BenchmarkError):
    """One call did not do what was measured; it counts as a failure of its round."""
