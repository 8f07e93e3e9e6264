/* What an entry of the log holds, in a sentence for whoever reads a traced seed. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/sim/world/sim_internal.h"

#define SENTENCE_SIZE 400u

struct sentence {
    char text[SENTENCE_SIZE];
    size_t length;
};

static __attribute__((format(printf, 2, 3))) void say(struct sentence *sentence, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(sentence->text + sentence->length, sizeof sentence->text - sentence->length, format, arguments);
    va_end(arguments);
    if (length > 0) sentence->length += (size_t)length;
    if (sentence->length >= sizeof sentence->text) sentence->length = sizeof sentence->text - 1;
}

static const char *name_of(const Tocsin__Command *command) {
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(&tocsin__command__descriptor, (unsigned)command->body_case);
    return field != NULL ? field->name : "nothing";
}

static void say_command(struct sentence *sentence, const Tocsin__Command *command) {
    say(sentence, "%s%s", sentence->length > 0 ? "; " : "", name_of(command));
    switch (command->body_case) {
    case TOCSIN__COMMAND__BODY_CLAIM:
        for (size_t i = 0; i < command->claim->n_notification_ids; i++) say(sentence, " %" PRIu64, command->claim->notification_ids[i]);
        return;
    case TOCSIN__COMMAND__BODY_RECEIPT:
        say(sentence, " %" PRIu64 " attempt %u: %s", command->receipt->notification_id, command->receipt->attempt,
            protobuf_c_enum_descriptor_get_value(&tocsin__outcome__descriptor, (int)command->receipt->outcome)->name);
        return;
    case TOCSIN__COMMAND__BODY_EVENT:
        say(sentence, " %s", command->event->dedup_key);
        return;
    default:
        if (command->origin != NULL) say(sentence, " of node %" PRIu64, command->origin->node);
    }
}

void story_of_entry(struct sim *sim, uint64_t index, uint64_t term, struct span data, const struct machine_output *output) {
    if (!sim->traced) return;
    struct sentence sentence = {.text = "", .length = 0};
    Tocsin__Entry *entry = tocsin__entry__unpack(NULL, data.size_bytes, data.data);
    if (entry == NULL) return;
    for (size_t i = 0; i < entry->n_commands; i++) {
        Tocsin__Command *command = tocsin__command__unpack(NULL, entry->commands[i].len, entry->commands[i].data);
        if (command == NULL) continue;
        say_command(&sentence, command);
        tocsin__command__free_unpacked(command, NULL);
    }
    for (size_t i = 0; i < output->sends_count; i++) {
        Tocsin__Notification *send = tocsin__notification__unpack(NULL, output->sends[i].packed.size_bytes, output->sends[i].packed.data);
        if (send == NULL) continue;
        say(&sentence, "; node %" PRIu64 " is to send %" PRIu64 " to %s, attempt %u", output->sends[i].claim_node, send->id, send->address,
            send->attempt);
        tocsin__notification__free_unpacked(send, NULL);
    }
    sim_tell(sim, "entry %" PRIu64 " of term %" PRIu64 ", proposed by node %" PRIu64 ": %s", index, term, entry->proposer, sentence.text);
    tocsin__entry__free_unpacked(entry, NULL);
}
