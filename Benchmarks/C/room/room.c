#include "room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

static uint32_t index_of(const struct room *room, const struct member *member) {
    return (uint32_t)(member - room->members);
}

static void note(struct room *room, const struct member *member, const char *what, int error) {
    room->errorCount += 1;
    if (room->firstError[0] != '\0') return;
    snprintf(room->firstError, sizeof room->firstError, "member %u: %s%s%s", index_of(room, member), what,
             error == 0 ? "" : ": ", error == 0 ? "" : strerror(error));
}

static void close_member(struct room *room, struct member *member) {
    close(member->descriptor);
    member->descriptor = -1;
    room->openCount -= 1;
}

static void fail(struct room *room, struct member *member, const char *what, int error) {
    note(room, member, what, error);
    close_member(room, member);
}

// MARK: joining

void room_init(struct room *room, uint32_t inFlight) {
    memset(room, 0, sizeof *room);
    room->inFlight = inFlight;
    room->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (room->epoll >= 0) return;
    fprintf(stderr, "room: epoll_create1: %s\n", strerror(errno));
    exit(2);
}

// Nobody has spoken yet, so the welcome is all there is to read. The socket still blocks, for 20 s at most.
static bool is_welcomed(struct room *room, struct member *member) {
    char expected[64], text[64];
    size_t length =
        (size_t)snprintf(expected, sizeof expected, "welcome, there are %u of you\r\n", room->memberCount);
    ssize_t count = recv(member->descriptor, text, length, MSG_WAITALL);
    if (count < 0) note(room, member, "no welcome", errno);
    else if ((size_t)count < length) note(room, member, "closed by the server before the welcome", 0);
    else if (memcmp(text, expected, length) != 0) note(room, member, "another welcome than expected", 0);
    return room->errorCount == 0;
}

static bool watch(struct room *room, struct member *member) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index_of(room, member)};
    if (fcntl(member->descriptor, F_SETFL, O_NONBLOCK) == 0 &&
        epoll_ctl(room->epoll, EPOLL_CTL_ADD, member->descriptor, &event) == 0)
        return true;
    note(room, member, "epoll_ctl", errno);
    return false;
}

bool room_join(struct room *room, struct dialler *server, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct member *member = &room->members[room->memberCount];
        member->descriptor = dial(server);
        if (member->descriptor < 0) {
            note(room, member, "connect", errno);
            return false;
        }
        room->memberCount += 1;
        room->openCount += 1;
        if (!is_welcomed(room, member) || !watch(room, member)) return false;
    }
    for (uint32_t i = 0; i < room->inFlight; i++) room->places[i].speaker = i;
    return true;
}

// MARK: speaking

static struct message message_of(uint32_t speaker, uint64_t sequence) {
    struct message message = {.speaker = speaker, .complement = ~speaker, .sequence = sequence};
    uint64_t word = sequence << 8 | speaker;
    for (size_t i = 0; i < sizeof message.filling / sizeof message.filling[0]; i++)
        message.filling[i] = word = word * 6364136223846793005 + 1442695040888963407;
    return message;
}

// All that this member sent before has been read by the server, since the others have it: 64 bytes fit.
static void speak(struct room *room, struct place *place) {
    struct member *speaker = &room->members[place->speaker];
    speaker->sent += 1;
    place->message = message_of(place->speaker, speaker->sent);
    place->missingCount = room->memberCount - 1;
    room->openPlaces += 1;
    room->messages += 1;
    ssize_t count = send(speaker->descriptor, &place->message, messageBytes, MSG_NOSIGNAL);
    if (count != messageBytes) fail(room, speaker, "send", count < 0 ? errno : ENOBUFS);
}

static void next_speaks(struct room *room, struct place *place) {
    uint32_t next = place->speaker + room->inFlight;
    place->speaker = next < room->memberCount ? next : place->speaker % room->inFlight;
    if (room->speaking && room->errorCount == 0) speak(room, place);
}

// MARK: hearing

