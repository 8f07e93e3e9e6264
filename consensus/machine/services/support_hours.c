/* Support hours of services: kept, looked up, extended. */
#include "consensus/machine/services/support_hours.h"

#include "consensus/machine/checks.h"
#include "consensus/machine/schedules/shift_rows.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define SECONDS_PER_DAY (24u * 3600)

/* ---------------------------------------------------------------- looking up */

static struct span rows_of(const struct machine_store *store, uint64_t service_id)
{
    struct key key = key_1(service_id);
    struct span rows;
    bool found = store->get(store->context, TABLE_SUPPORT_HOURS, key_span(&key), &rows);
    return found ? rows : (struct span){.data = "", .size_bytes = 0};
}

bool support_hours_at(const struct machine_store *store, uint64_t service_id, uint64_t at_ms)
{
    struct span rows = rows_of(store, service_id);
    size_t begun = shift_rows_until(rows, at_ms);
    return begun == 0 || begun == shift_rows_count(rows) || shift_rows_at(rows, begun - 1).user_id != 0;
}

uint64_t support_hours_edge(const struct machine_store *store, uint64_t service_id, uint64_t after_ms, bool begins)
{
    struct span rows = rows_of(store, service_id);
    size_t count = shift_rows_count(rows), begun = shift_rows_until(rows, after_ms);
    for (size_t i = begun > 0 ? begun : 1; i + 1 < count; i++) {
        if ((shift_rows_at(rows, i).user_id != 0) == begins) {
            return shift_rows_at(rows, i).from_ms;
        }
    }
    return 0;
}

uint64_t support_hours_known_until(const struct machine_store *store, uint64_t service_id)
{
    struct span rows = rows_of(store, service_id);
    size_t count = shift_rows_count(rows);
    return count > 0 ? shift_rows_at(rows, count - 1).from_ms : 0;
}

/* ---------------------------------------------------------------- checks */

static bool urgency_is_whole(Tocsin__Urgency urgency)
{
    return urgency == TOCSIN__URGENCY__URGENCY_HIGH || urgency == TOCSIN__URGENCY__URGENCY_LOW ||
           urgency == TOCSIN__URGENCY__URGENCY_SEVERITY_BASED;
}

static bool check_days(struct apply *apply, Tocsin__Reply *reply, const Tocsin__SupportHours *hours)
{
    unsigned seen = 0;
    bool good = hours->n_days_of_week > 0;
    for (size_t i = 0; good && i < hours->n_days_of_week; i++) {
        uint32_t day = hours->days_of_week[i];
        good = day >= 1 && day <= 7 && (seen >> day & 1) == 0;
        seen |= good ? 1u << day : 0;
    }
    if (!good) {
        reply_refuse(apply, reply, INVALID, "The days of support hours must be numbers from 1 to 7, each once.");
    }
    return good;
}

static bool check_hours(struct apply *apply, Tocsin__Reply *reply, const Tocsin__SupportHours *hours)
{
    if (hours->start_second >= SECONDS_PER_DAY || hours->end_second > SECONDS_PER_DAY) {
        reply_refuse(apply, reply, INVALID, "Support hours must begin and end at times of the day.");
        return false;
    }
    return check_line(apply, reply, "The time zone", hours->time_zone, 1, LIMIT_NAME_CHARACTERS) &&
           check_days(apply, reply, hours);
}

/* Rows in order, which hold now and for some time to come. */
static bool check_rows(struct apply *apply, Tocsin__Reply *reply, struct span rows)
{
    size_t count = shift_rows_count(rows);
    bool good = shift_rows_valid(rows) && count <= LIMIT_SUPPORT_ROWS;
    for (size_t i = 0; good && i < count; i++) {
        good = shift_rows_at(rows, i).user_id <= 1 &&
               (i == 0 || i + 1 == count || shift_rows_at(rows, i).user_id != shift_rows_at(rows, i - 1).user_id);
    }
    if (!good) {
        reply_refuse(apply, reply, INVALID, "The spans are not those of support hours.");
        return false;
    }
    if (shift_rows_at(rows, 0).from_ms > apply->time_ms ||
        shift_rows_at(rows, count - 1).from_ms < apply->time_ms + SUPPORT_HORIZON_LEAST_MS) {
        reply_refuse(apply, reply, INVALID,
                     "The support hours are not those of the cluster's present time: are the clocks right?");
        return false;
    }
    return true;
}

static bool are_given(const Tocsin__ServicePut *put)
{
    return put->id == 0 ? put->service->support_hours != NULL
                        : field_given(put->fields, put->service->base.descriptor, "support_hours");
}

