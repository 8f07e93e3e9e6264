# Power cuts: tests/crash/README.md.

CRASH_PARTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/crash/test_%.c,$(wildcard tests/crash/*.c)))
$(BUILD)/tests/crash/test_crash_points: $(CRASH_PARTS)
# The parts stand behind the library on the command line: what they need of it is looked up once more.
$(BUILD)/tests/crash/test_crash_points: private PKG_LIBS = $(LIBRARY) $(shell pkg-config --libs $(LIBRARIES) raft)

# The long run: make crash-points STATES=100000 [CRASH_SEED=1]
STATES ?= 100000
.PHONY: crash-points
crash-points: $(BUILD)/tests/crash/test_crash_points
	CRASH_STATES=$(STATES) $<
