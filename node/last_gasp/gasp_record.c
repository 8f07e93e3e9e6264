/*
 * What was sent and heard without a majority: kept beside the state, told to the peers that are heard, and reported when the cluster heals.
 *
 *     <data_dir>/last-gasp    CRC-32C of the rest (8 hexadecimal digits and a newline), a packed LastGaspReport
 *
 * Each node reports its own items; what peers told only keeps it from telling somebody twice.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/crc32c.h"
#include "consensus/machine/limits.h"
#include "node/last_gasp/last_gasp_internal.h"
#include "node/log.h"

#define CHECKSUM_SIZE_BYTES 9u
/* Of one report, in one command: with room for what is around the items. */
#define REPORT_SIZE_BYTES_MAX (LIMIT_COMMAND_SIZE_BYTES - 4096u)
#define REPORT_PATIENCE_MS 10000u

/* ---- items in memory */

static void append(Tocsin__GaspItem ***items, size_t *count, size_t *capacity, Tocsin__GaspItem *item) {
    if (*count == *capacity) {
        *capacity = *capacity != 0 ? *capacity * 2 : 32;
        *items = realloc(*items, *capacity * sizeof **items);
        if (*items == NULL) abort();
    }
    (*items)[(*count)++] = item;
}

static void release(Tocsin__GaspItem **items, size_t count) {
    for (size_t i = 0; i < count; i++) tocsin__gasp_item__free_unpacked(items[i], NULL);
}

bool gasp_record_add(struct last_gasp *gasp, const Tocsin__GaspItem *item) {
    bool answers = item->body_case == TOCSIN__GASP_ITEM__BODY_ANSWER;
    if (gasp->items_count >= LAST_GASP_ITEMS_MAX - (answers ? 0 : LAST_GASP_ANSWERS_RESERVED)) {
        log_error("last gasp: the record is full, what happens now is not kept");
        return false;
    }
    size_t size_bytes = tocsin__gasp_item__get_packed_size(item);
    uint8_t *packed = malloc(size_bytes + 1);
    if (packed == NULL) abort();
    tocsin__gasp_item__pack(item, packed);
    Tocsin__GaspItem *copy = tocsin__gasp_item__unpack(NULL, size_bytes, packed);
    if (copy == NULL) abort();
    append(&gasp->items, &gasp->items_count, &gasp->items_capacity, copy);
    gasp->unkept = true;
    gasp->ports.tell(gasp->ports.context, (struct span){packed, size_bytes});
    free(packed);
    return true;
}

void gasp_record_heard(struct last_gasp *gasp, Tocsin__GaspItem *item) {
    if (gasp->others_count < LAST_GASP_ITEMS_MAX)
        append(&gasp->others, &gasp->others_count, &gasp->others_capacity, item);
    else
        tocsin__gasp_item__free_unpacked(item, NULL);
}

void gasp_record_forget_others(struct last_gasp *gasp) {
    release(gasp->others, gasp->others_count);
    gasp->others_count = 0;
}

static bool item_answers(const Tocsin__GaspItem *item, uint64_t incident_id) {
    return item->body_case == TOCSIN__GASP_ITEM__BODY_ANSWER && item->answer->incident_id == incident_id;
}

bool gasp_record_has_answer(const struct last_gasp *gasp, uint64_t incident_id, bool resolves) {
    for (size_t i = 0; i < gasp->items_count; i++)
        if (item_answers(gasp->items[i], incident_id) && gasp->items[i]->answer->resolves >= resolves) return true;
    return false;
}

bool gasp_record_is_answered(const struct last_gasp *gasp, uint64_t incident_id) {
    if (incident_id == 0) return false;
    for (size_t i = 0; i < gasp->items_count; i++)
        if (item_answers(gasp->items[i], incident_id)) return true;
    for (size_t i = 0; i < gasp->others_count; i++)
        if (item_answers(gasp->others[i], incident_id)) return true;
    return false;
}

static bool is_of(const Tocsin__GaspItem *item, const Tocsin__Notification *notification, uint64_t trigger) {
    if (item->body_case != TOCSIN__GASP_ITEM__BODY_PAGE) return false;
    const Tocsin__GaspPage *page = item->page;
    return page->incident_id == notification->incident_id && page->trigger == trigger && page->user_id == notification->user_id && page->channel == notification->channel &&
           strcmp(page->address, notification->address) == 0;
}

/* Whatever else came of it, the person knows nothing yet. */
static bool item_told(const Tocsin__GaspItem *item, const Tocsin__Notification *notification, uint64_t trigger) {
    return is_of(item, notification, trigger) && (item->page->outcome == TOCSIN__OUTCOME__OUTCOME_SENT || item->page->outcome == TOCSIN__OUTCOME__OUTCOME_UNKNOWN);
}

bool gasp_record_was_told(const struct last_gasp *gasp, const Tocsin__Notification *notification, uint64_t trigger) {
    for (size_t i = 0; i < gasp->items_count; i++)
        if (item_told(gasp->items[i], notification, trigger)) return true;
    for (size_t i = 0; i < gasp->others_count; i++)
        if (item_told(gasp->others[i], notification, trigger)) return true;
    return false;
}

