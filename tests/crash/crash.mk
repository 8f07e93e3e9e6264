# Power cuts: tests/crash/README.md.

CRASH_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/crash/test_*.c))
CRASH_PARTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/crash/test_%.c,$(wildcard tests/crash/*.c)))
$(CRASH_TESTS): $(CRASH_PARTS)

# The long run: make crash-points [STATES=100000] [CRASH_SEED=1]; also a tenth as many flipped bits in each file.
STATES ?= 100000
.PHONY: crash-points
crash-points: $(CRASH_TESTS)
	CRASH_STATES=$(STATES) $(BUILD)/tests/crash/test_crash_points
	CRASH_FLIPS=$$(($(STATES) / 10)) $(BUILD)/tests/crash/test_bit_rot
