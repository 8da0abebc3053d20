# Two commands: make demo, make test. The rest is for people who change the project.
PYTHON ?= python3
PORT ?= 8000
WORKERS ?= 3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test faults lint bench clean

help:
	@echo "make demo [IMAGES=folder] [PORT=8000] [WEIGHTS=file]  a shop with visual search, at http://localhost:8000/"
	@echo "make test                                             every test, in a database of its own"
	@echo "make faults                                           the tests of docs/reliability.md: minutes of killing and filling up"
	@echo "make lint                                             ruff, ruff format and mypy"
	@echo "make bench                                            the benchmarks, as a table"
	@echo "make clean                                            removes the demo's data and the virtual environment"

.venv/installed: requirements.txt assembly/package-lock.json $(wildcard visualsearch/locale/*/*/*.po locale/*/*/*.po)
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; name one: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python assembly/assemble.py
	@touch $@

demo: .venv/installed
	@$(BIN)/python -m shop.demo --port $(PORT) $(if $(IMAGES),--images "$(IMAGES)") $(if $(WEIGHTS),--weights "$(WEIGHTS)")

# Tests start hundreds of processes: each would compile the project anew where this says that nothing is kept.
test faults: export PYTHONDONTWRITEBYTECODE =

test: .venv/installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

faults: .venv/installed
	$(BIN)/python -m pytest tests/faults -m fault -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv var
