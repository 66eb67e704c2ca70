/* SPDX-License-Identifier: Apache-2.0
 *
 * Any multipart message, as parts of any number and size, taken from a socket: what keeps the rules of bus.h must
 * come through whole, everything else be dropped, and the next message start clean.
 */
#include "common/bus/bus_internal.h"

#include <stdlib.h>

enum { PARTS_MAX = 512, BYTES_MAX = 2 * BUS_BYTES_MAX };

struct sockets {
        void *context, *out, *in;
};

static struct sockets sockets_new(void)
{
        struct sockets s = {.context = zmq_ctx_new()};
        s.in = zmq_socket(s.context, ZMQ_PAIR);
        s.out = zmq_socket(s.context, ZMQ_PAIR);
        if (zmq_bind(s.in, "inproc://fuzz") < 0 || zmq_connect(s.out, "inproc://fuzz") < 0)
                abort();
        return s;
}

/* A byte is the size of a part: small ones as they are, from 240 on some hundred KiB each. */
static size_t part_size(uint8_t byte)
{
        return byte < 240 ? byte : (size_t)(byte - 239) * 300 * 1024;
}

static bool is_valid(const uint8_t *sizes, size_t n, bool routed)
{
        size_t bytes = 0, pairs_from = routed ? 1 : 0;
        if (routed && (n < 2 || part_size(sizes[0]) > sizeof(((struct bus_peer *)0)->id)))
                return false;
        for (size_t i = pairs_from; i < n; i++)
                bytes += part_size(sizes[i]);
        n -= pairs_from;
        return n % 2 == 0 && n <= 2 * BUS_PAIRS_MAX && bytes <= BUS_BYTES_MAX;
}

static void send_parts(void *socket, const uint8_t *sizes, size_t n)
{
        static const char zeros[17 * 300 * 1024];
        for (size_t i = 0; i < n; i++)
                if (zmq_send(socket, zeros, part_size(sizes[i]), i + 1 < n ? ZMQ_SNDMORE : 0) < 0)
                        abort();
}

static void check(struct inbox *inbox, struct sockets *s, const uint8_t *sizes, size_t n, bool routed)
{
        send_parts(s->out, sizes, n);
        int r = inbox_receive(inbox, s->in, routed);
        if ((r == 0) != is_valid(sizes, n, routed) || (r != 0 && (r != -EBADMSG || inbox->n != 0)))
                abort();
        for (size_t i = 0; i < inbox->n; i += 2) {
                const uint8_t *pair = sizes + (routed ? 1 : 0) + i;
                struct bus_frame payload = inbox_take_payload(inbox, i);
                if (inbox_envelope(inbox, i).n != part_size(pair[0]) ||
                    bus_frame_bytes(&payload).n != part_size(pair[1]))
                        abort();
                bus_frame_close(&payload);
        }
        inbox_clear(inbox);
        if (inbox_receive(inbox, s->in, routed) != -EAGAIN)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct sockets s;
        static struct inbox inbox;
        if (!s.context)
                s = sockets_new();
        if (size < 2)
                return 0;
        size_t n = 0;
        for (size_t bytes = 0; n < size - 1 && n < PARTS_MAX && bytes < BYTES_MAX; n++)
                bytes += part_size(data[1 + n]);
        check(&inbox, &s, data + 1, n, data[0] & 1);
        return 0;
}
