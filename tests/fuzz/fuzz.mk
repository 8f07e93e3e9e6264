# Fuzzing.
#
#   make fuzz [TARGET=name] [SECONDS_PER_TARGET=60]    libFuzzer, with clang; findings end it with an error
#   make fuzz TARGET=name MERGE=1                      what it found goes into the corpus, as far as it reaches anything new
#   make test-fuzz                                     a short run of every target by any compiler; a step of `make test`

FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_PARTS := tests/fuzz/input.c tests/fuzz/world.c tests/fuzz/company.c tests/fuzz/onlookers.c tests/fuzz/reach.c tests/fuzz/maker.c tests/fuzz/state_files.c $(wildcard tests/sim/judge/invariants*.c)
FUZZ_OBJECTS := $(FUZZ_PARTS:%.c=$(BUILD)/%.o) $(SUPPORT:%.c=$(BUILD)/%.o)
FUZZ_REPLAYS := $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/replay_%)
FUZZ_PROGRAMS := $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/fuzz_%)
FUZZ_LIBS = $(PKG_LIBS) $(shell pkg-config --libs $(TEST_LIBRARIES))

# ---- a short run, by the compiler at hand

test-built: test-fuzz

.PHONY: test-fuzz
test-fuzz: $(FUZZ_REPLAYS)
	@BUILD=$(BUILD) tests/fuzz/replay-all $(FUZZ_TARGETS)

$(FUZZ_REPLAYS): $(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(FUZZ_OBJECTS) $(LIBRARY)
	@echo '  LINK    $@'
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(FUZZ_LIBS) -o $@

# ---- libFuzzer

TARGET ?= $(FUZZ_TARGETS)
SECONDS_PER_TARGET ?= 60
MERGE ?=
FUZZ_BUILD := build-fuzz
FUZZ_SANITIZE := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

.PHONY: fuzz fuzz-built
fuzz: deps
	@ops/install-deps fuzz
	@$(MAKE) --no-print-directory fuzz-built BUILD=$(FUZZ_BUILD) CC=clang CFLAGS='-O1 -g' SANITIZE_FLAGS='$(FUZZ_SANITIZE)'

fuzz-built: $(TARGET:%=$(BUILD)/tests/fuzz/fuzz_%)
	@python3 tests/fuzz/run --build $(BUILD) --seconds $(SECONDS_PER_TARGET) $(if $(MERGE),--merge) $(TARGET)

$(FUZZ_PROGRAMS): $(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(FUZZ_OBJECTS) $(LIBRARY)
	@echo '  LINK    $@'
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer $^ $(FUZZ_LIBS) -o $@
