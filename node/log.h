/*
 * What the node says about itself: one line on standard error for each message, with its time and level. Never secrets,
 * and of what came from outside only what was bounded before.
 *
 *     2026-11-21T03:46:00.123Z warning node 2 is unreachable
 */
#ifndef NODE_LOG_H
#define NODE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Messages above the level are dropped. Set once, before there are threads; LOG_LEVEL_INFO until then. */
void log_level_set(enum log_level level);
/* "error", "warning", "info" or "debug"; false for another name. */
bool log_level_parse(const char *name, enum log_level *level);

/* Instead of standard error: a line with its newline, not ended by NUL. Set once, before there are threads. */
void log_to(void (*writer)(const char *line, size_t length));

/* From any thread. A message is cut at a bound; control characters in it become spaces, so that one message is one
 * line. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
