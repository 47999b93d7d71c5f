# `make demo` builds the sample data set; `make test` runs every check and test. Each installs what it needs into VENV.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo

.PHONY: demo test programs clean

demo: $(VENV)/installed
	$(BIN)/artune build --home $(DEMO)
	$(BIN)/artune report --home $(DEMO)

test: $(VENV)/installed-dev programs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy flows
	$(BIN)/pytest --numprocesses 3 --dist worksteal

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# What no wheel carries: the tests open reports in Chromium, and put a Prefect server on PostgreSQL.
programs:
	@missing=; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	  || missing=chromium; \
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing="$$missing postgresql"; \
	if test -n "$$missing"; then \
	  sudo=$$(test $$(id -u) = 0 || echo sudo); $$sudo apt-get update -qq && $$sudo apt-get install -y -qq $$missing; \
	fi

clean:
	rm -rf $(VENV) $(DEMO)
