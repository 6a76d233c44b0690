# make demo: shows the main job, without a cluster.   make test: runs the tests.
# make bench: measures against other tools (SIZE=full: for longer; see docs/benchmarks.md).
# make docs: builds the documentation, with the API reference, in build/site.
# All set up all that they need in .venv, with the Python given by PYTHON.
PYTHON ?= python3
BIN := .venv/bin
SIZE := quick

.PHONY: demo test bench docs clean
demo: .venv/ready
	@$(BIN)/python examples/demo/demo.py

test: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

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

.venv/docs-ready: .venv/ready
	@$(BIN)/python -m pip --quiet install --disable-pip-version-check --editable '.[docs]'
	@touch $@

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "slurmic needs Python 3.10 or newer: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@echo "setting up .venv ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --quiet install --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv build .mypy_cache .ruff_cache .hypothesis .import_linter_cache
