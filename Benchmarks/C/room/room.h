// The members of a chat room: what they say, and what each of them must hear.
//
// Theory of operation. A few members speak at a time, a message each. When all the others have a message,
// the next member speaks in its place: of `inFlight` places, the one numbered p belongs to the members p, p
// + inFlight, p + 2 * inFlight and so on, so those who speak at once are always different ones. A message
// carries its speaker's number and how many that has sent, and is kept until everybody has it: what arrives
// is compared with it byte by byte. Each member counts what it has heard from each other, so a message that
// is lost, repeated or overtaken by its speaker's next is an error, and so is one that comes back to its
// speaker. After the first error no message goes out any more: without it the loop could not close anyway.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "dial.h"

enum { membersMax = 256, messageBytes = 64, roomBufferBytes = 64 * 1024 };

struct message {
    uint32_t speaker, complement; // complement: of the speaker's number
    uint64_t sequence; // the speaker's own, from 1
    uint64_t filling[6]; // follows from the two
};
_Static_assert(sizeof(struct message) == messageBytes, "no padding");

struct member {
    int descriptor; // -1 when closed
    uint32_t partialBytes;
    uint8_t partial[messageBytes]; // the beginning of a message whose end has not arrived
    uint64_t sent; // messages
    uint64_t heard[membersMax]; // messages, by speaker
};

struct place {
    struct message message; // the one in flight, or the last
    uint32_t speaker, missingCount; // missingCount: members who do not have it yet
};

struct room {
    int epoll;
    bool speaking, leaving;
    uint32_t memberCount, openCount, inFlight, openPlaces; // openPlaces: with a message in flight
    struct member members[membersMax];
    struct place places[membersMax];
    uint64_t messages, deliveries, reads; // messages: sent; reads: that brought bytes
    uint64_t errorCount;
    char firstError[160];
    uint8_t arrived[messageBytes + roomBufferBytes];
};

// Ends the program when it cannot. `inFlight` is at most the number of members that will join.
void room_init(struct room *room, uint32_t inFlight);
// Joins one member after the other; each must be welcomed as the one it is, so the room must be empty before.
// False, and counted, when one was not.
bool room_join(struct room *room, struct dialler *server, uint32_t count);
// Speaks until the deadline or the first error.
void room_run(struct room *room, uint64_t deadline);
// Waits until everybody has all that was said; then all leave, and the server must close every connection.
// What is left at the deadline is counted as errors.
void room_finish(struct room *room, uint64_t deadline);
