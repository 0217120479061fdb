"""`forebay-bench`, the program."""


def main() -> None:
    """Run it."""
    # Imported here: every child process imports the main module again, and needs little of it.
    from forebay_benchmarks.bench import bench  # noqa: PLC0415

    bench(prog_name="forebay-bench")


if __name__ == "__main__":
    main()
