// What servers in C begin with: a listening socket on loopback, and which port that is. Each names itself in errors.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { backlog = 4096 };

extern const char *const serverName; // of the program's

// Says what failed, with errno, and ends the program.
void fail(const char *what);
// On 127.0.0.1; what is accepted has TCP_NODELAY. Shared: others may listen on the same port.
int listen_on(uint16_t port, bool isShared);
uint16_t port_of(int listener);
// Exits with 2 if it is none.
unsigned long number_from(const char *text, unsigned long least, unsigned long most);
