/* The node's log: see log.h. */
#include "node/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_SIZE_BYTES 2048

enum level { LEVEL_ERROR, LEVEL_WARNING, LEVEL_INFO, LEVEL_DEBUG, LEVEL_COUNT };

static const char *const level_names[LEVEL_COUNT] = {"error", "warning", "info", "debug"};
static enum level threshold = LEVEL_INFO;

bool log_set_level(const char *level) {
    if (level == NULL) return true;
    for (unsigned i = 0; i < LEVEL_COUNT; i++) {
        if (strcmp(level, level_names[i]) != 0) continue;
        threshold = (enum level)i;
        return true;
    }
    return false;
}

static void write_line(enum level level, const char *format, va_list arguments) {
    if (level > threshold) return;
    char text[LINE_SIZE_BYTES];
    vsnprintf(text, sizeof text, format, arguments);
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = ' '; /* one event, one line, whatever a peer or provider said */
    struct timespec now;
    struct tm parts;
    char when[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &parts);
    fprintf(stderr, "%s.%03ldZ %s %s\n", when, now.tv_nsec / 1000000, level_names[level], text);
}

#define DEFINE(name, level)                   \
    void name(const char *format, ...) {      \
        va_list arguments;                    \
        va_start(arguments, format);          \
        write_line(level, format, arguments); \
        va_end(arguments);                    \
    }

DEFINE(log_error, LEVEL_ERROR)
DEFINE(log_warning, LEVEL_WARNING)
DEFINE(log_info, LEVEL_INFO)
DEFINE(log_debug, LEVEL_DEBUG)
