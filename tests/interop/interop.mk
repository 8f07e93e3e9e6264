# The tools that people have, against real nodes: tests/interop/README.md.
#
#   make interop [SUITE="terraform python"]    all suites; a suite that is named fails, rather than being skipped, when its tool cannot be had

SUITE ?=
.PHONY: interop interop-built
interop: deps
	@ops/install-deps interop || echo "Not every package could be installed: suites without their tool say so." >&2
	@$(MAKE) --no-print-directory interop-built

interop-built: $(PROGRAMS)
	@TOCSIN_BUILD=$(abspath $(BUILD)) tests/interop/run $(SUITE)
