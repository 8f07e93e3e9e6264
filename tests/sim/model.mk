# The model's own tests stand on a real machine in memory.
$(patsubst %.c,$(BUILD)/%,$(wildcard tests/sim/model/test_model*.c tests/sim/judge/test_invariants.c)): $(BUILD)/tests/sim/model/model_stand.o
# What holds of held alerts is looked at in their unit test, too.
$(patsubst %,$(BUILD)/tests/unit/machine/test_%,suppression held_alerts): $(BUILD)/tests/sim/judge/invariants_held.o
