/* One line a message, written by one call, so that lines of threads do not mix. */
#include "node/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE_BYTES_MAX 1024

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

static enum log_level level_max = LOG_LEVEL_INFO;

static void to_standard_error(const char *line, size_t length)
{
    if (write(STDERR_FILENO, line, length) < 0) {
        return; /* nowhere is left to say it */
    }
}

static void (*line_writer)(const char *line, size_t length) = to_standard_error;

void log_to(void (*writer)(const char *line, size_t length))
{
    line_writer = writer;
}

void log_level_set(enum log_level level)
{
    level_max = level;
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (unsigned i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(level_names[i], name) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static size_t write_prefix(char *line, size_t size, enum log_level level)
{
    struct timespec now;
    struct tm parts;
    char seconds[32] = "";

    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &parts) != NULL) {
        strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    }
    int length = snprintf(line, size, "%s.%03ldZ %s ", seconds, now.tv_nsec / 1000000, level_names[level]);
    return length > 0 ? (size_t)length : 0;
}

static __attribute__((format(printf, 2, 0))) void log_line(enum log_level level, const char *format, va_list arguments)
{
    char line[LINE_SIZE_BYTES_MAX];

    if (level > level_max) {
        return;
    }
    size_t length = write_prefix(line, sizeof line, level);
    size_t room = sizeof line - length - 1; /* the last byte is for the newline */
    int written = vsnprintf(line + length, room, format, arguments);
    if (written > 0) {
        length += (size_t)written < room ? (size_t)written : room - 1;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = ' ';
        }
    }
    line[length++] = '\n';
    line_writer(line, length);
}

#define LOG_FUNCTION(name, level)                                                                                     \
    void name(const char *format, ...)                                                                                \
    {                                                                                                                 \
        va_list arguments;                                                                                            \
        va_start(arguments, format);                                                                                  \
        log_line(level, format, arguments);                                                                           \
        va_end(arguments);                                                                                            \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
