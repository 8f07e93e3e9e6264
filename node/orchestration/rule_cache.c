/* Compiled rules, kept until any rule changes. */
#include <stdlib.h>

#include "node/orchestration/decide.h"

#define PLACES 1024u

struct entry {
    struct entry *next;
    uint64_t owner_id;
    Tocsin__PathKind kind;
    Tocsin__OrchestrationPath *path; /* NULL: there is none */
    struct ruleset *ruleset;         /* NULL: nothing to ask */
};

struct rule_cache {
    uint64_t rules_revision;
    struct entry *places[PLACES];
    unsigned count;
};

static void *allocate(size_t size_bytes)
{
    void *memory = calloc(1, size_bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

struct rule_cache *rule_cache_new(void)
{
    return allocate(sizeof(struct rule_cache));
}

static void empty(struct rule_cache *cache)
{
    for (unsigned i = 0; i < PLACES; i++) {
        while (cache->places[i] != NULL) {
            struct entry *entry = cache->places[i];
            cache->places[i] = entry->next;
            ruleset_free(entry->ruleset);
            if (entry->path != NULL) {
                tocsin__orchestration_path__free_unpacked(entry->path, NULL);
            }
            free(entry);
        }
    }
    cache->count = 0;
}

void rule_cache_free(struct rule_cache *cache)
{
    if (cache != NULL) {
        empty(cache);
        free(cache);
    }
}

static struct entry *entry_new(const struct machine_store *view, uint64_t owner_id, Tocsin__PathKind kind)
{
    char sentence[SENTENCE_SIZE_BYTES];
    struct entry *entry = allocate(sizeof *entry);
    entry->owner_id = owner_id;
    entry->kind = kind;
    entry->path = orchestration_path_get(view, owner_id, kind, NULL);
    if (entry->path != NULL && !entry->path->inactive) {
        entry->ruleset = ruleset_new(entry->path, false, sentence);
    }
    return entry;
}

void rule_cache_begin(struct rule_cache *cache, uint64_t revision)
{
    if (cache->rules_revision != revision || cache->count >= RULE_CACHE_ENTRIES_MAX) {
        empty(cache);
        cache->rules_revision = revision;
    }
}

const struct ruleset *rule_cache_get(struct rule_cache *cache, const struct machine_store *view, uint64_t owner_id,
                                     Tocsin__PathKind kind)
{
    struct entry **place = &cache->places[owner_id * 4 % PLACES + kind];
    for (struct entry *entry = *place; entry != NULL; entry = entry->next) {
        if (entry->owner_id == owner_id && entry->kind == kind) {
            return entry->ruleset;
        }
    }
    struct entry *entry = entry_new(view, owner_id, kind);
    entry->next = *place;
    *place = entry;
    cache->count++;
    return entry->ruleset;
}

uint64_t rules_revision(const struct machine_store *view)
{
    Tocsin__Counters *counters = counters_get(view, NULL);
    uint64_t revision = counters != NULL ? counters->rules_revision : 0;
    if (counters != NULL) {
        tocsin__counters__free_unpacked(counters, NULL);
    }
    return revision;
}