// What is wrong with a message that arrived, or NULL.
static const char *fault_of(const struct room *room, const struct member *member,
                            const struct message *message) {
    uint32_t number = message->speaker;
    if (number >= room->memberCount) return "bytes arrived that nobody sent";
    if (number == index_of(room, member)) return "its own message came back";
    if (message->sequence != member->heard[number] + 1) return "a message lost, repeated or out of order";
    const struct place *place = &room->places[number % room->inFlight];
    if (place->missingCount == 0 || memcmp(&place->message, message, messageBytes) != 0)
        return "other bytes arrived than were sent";
    return NULL;
}

// False, and counted, when it is not what it must be.
static bool hear(struct room *room, struct member *member, const uint8_t *bytes) {
    struct message message;
    memcpy(&message, bytes, messageBytes);
    const char *fault = fault_of(room, member, &message);
    if (fault != NULL) {
        fail(room, member, fault, 0);
        return false;
    }
    struct place *place = &room->places[message.speaker % room->inFlight];
    member->heard[message.speaker] += 1;
    room->deliveries += 1;
    place->missingCount -= 1;
    if (place->missingCount == 0) {
        room->openPlaces -= 1;
        next_speaks(room, place);
    }
    return member->descriptor >= 0; // it may have failed to speak
}

static void ended(struct room *room, struct member *member) {
    if (!room->leaving) fail(room, member, "closed by the server", 0);
    else if (member->partialBytes > 0) fail(room, member, "closed within a message", 0);
    else close_member(room, member);
}

static void receive(struct room *room, struct member *member) {
    memcpy(room->arrived, member->partial, member->partialBytes);
    ssize_t count = recv(member->descriptor, room->arrived + member->partialBytes, roomBufferBytes, 0);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (count < 0) {
        fail(room, member, "recv", errno);
        return;
    }
    if (count == 0) {
        ended(room, member);
        return;
    }
    room->reads += 1;
    const uint8_t *bytes = room->arrived, *end = bytes + member->partialBytes + count;
    for (; end - bytes >= messageBytes; bytes += messageBytes)
        if (!hear(room, member, bytes)) return;
    member->partialBytes = (uint32_t)(end - bytes);
    memcpy(member->partial, bytes, member->partialBytes);
}

// MARK: running

static void step(struct room *room, uint64_t now, uint64_t deadline) {
    struct epoll_event events[membersMax];
    uint64_t left = (deadline - now) / 1000000 + 1;
    int count = epoll_wait(room->epoll, events, membersMax, left < 1000 ? (int)left : 1000);
    for (int i = 0; i < count; i++) {
        struct member *member = &room->members[events[i].data.u32];
        if (member->descriptor >= 0) receive(room, member);
    }
}

void room_run(struct room *room, uint64_t deadline) {
    room->speaking = true;
    for (uint32_t i = 0; i < room->inFlight; i++)
        if (room->places[i].missingCount == 0 && room->errorCount == 0) speak(room, &room->places[i]);
    for (uint64_t now; room->errorCount == 0 && (now = nanoseconds_now()) < deadline;)
        step(room, now, deadline);
}

static void leave(struct room *room) {
    room->leaving = true;
    for (uint32_t i = 0; i < room->memberCount; i++)
        if (room->members[i].descriptor >= 0) shutdown(room->members[i].descriptor, SHUT_WR);
}

void room_finish(struct room *room, uint64_t deadline) {
    room->speaking = false;
    for (uint64_t now; room->openPlaces > 0 && room->errorCount == 0 && (now = nanoseconds_now()) < deadline;)
        step(room, now, deadline);
    for (uint32_t i = 0; i < room->inFlight; i++)
        if (room->places[i].missingCount > 0)
            note(room, &room->members[room->places[i].speaker], "not everybody has its message", 0);
    leave(room);
    for (uint64_t now; room->openCount > 0 && room->errorCount == 0 && (now = nanoseconds_now()) < deadline;)
        step(room, now, deadline);
    for (uint32_t i = 0; i < room->memberCount; i++)
        if (room->members[i].descriptor >= 0 && room->errorCount == 0)
            note(room, &room->members[i], "not closed by the server after end of file", 0);
}
