# Every target sets up what it needs; nothing but Python >= 3.11 and make has to be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
JOBS ?= 4
# Compiled modules beside the virtual environment, also where the environment forbids to write them beside the source:
# the tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache

.DEFAULT_GOAL := help
.PHONY: help setup demo test slow cluster chaos replay check fix bench bench-pages differential fuzz conformance schemas lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "anchorwatch needs Python >= 3.11; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 2; }
	@echo "installing the locked dependencies into $(VENV) (about 600 MB, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## build .venv with the command anchorwatch in it

demo: $(STAMP) ## incidents on a signed DNS world on loopback, then the page; ARGS=--exit ends after the last
	@$(BIN)/anchorwatch demo $(ARGS)

test: $(STAMP) ## the test suite; ARGS="-k denial" picks
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

slow: $(STAMP) ## the tests that take long: full disks, hostile receivers, secrets, random worlds, most scenarios; some minutes
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m slow $(ARGS)

cluster: $(STAMP) ## over Apache Kafka: every stage as processes, with parts killed, and the bus in adversity; five minutes; BROKERS=3
	@$(BIN)/python -m pytest -m cluster -p no:randomly tests/cluster tests/contracts $(ARGS)

chaos: $(STAMP) ## kills, full disks, jumping clocks and more beside staged incidents, counted; fifteen minutes, ARGS=--write
	@PYTHONPATH=. $(BIN)/python tests/chaos/chaos.py $(ARGS)

replay: $(STAMP) ## every incident as a scenario, and a quiet year, on a virtual clock; the table of docs/detection.md; an hour; ARGS="--restart-at random"
	@$(BIN)/anchorwatch replay --quiet --measure $(ARGS) scenarios/*.yaml

check: $(STAMP) ## format, lint, types, tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

fix: $(STAMP) ## format and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP) ## speed and memory, printed as a table
	@$(BIN)/python -m bench $(ARGS)

bench-pages: $(STAMP) ## how fast the pages are over a year of 100,000 checks; half an hour to write it, ARGS="--keep FOLDER" keeps it
	@$(BIN)/python -m bench.pages $(ARGS)

differential: $(STAMP) ## random damaged worlds, each asked of us, of Unbound and of delv; N=2000, SEED=
	@PYTHONPATH=. $(BIN)/python tests/differential/differential.py --cases $(or $(N),2000) $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: $(STAMP) ## mutated packets through the message path; N=100000, SEED=
	@PYTHONPATH=. $(BIN)/python tests/fuzz.py --packets $(or $(N),100000) $(if $(SEED),--seed $(SEED))

conformance: $(STAMP) ## the replay scenarios of Unbound's authors, black box through validate
	@$(BIN)/python tests/conformance.py

schemas: $(STAMP) ## write schemas/json from the message types
	@$(BIN)/python -m schemas.export

lock: $(STAMP) ## resolve requirements.lock anew (needs uv)
	@uv pip compile pyproject.toml --extra dev --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 -o requirements.lock

clean: ## remove .venv and caches
	@rm -rf $(VENV) .tools build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