bool gasp_record_has_failure(const struct last_gasp *gasp, const Tocsin__Notification *notification, uint64_t trigger, Tocsin__Outcome outcome) {
    for (size_t i = 0; i < gasp->items_count; i++)
        if (is_of(gasp->items[i], notification, trigger) && gasp->items[i]->page->outcome == (uint32_t)outcome) return true;
    return false;
}

/* ---- on disk */

void gasp_record_open(struct last_gasp *gasp, struct span record) {
    if (record.size_bytes == 0) return;
    char checksum[CHECKSUM_SIZE_BYTES + 1];
    const uint8_t *packed = (const uint8_t *)record.data + CHECKSUM_SIZE_BYTES;
    size_t size_bytes = record.size_bytes > CHECKSUM_SIZE_BYTES ? record.size_bytes - CHECKSUM_SIZE_BYTES : 0;
    snprintf(checksum, sizeof checksum, "%08" PRIx32 "\n", crc32c(0, packed, size_bytes));
    bool whole = size_bytes > 0 && memcmp(checksum, record.data, CHECKSUM_SIZE_BYTES) == 0;
    Tocsin__LastGaspReport *report = whole ? tocsin__last_gasp_report__unpack(NULL, size_bytes, packed) : NULL;
    if (report == NULL) {
        log_error("last gasp: the record of what was sent and heard is damaged, it is not brought into the cluster");
        return;
    }
    for (size_t i = 0; i < report->n_items; i++) append(&gasp->items, &gasp->items_count, &gasp->items_capacity, report->items[i]);
    report->n_items = 0; /* they are the record's now */
    free(report->items);
    report->items = NULL;
    tocsin__last_gasp_report__free_unpacked(report, NULL);
}

bool gasp_record_flush(struct last_gasp *gasp) {
    if (!gasp->unkept) return true;
    Tocsin__LastGaspReport report = TOCSIN__LAST_GASP_REPORT__INIT;
    report.node = gasp->id;
    report.n_items = gasp->items_count;
    report.items = gasp->items;
    size_t size_bytes = gasp->items_count > 0 ? tocsin__last_gasp_report__get_packed_size(&report) : 0;
    uint8_t *record = malloc(CHECKSUM_SIZE_BYTES + size_bytes + 1);
    if (record == NULL) abort();
    tocsin__last_gasp_report__pack(&report, record + CHECKSUM_SIZE_BYTES);
    char checksum[CHECKSUM_SIZE_BYTES + 1];
    snprintf(checksum, sizeof checksum, "%08" PRIx32 "\n", crc32c(0, record + CHECKSUM_SIZE_BYTES, size_bytes));
    memcpy(record, checksum, CHECKSUM_SIZE_BYTES);
    struct span kept = {record, gasp->items_count > 0 ? CHECKSUM_SIZE_BYTES + size_bytes : 0};
    gasp->unkept = !gasp->ports.keep(gasp->ports.context, kept);
    free(record);
    return !gasp->unkept;
}

void gasp_record_close(struct last_gasp *gasp) {
    release(gasp->items, gasp->items_count);
    release(gasp->others, gasp->others_count);
    free(gasp->items);
    free(gasp->others);
}

/* ---- into the cluster */

/* As many of the first items as fit. */
static size_t reportable(const struct last_gasp *gasp) {
    size_t count = 0, size_bytes = 0;
    while (count < gasp->items_count) {
        size_bytes += tocsin__gasp_item__get_packed_size(gasp->items[count]) + 8;
        if (size_bytes > REPORT_SIZE_BYTES_MAX) break;
        count++;
    }
    return count;
}

void gasp_record_report(struct last_gasp *gasp, uint64_t now_ms) {
    if (gasp->items_count == 0 || gasp->reporting != 0) return;
    if (gasp->report_ms != 0 && now_ms - gasp->report_ms < REPORT_PATIENCE_MS) return;
    gasp->report_ms = now_ms;
    gasp->reporting = reportable(gasp);
    assert(gasp->reporting > 0); /* every field of an item is bounded */
    Tocsin__LastGaspReport report = TOCSIN__LAST_GASP_REPORT__INIT;
    report.node = gasp->id;
    report.n_items = gasp->reporting;
    report.items = gasp->items;
    /* The same items under the same key: what is reported twice happens once. */
    char key[96];
    snprintf(key, sizeof key, "last-gasp/%" PRIu64 "/%" PRIu64 "/%zu", gasp->id, gasp->items[0]->at_ms, gasp->reporting);
    gasp->ports.report(gasp->ports.context, &report, key);
}

void last_gasp_reported(struct last_gasp *gasp, bool applied) {
    size_t count = gasp->reporting;
    gasp->reporting = 0;
    if (!applied) return;
    gasp->report_ms = 0;
    log_info("last gasp: %zu things that were sent and heard without a majority are in the cluster's state now", count);
    release(gasp->items, count);
    memmove(gasp->items, gasp->items + count, (gasp->items_count - count) * sizeof *gasp->items);
    gasp->items_count -= count;
    gasp->unkept = true;
}
