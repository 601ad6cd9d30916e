# Two commands for a fresh machine, each doing all of its own set-up:
#   make demo                 replay the synthetic drive to out/overlay.mp4 and out/scenes.jsonl
#   make demo INPUT=my.mp4    the same with a recording of yours
#   make live                 the synthetic drive as a live camera, to be watched in a browser
#   make live CAMERA=0        a camera of yours
#   make test                 style, types, floors and every test
PYTHON ?= python3
VENV ?= .venv
INPUT ?= synthetic://drive?frames=300&seed=1
CAMERA ?= synthetic://drive
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo live test clean

demo: $(VENV)/.runtime
	$(VENV)/bin/python launch.py replay '$(INPUT)' out/overlay.mp4 out/scenes.jsonl --json out/figures.json
	@echo "Look at out/overlay.mp4; one scene a line is in out/scenes.jsonl."

live: $(VENV)/.web
	$(VENV)/bin/python launch.py live '$(CAMERA)' --web

test: $(VENV)/.tests
	scripts/check $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Clearway needs Python 3.10 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The runtime: no torch.
$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.web: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[web]'
	@touch $@ $(VENV)/.runtime

# What the tests need besides: linters, torch to test training, and what live runs talk to.
$(VENV)/.tests: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[dev,train]'
	scripts/install_test_services
	@touch $@ $(VENV)/.runtime

clean:
	rm -rf $(VENV) .venvs out build dist
