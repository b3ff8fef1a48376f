# Everything runs from here: `make help`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A CPU wheel of torch: make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
TORCH := torch==2.13.0
UV := uv==0.13.9
# The images: make image TORCH_INDEX=... BASE=... BUILDER=...
BUILDER ?= $(firstword $(notdir $(wildcard $(addsuffix /docker,$(subst :, ,$(PATH))) $(addsuffix /podman,$(subst :, ,$(PATH))) $(addsuffix /buildah,$(subst :, ,$(PATH))))))
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
STAMP := $(VENV)/.installed
# The page itself needs no Node; its checks do. Where the machine has none, a wheel brings it into .venv.
NODE_STAMP := node_modules/.installed
export PATH := $(PATH):$(CURDIR)/$(BIN)

# A part of the tests: make test ARGS="tests/images -k dicom"
ARGS ?=
# A file's tests stay with one worker, which sets up once what they share. Compiled tests are kept, whatever the shell says.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto --dist loadfile --no-loadscope-reorder

# The demo keeps all it makes in this folder; `rm -r .demo` starts anew.
DEMO := .demo
DEMO_SERVE ?= 1
DEMO_IMAGES ?= 3600
DEMO_FLAGS := --epochs 4 --batch-size 16 --learning-rate 0.002 --ema-decay 0.99 --checkpoint-steps 100 \
	--rotation-degrees 3 --scale 0.03 --shift 0.02 --contrast 0.1 --brightness 0.05

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo demo-aws test test-fast parts fuzz lint format bench lock image synth

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv and install the locked dependencies

$(STAMP): pyproject.toml locks/dev.txt
	@echo "Installing into $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r locks/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

$(NODE_STAMP): package.json package-lock.json locks/node.txt | $(STAMP)
	@$(BIN)/python -m tests.support.system_parts axe-core
	@touch $@

demo: $(STAMP) ## From phantom radiographs to a served model, in ten minutes on two cores
	@CXR="$(BIN)/cxr" DEMO="$(DEMO)" IMAGES="$(DEMO_IMAGES)" SERVE="$(DEMO_SERVE)" FLAGS="$(DEMO_FLAGS)" sh scripts/demo.sh

demo-aws: $(STAMP) ## The same over SageMaker, on the emulator: S3, two instances, spot, the registry
	@CXR="$(BIN)/cxr" DEMO="$(DEMO)-aws" sh scripts/demo_aws.sh

test: $(STAMP) $(if $(ARGS),,parts) ## Run all tests, or a part: make test ARGS="tests/images -k dicom"
	@$(PYTEST) $(ARGS)

test-fast: $(STAMP) ## Run the everyday part: no browser, no container image, nothing slow
	@$(PYTEST) -m "not browser and not image and not slow" $(ARGS)

parts: $(STAMP) ## Install what tests need of the system (CXR_INSTALL=0: nothing)
	@$(BIN)/python -m tests.support.system_parts

fuzz: $(STAMP) ## Post 100,000 mutated files of each kind to the API
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.support.fuzzing --count 100000 --seed 1

lint: $(STAMP) $(NODE_STAMP) ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/zizmor --offline --quiet .github
	npm run --silent lint

format: $(STAMP) $(NODE_STAMP) ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	npm run --silent format

bench: $(STAMP) ## Run the benchmarks; results go to benchmarks/results
	$(BIN)/python -m benchmarks.prepare
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.serving
	$(BIN)/python -m benchmarks.page
	$(BIN)/python -m benchmarks.emulator

synth: $(STAMP) ## Write the CloudFormation templates of all stages to cdk.out: make synth MODE=private
	@$(BIN)/python -m infrastructure.app --out cdk.out $(if $(MODE),--mode $(MODE))

image: ## Build the images chest-xray:serve and chest-xray:train, with docker, podman or buildah
	@test -n "$(BUILDER)" || { echo "make image needs docker, podman or buildah: none was found." >&2; exit 2; }
	$(foreach target,serve train,$(call build_image,$(target)))

define build_image
$(BUILDER) build -f docker/Dockerfile --target $(1) -t chest-xray:$(1) \
	--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git describe --always --abbrev=40 --dirty --exclude='*') \
	$(if $(BASE),--build-arg BASE=$(BASE)) --build-arg TORCH=$(TORCH) --build-arg TORCH_INDEX=$(TORCH_INDEX) .

endef

lock: $(STAMP) ## Resolve the dependencies anew into locks/
	$(BIN)/uv lock --upgrade
	$(call export_lock,serve,--extra dicom)
	$(call export_lock,train,--extra train --extra dicom --extra tracking)
	$(call export_lock,dev,--extra dev)
	$(call export_lock,node,--only-group node)
	$(call export_lock,build,--only-group build)

define export_lock
	$(BIN)/uv export --quiet --frozen --no-header --no-annotate --no-emit-project --no-emit-package torch --prune torch \
		--format requirements-txt $(2) > locks/$(1).txt
endef
