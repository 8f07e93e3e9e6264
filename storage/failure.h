/* How storage/ fills in a failure: the error's kind from errno or LMDB's code, and one sentence with the path. */
#ifndef STORAGE_FAILURE_H
#define STORAGE_FAILURE_H

#include "storage/storage_error.h"

/* Fills *failure and returns `error`. */
enum storage_error storage_fail(struct storage_failure *failure, enum storage_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* `code` is an errno value or one of LMDB's negative codes; the sentence is "<path>: cannot <action>: <cause>". */
enum storage_error storage_fail_code(struct storage_failure *failure, int code, const char *path, const char *action);

#endif
