# make demo: shows the main job, without a cluster.   make test: runs the tests, in under three minutes.
# make test-all: those, too, that start Slurm clusters and mount filesystems (as root, on Debian).
# make bench: measures against other tools (SIZE=full: for longer; see docs/benchmarks.md).
# make docs: builds the documentation, with the API reference, in build/site.
# All set up all that they need in .venv, with the Python given by PYTHON.
PYTHON ?= python3
BIN := .venv/bin
PIP = $(BIN)/python -m pip --quiet install --disable-pip-version-check --editable
PYTEST = $(BIN)/python -m pytest
SIZE := quick

.PHONY: demo test test-all test-slurm test-realfs bench docs clean
demo: .venv/demo-ready
	@$(BIN)/python examples/demo/demo.py

test: .venv/ready
	$(PYTEST) -n 2 --dist loadgroup -m "not slurm and not realfs" $(PYTEST_ARGS)

# A failure in one part does not keep the others from being run.
test-all:
	@$(MAKE) --no-print-directory --keep-going --jobs=1 test test-slurm test-realfs

test-slurm: .venv/ready
	$(PYTEST) -n 2 -m slurm $(PYTEST_ARGS)

test-realfs: .venv/ready
	$(PYTEST) -m realfs $(PYTEST_ARGS)

bench: .venv/ready
	$(BIN)/python -m benchmarks.run --size $(SIZE)

# In build/docs the pages lie as in the repository, so that their links are right in both.
PAGES = README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md store/FORMAT.md \
	$(wildcard docs/*.md docs/*/*.md examples/README.md examples/*/*.py examples/*/*.sh)

docs: .venv/docs-ready
	@rm -rf build/docs build/site
	@mkdir -p build/docs
	@cp --parents --target-directory=build/docs $(PAGES)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# The package alone comes first, since the demo needs nothing else.
.venv/demo-ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "slurmic needs Python 3.10 or newer: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@echo "setting up .venv ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) .
	@touch $@

.venv/ready: .venv/demo-ready
	@echo "adding what the tests need ..."
	@$(PIP) '.[dev]'
	@touch $@

.venv/docs-ready: .venv/demo-ready
	@$(PIP) '.[docs]'
	@touch $@

clean:
	rm -rf .venv build .mypy_cache .ruff_cache .hypothesis .import_linter_cache
