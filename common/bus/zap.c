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

int zap_open(void *context, void **ret_zap)
{
        void *zap = zmq_socket(context, ZMQ_REP);
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

int zap_receive(void *zap, int flags, struct zap_request *request)
{
        request->n = 0;
        for (int more = 1; more;) {
                char rest[ZAP_TEXT_MAX];
                bool kept = request->n < ZAP_FRAMES;
                int n = zmq_recv(zap, kept ? request->frames[request->n] : rest, sizeof(rest), flags);
                if (n < 0 && zmq_errno() == EINTR)
                        continue;
                if (n < 0)
                        return -zmq_errno();
                if (kept)
                        request->sizes[request->n] = n < (int)sizeof(rest) ? n : (int)sizeof(rest);
                request->n++;
                size_t size = sizeof(more);
                if (zmq_getsockopt(zap, ZMQ_RCVMORE, &more, &size) < 0)
                        return -zmq_errno();
        }
        return 0;
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

void zap_answer(void *zap, const struct zap_request *request, enum zap_status status, const char *key)
{
        static const char *const codes[] = {[ZAP_LET_IN] = "200", [ZAP_COME_AGAIN] = "300", [ZAP_REFUSED] = "400"};
        struct str frames[] = {STR("1.0"), frame_text(request, ZAP_REQUEST_ID), str_of(codes[status]),
                               STR(""),    str_of(status == ZAP_LET_IN ? key : ""), STR("")};
        for (size_t i = 0; i < ARRAY_LEN(frames); i++)
                if (zmq_send(zap, frames[i].p, frames[i].n, i + 1 < ARRAY_LEN(frames) ? ZMQ_SNDMORE : 0) < 0)
                        return;
}
