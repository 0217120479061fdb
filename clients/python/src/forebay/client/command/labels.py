"""Options of the form KEY=VALUE."""

import click


def labels_of(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """The pairs of a repeated KEY=VALUE option.

    Raises:
        click.BadParameter: one is no pair, or a key comes twice.
    """
    labels: dict[str, str] = {}
    for value in values:
        key, equals, content = value.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{value!r} is not of the form KEY=VALUE")
        if key in labels:
            raise click.BadParameter(f"{key!r} is given twice")
        labels[key] = content
    return labels
