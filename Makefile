# Everything here runs with the environment that `make setup` makes: python3 >= 3.11, make, git
# and coreutils are enough, no Docker, Java or Maven.
.POSIX:
.PHONY: help setup up demo test faults slow bench lint clean

BIN = .venv/bin
WHOLE = .venv/whole

help:
	@printf '%s\n' \
	  'make setup   the environment (again after an interruption: it heals)' \
	  'make up      the whole system on this machine, until interrupted; data in .state/' \
	  'make demo    a walk through it' \
	  'make test    all but the longest tests' \
	  'make faults  every fault, and what became of each promise (FAULTS_SEED=… repeats a run)' \
	  'make slow    the other long tests: they wait until brokers and sessions give up' \
	  'make bench   the benchmarks' \
	  'make lint    formatting, style, types and import rules' \
	  'make clean   removes the environment and caches, never .state/'

setup:
	@PYTHON='$(PYTHON)' sh scripts/setup.sh

# Made again when the lock or the set-up changed.
$(WHOLE): uv.lock scripts/setup.sh
	@PYTHON='$(PYTHON)' sh scripts/setup.sh

up: $(WHOLE)
	@exec $(BIN)/forebay up $(ARGS)

demo: $(WHOLE)
	@exec $(BIN)/forebay demo $(ARGS)

test: $(WHOLE)
	$(BIN)/pytest tests $(ARGS)

faults: $(WHOLE)
	$(BIN)/pytest tests/faults -m 'slow_faults or not slow_faults' $(ARGS)

slow: $(WHOLE)
	$(BIN)/pytest tests --ignore tests/faults -m slow_faults $(ARGS)

bench: $(WHOLE)
	$(BIN)/forebay-bench $(ARGS)

lint: $(WHOLE)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
