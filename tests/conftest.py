"""What every run of the tests has in common."""

import pytest

WHOLE_SYSTEMS = frozenset({"acceptance", "browser", "faults"})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for by name or by its mark.

    Folders with a whole system come last: it runs until the end, and takes its share of two cores
    from all that follow.
    """
    items.sort(key=lambda item: not WHOLE_SYSTEMS.isdisjoint(item.path.parts))
    if config.option.markexpr or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow_faults")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not item.get_closest_marker("slow_faults")]
