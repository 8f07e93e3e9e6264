/* What the command line asks the node on this machine for, over its control socket (node/host/control.h): no HTTP, no token, no majority. */
#ifndef NODE_CLI_DOCTOR_H
#define NODE_CLI_DOCTOR_H

#define CONTROL_SOCKET_STANDARD "/var/lib/tocsin/control"

/* Prints the node's report. 0: done; 1: refused; 3: nobody answers there. */
int doctor_run(const char *socket_path);
/* Pages a guardian of the node's configuration, or "all", and prints what became of it. 0: at least one provider took it. */
int doctor_page(const char *socket_path, const char *who, const char *text);
/* Prints an administrator's token for a day: the way back for those who have lost every other one. Needs a majority. */
int doctor_token(const char *socket_path);

#endif
