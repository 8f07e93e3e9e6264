/* A log entry in memory: one block, counted references. */
#include "consensus/machine/entry.h"

#include <assert.h>
#include <stdlib.h>

struct entry *entry_new(uint64_t term, enum entry_type type, uint32_t size_bytes)
{
    struct entry *entry = malloc(sizeof *entry + size_bytes);
    if (entry == NULL) {
        abort(); /* an entry that cannot be held cannot be answered for either */
    }
    atomic_init(&entry->references, 1);
    entry->type = type;
    entry->term = term;
    entry->size_bytes = size_bytes;
    return entry;
}

struct entry *entry_ref(struct entry *entry)
{
    /* Whoever takes one more holds one already, so nothing has to be ordered here. */
    unsigned before = atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
    assert(before > 0);
    return entry;
}

void entry_unref(struct entry *entry)
{
    if (entry == NULL) {
        return;
    }
    /* All reads by the others must have happened before the last one frees. */
    unsigned before = atomic_fetch_sub_explicit(&entry->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        free(entry);
    }
}
