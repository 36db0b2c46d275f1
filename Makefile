# make quick       minutes to the first true figures
# make reproduce   everything, from a language model to figures and the ledger of claims
# make test        every check of the repository
# `make help` lists the rest. Nothing is installed outside this folder.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help quick reproduce figures readme libraries scalesim modelopt triton test test-fast faults sanitize fuzz lint format lock clean distclean
.DELETE_ON_ERROR:

PYTHON ?= python3.11
CORES ?= all

# Stamps: the packages are installed when a pin changes, the extension when its sources change.
packages := .venv/.packages-installed
ready := .venv/.nmforge-installed
pins := envs/requirements.in envs/requirements.lock envs/requirements-cuda.lock envs/torch.sha256
libraries := .venv-libraries/.installed
scalesim := .venv-scalesim/.installed
modelopt := .venv-modelopt/.installed
extension := pyproject.toml CMakeLists.txt $(wildcard csrc/*/*.cpp csrc/*/*.hpp)
smk := Snakefile workflow/Snakefile $(wildcard workflow/rules/*.smk)

# Three processes run the tests, since that of the cluster mostly waits, in the order of tests/conftest.py; a file stays
# whole, so that its fixtures are made once.
parallel := -n 3 --dist loadfile --no-loadscope-reorder

# Recipes run with the virtual environment in front; the bootstrap itself does not.
in_venv := PATH="$(CURDIR)/.venv/bin:$$PATH"

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

quick: $(ready) ## install, then minutes to the first true figures, in folders of their own
	@$(in_venv) snakemake --cores $(CORES) --configfile workflow/studies/quick.yaml

reproduce: $(ready) ## install, then run the whole pipeline to its figures, ledger and report
	@$(in_venv) snakemake --cores $(CORES)

figures: $(ready) ## draw the figures again from the tables
	@$(in_venv) snakemake --cores $(CORES) figures

readme: $(ready) ## put the figures, ledger, answer and times of the last run into the documents
	@for picture in docs/*.png; do cp "paper_figures/$${picture#docs/}" docs/; done
	@$(in_venv) nmforge claims --into docs/ledger.md
	@$(in_venv) nmforge answer --into README.md
	@$(in_venv) nmforge times

libraries: $(libraries) ## install the libraries of workflow/studies/kernels.yaml; builds llama.cpp, minutes

scalesim: $(scalesim) ## install SCALE-Sim for workflow/studies/fpga.yaml

modelopt: $(modelopt) ## install NVIDIA ModelOpt for workflow/studies/modelopt.yaml

triton: .venv/.triton-installed ## install Triton, so that tests interpret the GPU kernels without a GPU

test: lint ## style, types, import layers, workflow checks, then every test
	@echo "nmforge: pytest" >&2
	@$(in_venv) python -m pytest $(parallel) --cov=nmforge --cov-report=term:skip-covered --cov-fail-under=90

test-fast: $(ready) ## the tests that take seconds: none that is slow, simulates RTL, needs a GPU or the network
	@$(in_venv) python -m pytest $(parallel) -m "not slow and not rtl and not gpu and not network"

faults: $(ready) ## seed faults into the RTL and count how many the comparisons catch, some minutes
	@$(in_venv) python tests/fpga/faults/rtl_faults.py

sanitize: $(ready) ## kernels and decoder under address and undefined-behaviour sanitizers
	@$(in_venv) tests/csrc/sanitize.sh

fuzz: $(ready) ## 100,000 damaged artifacts, some minutes
	@$(in_venv) NMFORGE_FUZZ=100000 python -m pytest tests/artifact/fuzz

lint: $(ready) ## the checks of `make test` that run no test
	@echo "nmforge: ruff" >&2
	@$(in_venv) ruff check
	@$(in_venv) ruff format --check
	@echo "nmforge: mypy" >&2
	@$(in_venv) mypy
	@echo "nmforge: import layers" >&2
	@$(in_venv) lint-imports --no-logo
	@echo "nmforge: C++" >&2
	@$(in_venv) csrc/lint.sh
	@echo "nmforge: workflow style" >&2
	@$(in_venv) snakefmt --check $(smk)

format: $(ready) ## rewrite Python, C++ and Snakemake files in the repository's style
	@$(in_venv) ruff check --fix --quiet
	@$(in_venv) ruff format
	@$(in_venv) csrc/lint.sh format
	@$(in_venv) snakefmt $(smk)

lock: ## resolve the .in files of envs/ into hashed lock files
	@envs/lock.sh $(PYTHON)

clean: ## remove what the pipeline made: results, figures, logs
	@find results paper_figures -mindepth 1 ! -name README.md -delete
	@rm -rf .snakemake logs

distclean: clean ## remove the virtual environment, builds and downloads as well
	@rm -rf .venv .venv-libraries .venv-scalesim .venv-modelopt .cache build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(packages): $(pins) envs/bootstrap.sh
	@PYTHON=$(PYTHON) envs/bootstrap.sh packages
	@touch $@

$(ready): $(packages) $(extension)
	@PYTHON=$(PYTHON) envs/bootstrap.sh extension
	@touch $@

$(scalesim): envs/scalesim.in envs/scalesim.lock
	@PYTHON=$(PYTHON) envs/bootstrap.sh scalesim
	@touch $@

.venv/.triton-installed: $(ready) envs/requirements-cuda.lock
	@PYTHON=$(PYTHON) envs/bootstrap.sh triton
	@touch $@

$(modelopt): envs/modelopt.in envs/modelopt.lock envs/requirements-cuda.lock envs/torch.sha256
	@PYTHON=$(PYTHON) envs/bootstrap.sh modelopt
	@touch $@

$(libraries): envs/libraries.in envs/libraries.lock
	@PYTHON=$(PYTHON) envs/bootstrap.sh libraries
	@touch $@
