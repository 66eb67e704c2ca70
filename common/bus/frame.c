/* SPDX-License-Identifier: Apache-2.0
 *
 * Pairs of frames to and from multipart messages. A message is taken whole and checked before any of it is
 * handed on; what breaks the rules is drained and dropped.
 */
#include "common/bus/bus_internal.h"

#include <stdlib.h>

_Static_assert(sizeof(zmq_msg_t) <= sizeof(((struct bus_frame *)0)->opaque_), "a frame holds a zmq_msg_t");

/* --- frames --------------------------------------------------------------------------------------------- */

struct str bus_frame_bytes(const struct bus_frame *frame)
{
        if (!frame->set_)
                return (struct str){0};
        zmq_msg_t *msg = (zmq_msg_t *)(void *)frame->opaque_; /* libzmq has no const reading */
        return str_bytes(zmq_msg_data(msg), zmq_msg_size(msg));
}

void bus_frame_close(struct bus_frame *frame)
{
        if (frame->set_)
                zmq_msg_close((zmq_msg_t *)(void *)frame->opaque_);
        *frame = (struct bus_frame){0};
}

/* --- out ------------------------------------------------------------------------------------------------ */

static void frame_init(zmq_msg_t *msg, struct str bytes)
{
        if (zmq_msg_init_size(msg, bytes.n) < 0)
                abort();
        if (bytes.n)
                memcpy(zmq_msg_data(msg), bytes.p, bytes.n);
}

struct bus_frame bus_frame_of(struct str bytes)
{
        struct bus_frame frame = {.set_ = true};
        frame_init((zmq_msg_t *)(void *)frame.opaque_, bytes);
        return frame;
}

int outbox_add(struct outbox *outbox, struct str envelope, struct str payload)
{
        if (envelope.n > BUS_BYTES_MAX || payload.n > BUS_BYTES_MAX - envelope.n)
                return -EMSGSIZE;
        if (outbox->n == outbox->cap) {
                outbox->cap = outbox->cap ? outbox->cap * 2 : 16;
                outbox->frames = mem_realloc(outbox->frames, outbox->cap * sizeof(*outbox->frames));
        }
        frame_init(&outbox->frames[outbox->n++], envelope);
        frame_init(&outbox->frames[outbox->n++], payload);
        return 0;
}

/* How many frames from `at` go in one message. */
static size_t message_length(struct outbox *outbox, size_t at)
{
        size_t n = 0, bytes = 0;
        while (at + n < outbox->n && n < 2 * BUS_PAIRS_MAX) {
                bytes += zmq_msg_size(&outbox->frames[at + n]) + zmq_msg_size(&outbox->frames[at + n + 1]);
                if (bytes > BUS_BYTES_MAX)
                        break;
                n += 2;
        }
        return n;
}

static int send_retry(zmq_msg_t *msg, void *socket, int flags)
{
        int r;
        do
                r = zmq_msg_send(msg, socket, ZMQ_DONTWAIT | flags);
        while (r < 0 && zmq_errno() == EINTR);
        return r < 0 ? -zmq_errno() : 0;
}

static int send_address(void *socket, const struct bus_peer *to)
{
        zmq_msg_t msg;
        frame_init(&msg, str_bytes(to->id, to->n));
        int r = send_retry(&msg, socket, ZMQ_SNDMORE);
        if (r < 0)
                zmq_msg_close(&msg);
        return r;
}

int outbox_send(struct outbox *outbox, size_t *at, void *socket, const struct bus_peer *to)
{
        size_t n = message_length(outbox, *at);
        int r = to ? send_address(socket, to) : 0;
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                zmq_msg_t *frame = &outbox->frames[*at + i];
                r = send_retry(frame, socket, i + 1 < n ? ZMQ_SNDMORE : 0);
                if (r < 0 && i == 0 && !to)
                        return r;
                /* The connection went in the middle of a message: libzmq rolled back what it had and
                 * swallows the rest, which it must be given so that the next message starts clean. */
                if (r < 0)
                        zmq_msg_close(frame);
        }
        *at += n;
        return 0;
}

void outbox_sent(struct outbox *outbox, size_t n)
{
        outbox->n -= n;
        memmove(outbox->frames, outbox->frames + n, outbox->n * sizeof(*outbox->frames));
}

void outbox_drop(struct outbox *outbox, size_t from)
{
        for (size_t i = from; i < outbox->n; i++)
                zmq_msg_close(&outbox->frames[i]);
        outbox->n = 0;
}

void outbox_done(struct outbox *outbox)
{
        outbox_drop(outbox, 0);
        free(outbox->frames);
        *outbox = (struct outbox){0};
}

/* --- in ------------------------------------------------------------------------------------------------- */

static int receive(zmq_msg_t *msg, void *socket)
{
        int r;
        zmq_msg_init(msg);
        do
                r = zmq_msg_recv(msg, socket, ZMQ_DONTWAIT);
        while (r < 0 && zmq_errno() == EINTR);
        if (r < 0) {
                zmq_msg_close(msg);
                return -EAGAIN;
        }
        return 0;
}

/* Reads the sender's routing id; false if it is no id that libzmq gives by itself. */
static bool take_address(struct inbox *inbox, zmq_msg_t *msg)
{
        size_t n = zmq_msg_size(msg);
        bool fits = n <= sizeof(inbox->from.id);
        inbox->from.n = fits ? (uint8_t)n : 0;
        memcpy(inbox->from.id, zmq_msg_data(msg), inbox->from.n);
        return fits;
}

int inbox_receive(struct inbox *inbox, void *socket, bool routed)
{
        zmq_msg_t msg;
        size_t bytes = 0;
        bool valid = true, more;
        inbox->n = 0;
        int r = receive(&msg, socket);
        if (r < 0)
                return r;
        if (routed) {
                valid = take_address(inbox, &msg) && zmq_msg_more(&msg);
                more = zmq_msg_more(&msg);
                zmq_msg_close(&msg);
                if (!more || receive(&msg, socket) < 0)
                        return -EBADMSG;
                inbox->source_fd = zmq_msg_get(&msg, ZMQ_SRCFD);
        }
        /* All parts of a message are there as soon as its first is. */
        do {
                more = zmq_msg_more(&msg);
                bytes += zmq_msg_size(&msg);
                valid = valid && inbox->n < ARRAY_LEN(inbox->frames) && bytes <= BUS_BYTES_MAX;
                if (valid)
                        inbox->frames[inbox->n++] =
                            msg; /* a zmq_msg_t moves by assignment, as zmq_msg_move does */
                else
                        zmq_msg_close(&msg);
        } while (more && receive(&msg, socket) == 0);
        if (valid && inbox->n % 2 == 0)
                return 0;
        inbox_clear(inbox);
        return -EBADMSG;
}

struct str inbox_envelope(struct inbox *inbox, size_t i)
{
        return str_bytes(zmq_msg_data(&inbox->frames[i]), zmq_msg_size(&inbox->frames[i]));
}

struct bus_frame inbox_take_payload(struct inbox *inbox, size_t i)
{
        struct bus_frame frame = {.set_ = true};
        memcpy(frame.opaque_, &inbox->frames[i + 1], sizeof(zmq_msg_t));
        zmq_msg_init(&inbox->frames[i + 1]);
        return frame;
}

void inbox_clear(struct inbox *inbox)
{
        for (size_t i = 0; i < inbox->n; i++)
                zmq_msg_close(&inbox->frames[i]);
        inbox->n = 0;
}
