#ifndef NODE_VERSION_H
#define NODE_VERSION_H

#define TOCSIN_VERSION "0.1.0"

#endif
