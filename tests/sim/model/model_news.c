/*
 * News that belong to no incident: a shift begins, or ends, or changes hands; a maintenance window is about to end. Whether and when
 * somebody is to hear of it the model leaves to the machine. It asks that the news be true by what was asked for when it
 * is first handed over, that it go to a way of the person, and that each request have a grant of its own.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/model/model_internal.h"

static struct news *news_find(const struct model *model, uint64_t id)
{
    for (size_t i = 0; i < model->news.count; i++) {
        if (model->news.items[i].id == id) {
            return &model->news.items[i];
        }
    }
    return NULL;
}

bool model_news_has(const struct model *model, uint64_t id)
{
    return news_find(model, id) != NULL;
}

static bool is_true(const struct model *model, const Tocsin__Notification *notification)
{
    const Tocsin__Notice *notice = notification->notice;
    if (notice->kind == TOCSIN__NOTICE_KIND__NOTICE_MAINTENANCE_ENDS) {
        return model_window_end_is_told(model, notice->end_ms);
    }
    if (notice->kind == TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED || notice->kind == TOCSIN__NOTICE_KIND__NOTICE_SWAP_TAKEN ||
        notice->kind == TOCSIN__NOTICE_KIND__NOTICE_SWAP_UNDONE) {
        return model_swap_is_told(model, notice, notification->user_id);
    }
    bool begins = notice->kind == TOCSIN__NOTICE_KIND__NOTICE_SHIFT_BEGINS;
    if (!begins && notice->kind != TOCSIN__NOTICE_KIND__NOTICE_SHIFT_ENDS) {
        return true; /* what was said before is taken back */
    }
    return model_schedule_changes_hands(model, notice->schedule_id, notification->user_id,
                                        begins ? notice->start_ms : notice->end_ms, begins);
}

void model_news_handed_over(struct model *model, const Tocsin__Notification *notification)
{
    struct news *news = news_find(model, notification->id);
    if (news == NULL) {
        if (notification->notice == NULL ||
            !model_way_leads_to(model, notification->user_id, notification->contact_method_id, notification->address)) {
            model_broken(model, "entry %" PRIu64 ": %s (%s) is to hear what belongs to no incident, and is not to be told so",
                         model->index, notification->user_name, notification->address);
            return;
        }
        if (notification->why != TOCSIN__WHY__WHY_CHANNEL_FAILED && !is_true(model, notification)) {
            model_broken(model, "entry %" PRIu64 ": %s is to hear of a shift or a swap in schedule %" PRIu64 " or of a window (%s %" PRIu64 ") that is not",
                         model->index, notification->user_name, notification->notice->schedule_id,
                         notification->notice->start_ms != 0 ? "from" : "until",
                         notification->notice->start_ms != 0 ? notification->notice->start_ms : notification->notice->end_ms);
        }
        news = list_add(&model->news);
        news->id = notification->id;
        model->counts.news++;
    }
    news->grants++;
}

bool model_news_request(struct model *model, const struct model_request *request)
{
    struct news *news = news_find(model, request->page_id);
    if (news == NULL) {
        return false;
    }
    if (++news->requests > news->grants) {
        model_broken(model, "node %" PRIu64 " sends news %" PRIu64 " to %s for the %u. time, and had leave for %u", request->node,
                     news->id, request->to, news->requests, news->grants);
    }
    return true;
}
