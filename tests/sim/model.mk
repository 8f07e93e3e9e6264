# The model's own tests stand on a real machine in memory.
$(addprefix $(BUILD)/tests/sim/,test_model test_model_random test_invariants): $(BUILD)/tests/sim/model_stand.o
