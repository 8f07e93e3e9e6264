# What building and testing needs from the system.

.PHONY: deps-present
deps-present:
	@pkg-config --exact-version=$(RAFT_VERSION) raft || { echo "libraft $(RAFT_VERSION) is needed: run 'make deps'." >&2; exit 1; }
