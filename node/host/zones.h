/* Zone files of the system, as Debian's tzdata installs them. */
#ifndef NODE_HOST_ZONES_H
#define NODE_HOST_ZONES_H

#include "consensus/machine/oncall/zone.h"

/* The zone of that name, to be freed by the caller; NULL when the system has none, or its file is no zone. */
struct zone *zones_load(const char *name);

/* Of all zones of the system, so that nodes know whether they have the same; 0 when it cannot be read. */
uint64_t zones_hash(void);

#endif
