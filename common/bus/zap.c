/* SPDX-License-Identifier: Apache-2.0
 *
 * ZAP (RFC 27): what libzmq asks in each handshake, and how it is answered. Judges nobody.
 */
#include "common/bus/bus_internal.h"

enum {
        ZAP_VERSION,
        ZAP_REQUEST_ID,
        ZAP_DOMAIN,
        ZAP_ADDRESS,
        ZAP_ROUTING_ID,
        ZAP_MECHANISM,
        ZAP_KEY,
        ZAP_FRAMES
};
enum { KEY_SIZE = 32 };

_Static_assert(sizeof(((struct zap_request *)0)->sizes) / sizeof(int) == ZAP_FRAMES, "a request's frames");

int zap_open(void *context, int type, void **ret_zap)
{
        void *zap = zmq_socket(context, type);
        if (!zap)
                return -zmq_errno();
        if (zmq_bind(zap, "inproc://zeromq.zap.01") < 0) {
                int r = -zmq_errno();
                zmq_close(zap);
                return r;
        }
        *ret_zap = zap;
        return 0;
}

/* One frame, of which n bytes fit; ret_size: how many of them there are. */
static int frame_receive(void *zap, int flags, char *frame, int *ret_size, bool *ret_more)
{
        int n, more = 0;
        size_t size = sizeof(more);
        do
                n = zmq_recv(zap, frame, ZAP_TEXT_MAX, flags);
        while (n < 0 && zmq_errno() == EINTR);
        if (n < 0 || zmq_getsockopt(zap, ZMQ_RCVMORE, &more, &size) < 0)
                return -zmq_errno();
        *ret_size = n < ZAP_TEXT_MAX ? n : ZAP_TEXT_MAX;
        *ret_more = more;
        return 0;
}

int zap_receive(void *zap, int type, int flags, struct zap_request *request)
{
        char rest[ZAP_TEXT_MAX];
        int size;
        bool more = true;
        int r = type == ZMQ_ROUTER ? frame_receive(zap, flags, request->sender, &request->sender_size, &more) : 0;
        if (r == 0 && type == ZMQ_ROUTER && more)
                r = frame_receive(zap, flags, rest, &size, &more); /* the empty one in front */
        request->n = 0;
        while (r == 0 && more) {
                bool kept = request->n < ZAP_FRAMES;
                r = frame_receive(zap, flags, kept ? request->frames[request->n] : rest, kept ? &request->sizes[request->n] : &size, &more);
                request->n++;
        }
        return r;
}

static struct str frame_text(const struct zap_request *request, int i)
{
        return str_bytes(request->frames[i], i < request->n ? (size_t)request->sizes[i] : 0);
}

bool zap_key(const struct zap_request *request, char ret_key[CURVE_KEY_SIZE])
{
        ret_key[0] = 0;
        if (request->n != ZAP_FRAMES || !str_is(frame_text(request, ZAP_VERSION), "1.0") ||
            !str_is(frame_text(request, ZAP_MECHANISM), "CURVE") || request->sizes[ZAP_KEY] != KEY_SIZE)
                return false;
        zmq_z85_encode(ret_key, (const uint8_t *)request->frames[ZAP_KEY], KEY_SIZE);
        return true;
}

struct str zap_address(const struct zap_request *request)
{
        return frame_text(request, ZAP_ADDRESS);
}

void zap_answer(void *zap, int type, const struct zap_request *request, enum zap_status status, const char *key)
{
        static const char *const codes[] = {[ZAP_LET_IN] = "200", [ZAP_COME_AGAIN] = "300", [ZAP_REFUSED] = "400"};
        struct str frames[] = {str_bytes(request->sender, type == ZMQ_ROUTER ? (size_t)request->sender_size : 0), STR(""),
                               STR("1.0"), frame_text(request, ZAP_REQUEST_ID), str_of(codes[status]),
                               STR(""),    str_of(status == ZAP_LET_IN ? key : ""), STR("")};
        for (size_t i = type == ZMQ_ROUTER ? 0 : 2; i < ARRAY_LEN(frames); i++)
                if (zmq_send(zap, frames[i].p, frames[i].n, i + 1 < ARRAY_LEN(frames) ? ZMQ_SNDMORE : 0) < 0)
                        return;
}
