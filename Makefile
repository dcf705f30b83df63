# make run   start a working gateway on this machine        make test   run every test
# make ci    what the pipeline runs: linters and tests      make lock   pin the newest allowed versions
# make bench the figures of docs/performance.md             make soak   minutes under load and faults (ARGS="-k limits")
# make docs  the pages of settings and of compatibility           make mutants  do the tests find planted mistakes?
# make lint  ruff, mypy, import-linter                      make format   fix what can be fixed
# make cover the tests, and which lines they reach         make fuzz  the decoders on damaged input (ARGS="600": seconds)
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 3
STAMP  := $(VENV)/.installed

.PHONY: run test cover lint ci format lock docs bench mutants fuzz soak clean

run: $(STAMP)
	@$(BIN)/pulse dev $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

cover: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --cov --cov-report=term:skip-covered $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pulse_host.configuration_page --check docs/configuration.md
	$(BIN)/python -m tests.e2e.compatibility --check docs/compatibility.md

ci: lint test

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)
	$(BIN)/python -m pulse_host.configuration_page docs/configuration.md
	$(BIN)/python -m tests.e2e.compatibility docs/compatibility.md

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ARGS)

mutants: $(STAMP)
	$(BIN)/python -m tests.mutants $(ARGS)

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz $(ARGS)

soak: $(STAMP)
	$(BIN)/python -m pytest -o python_files="soak_*.py" tests/e2e -s $(ARGS)

lock:
	$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet uv
	$(VENV)/lock/bin/uv pip compile pyproject.toml --extra test --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --no-strip-extras --upgrade --quiet -o requirements.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

# The lock pins every version by hash; the project itself is then linked in without a look at any index.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Pulse needs Python 3.11 or newer; try: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@echo "installing into $(VENV): once, about a minute"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
