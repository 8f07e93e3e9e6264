/* The node's log: one line each on standard error, with the wall time and a level. Never a secret, never a format from outside. */
#ifndef NODE_LOG_H
#define NODE_LOG_H

#include <stdbool.h>

/* error, warning, info or debug; NULL means info. False for another word. */
bool log_set_level(const char *level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
