# The two commands a learner needs are `make lab` and `make test`; `make help` lists the rest.

SHELL := /bin/sh
.DEFAULT_GOAL := help

BIN := .venv/bin
READY := .venv/.ready
# The first Python on this machine that is new enough, or what you name: make lab PYTHON=/path/to/python3
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$p"; break; }; done)
# JupyterLab refuses to start for root, which is who you are in many containers.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

# One file after the other on each core, since torch gains little from a second one on models this small.
IN_TURNS := --numprocesses=logical --maxprocesses=4 --dist=loadfile

# The oldest Python that pyproject.toml admits, so that what is pinned installs there too.
UV := build/uv/bin/uv
COMPILE := $(UV) pip compile --quiet --no-annotate --python-version 3.11

NB ?=
SEEDS ?= 0 1 2

.PHONY: help lab test notebooks header claims bench checkpoints figures cures dials clinic betas remedies family real gpu sizes mutants format pins lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Everything is installed once, and again only when one of these files changes. The lock holds the hashes of every
# platform's files, and pip refuses any other. Torch is pinned but not in it, nor are its CUDA packages: pip takes the
# build that fits the machine, one for the CPU from wherever you point it or PyPI's, and each has other needs and hashes.
$(READY): pyproject.toml constraints.txt requirements.lock
	@test -x $(BIN)/python || test -n "$(PYTHON)" || { \
		echo "Python 3.11 or newer is needed and none was found (python3 here: $$(python3 --version 2>&1))." >&2; \
		echo "Install one, or name it: make lab PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/python || "$(PYTHON)" -m venv .venv || { rm -rf .venv; \
		echo "That Python cannot make virtual environments (Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(BIN)/python -m pip install --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --no-build-isolation -c constraints.txt -e ".[lab,dev]"
	@touch $@

lab: $(READY) ## Install if needed, then open your copy of the notebooks in JupyterLab
	$(BIN)/python -m course copy
	$(BIN)/jupyter lab $(AS_ROOT) my_notebooks/00_start_here.ipynb

test: $(READY) ## Install if needed, then run every test: style, unit, browser and all notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest $(IN_TURNS)

notebooks: $(READY) ## Run the notebooks and store their outputs (one of them: NB=01)
	$(BIN)/python -m tools.notebooks run $(NB)

header: $(READY) ## Rewrite launch badges and set-up lines without running anything (one of them: NB=01)
	$(BIN)/python -m tools.notebooks header $(NB)

claims: $(READY) ## Run the notebooks on several seeds and report every claim (SEEDS="0 1 2", NB=01)
	$(BIN)/python -m tools.claims_report --seeds $(SEEDS) $(if $(NB),--only $(NB))

bench: $(READY) ## Measure run times and throughput
	$(BIN)/python -m tools.bench

checkpoints: $(READY) ## Train the checkpoints in course/checkpoints again from the seed, and measure them
	$(BIN)/python -m tools.build_checkpoints

figures: $(READY) ## Measure the shipped checkpoints again and rewrite the tables in their cards
	$(BIN)/python -m tools.measure_checkpoints

cures: $(READY) ## Run every cure of lesson 10 on several seeds and store what came of it
	$(BIN)/python -m tools.experiments cures

dials: $(READY) ## Turn every setting of PPO on the course's model and store what came of it
	$(BIN)/python -m tools.experiments dials

clinic: $(READY) ## Run the patients of the debugging clinic and store their curves
	$(BIN)/python -m tools.experiments clinic

betas: $(READY) ## Sweep DPO's beta on several seeds and store what came of it
	$(BIN)/python -m tools.experiments betas

remedies: $(READY) ## Run what is said to help DPO against length and forgetting, and store what came of it
	$(BIN)/python -m tools.experiments remedies

family: $(READY) ## Train by every method of lesson 12 on every kind of data and store what came of it
	test -f course/preferences/trl.json || $(BIN)/python -m tools.trl_losses
	$(BIN)/python -m tools.experiments search family more_seeds

real: $(READY) ## Ask a real model for what the lessons claim, about four hours, and store what came of it
	$(BIN)/python -m tools.experiments real_templates real_padding real_styles real_passes real_lora real_mask real_pairs \
		real_reward real_best_of_n real_judge real_revision real_dpo real_family real_ppo

gpu: $(READY) ## Try every stage with a real model on this machine's GPU, in 15 minutes, beside TRL, and print a table
	$(BIN)/python -m tools.gpu_check

sizes: $(READY) ## Build the toy in three sizes, ask each for what five lessons claim, and store what came of it
	$(BIN)/python -m tools.experiments sizes

mutants: $(READY) ## Change the exercises' solutions in small ways and list what check calls right (IDS="07-calibration")
	$(BIN)/python -m tools.mutants $(IDS)

format: $(READY) ## Put code and notebooks into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(UV):
	"$(PYTHON)" -m venv build/uv && build/uv/bin/python -m pip install uv

pins: $(UV) ## Write constraints.txt anew from the newest versions that pyproject.toml admits, then the lock
	{ sed -n '/^#/p' constraints.txt; $(COMPILE) --no-header --extra lab --extra dev pyproject.toml \
		| grep -Ev '^(cuda|nvidia|triton)'; } > build/constraints.txt
	mv build/constraints.txt constraints.txt
	$(MAKE) lock

lock: $(UV) ## Write requirements.lock, the hashes of what constraints.txt pins, anew
	grep -v '^torch==' constraints.txt | $(COMPILE) --custom-compile-command "make lock" --no-deps --generate-hashes \
		--output-file requirements.lock -

clean: ## Remove what was installed or built here; progress, my_notebooks/ and runs/ are kept
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