bool support_hours_check(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Service *service,
                         const Tocsin__ServicePut *put)
{
    const Tocsin__SupportHours *hours = service->support_hours;
    if (service->urgency_by_support_hours &&
        (!urgency_is_whole(service->urgency_during) || !urgency_is_whole(service->urgency_outside))) {
        reply_refuse(apply, reply, INVALID, "Urgency by support hours needs one during and one outside of them.");
        return false;
    }
    if (hours == NULL && (service->urgency_by_support_hours || service->n_urgency_changes > 0)) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_NO_SUPPORT_HOURS,
                     "The service has no support hours, and its urgency depends on them.");
        return false;
    }
    if (service->n_urgency_changes > 0 && !check_room(apply, reply, "scheduled actions", service->n_urgency_changes - 1,
                                                      LIMIT_URGENCY_CHANGES_PER_SERVICE)) {
        return false;
    }
    if (hours == NULL || !are_given(put)) {
        return true;
    }
    struct span rows = {.data = put->support_spans.data, .size_bytes = put->support_spans.len};
    return check_hours(apply, reply, hours) && check_rows(apply, reply, rows);
}

/* ---------------------------------------------------------------- storing */

static void deadline_put(struct apply *apply, enum deadline_kind kind, uint64_t service_id, uint64_t due_ms)
{
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    row.generation = apply->counters->next_id;
    record_put(apply->store, TABLE_DEADLINE, key_deadline(due_ms, kind, service_id, 0), &row.base);
}

void urgency_change_file(struct apply *apply, Tocsin__Service *service)
{
    uint64_t due_ms = 0;
    for (size_t i = 0; i < service->n_urgency_changes; i++) {
        uint64_t edge_ms =
            support_hours_edge(apply->store, service->id, apply->time_ms, !service->urgency_changes[i]->at_end);
        due_ms = edge_ms != 0 && (due_ms == 0 || edge_ms < due_ms) ? edge_ms : due_ms;
    }
    if (due_ms == service->urgency_change_due_ms) {
        return;
    }
    if (service->urgency_change_due_ms != 0) {
        row_delete(apply, TABLE_DEADLINE,
                   key_deadline(service->urgency_change_due_ms, DEADLINE_URGENCY_CHANGE, service->id, 0));
    }
    if (due_ms != 0) {
        deadline_put(apply, DEADLINE_URGENCY_CHANGE, service->id, due_ms);
    }
    service->urgency_change_due_ms = due_ms;
}

static void rows_put(struct apply *apply, Tocsin__Service *service, struct span rows)
{
    struct key key = key_1(service->id);
    apply->store->put(apply->store->context, TABLE_SUPPORT_HOURS, key_span(&key), rows);
    service->support_rendered_at_ms = apply->time_ms;
}

void support_hours_put(struct apply *apply, Tocsin__Service *service, const Tocsin__ServicePut *put)
{
    if (are_given(put) && service->support_hours != NULL) {
        rows_put(apply, service, (struct span){.data = put->support_spans.data, .size_bytes = put->support_spans.len});
    } else if (are_given(put)) {
        row_delete(apply, TABLE_SUPPORT_HOURS, key_1(service->id));
        service->support_rendered_at_ms = 0;
    }
    urgency_change_file(apply, service);
    if (are_given(put) && service->open_incidents > 0) {
        deadline_put(apply, DEADLINE_SUPPORT_HOURS, service->id, apply->time_ms);
    }
}

void support_hours_delete(struct apply *apply, const Tocsin__Service *service)
{
    row_delete(apply, TABLE_SUPPORT_HOURS, key_1(service->id));
    if (service->urgency_change_due_ms != 0) {
        row_delete(apply, TABLE_DEADLINE,
                   key_deadline(service->urgency_change_due_ms, DEADLINE_URGENCY_CHANGE, service->id, 0));
    }
}

void apply_support_hours_extend(struct apply *apply, const Tocsin__SupportHoursExtend *extend, Tocsin__Reply *reply)
{
    Tocsin__Service *service = service_get(apply->store, extend->service_id, apply->arena);
    if (service == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_SERVICE, "service", extend->service_id);
        return;
    }
    if (service->support_hours == NULL || service->support_rendered_at_ms != extend->base_rendered_at_ms) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_CONFLICT, TOCSIN__REASON__REASON_STALE_REVISION,
                     "The support hours have been changed or rendered since.");
        return;
    }
    struct span rows = {.data = extend->spans.data, .size_bytes = extend->spans.len};
    if (!check_rows(apply, reply, rows)) {
        return;
    }
    rows_put(apply, service, rows);
    urgency_change_file(apply, service);
    service_put(apply->store, service);
    reply_id(apply, reply, service->id);
}
