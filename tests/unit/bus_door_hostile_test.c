/* SPDX-License-Identifier: Apache-2.0
 *
 * An agency with a valid key that means harm: it speaks ZMTP 3.0 and CURVE (RFC 23, RFC 26) itself, so that it may send
 * what no libzmq would. What it costs is bounded, and nobody else notices.
 */
#include "tests/support/door_world.h"

#include <malloc.h>
#include <poll.h>
#include <sodium.h>

enum { COOKIE = 96, FRAME_COMMAND = 4, FRAME_LARGE = 2, PART_MORE = 1 };

/* One connection, blocking: the door answers meanwhile, on the loop's thread, which is this one. */
struct mischief {
        struct world *w;
        int fd;
        uint8_t door_key[32], key[32], secret[32], short_key[32], short_secret[32], door_short[32], cookie[COOKIE];
        uint64_t nonce;
};

static void turn(struct world *w)
{
        loop_timer_set(w->tick, 1000);
        loop_run(w->loop);
}

static bool put(struct mischief *m, const void *bytes, size_t n)
{
        const uint8_t *p = bytes;
        while (n) {
                ssize_t sent = send(m->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (sent < 0 && errno != EAGAIN)
                        return false;
                if (sent < 0) {
                        turn(m->w);
                        continue;
                }
                p += sent;
                n -= (size_t)sent;
        }
        return true;
}

static bool get(struct mischief *m, void *bytes, size_t n)
{
        uint8_t *p = bytes;
        int64_t until = clock_monotonic_us() + 10 * CLOCK_SECOND_US;
        while (n && clock_monotonic_us() < until) {
                ssize_t got = recv(m->fd, p, n, MSG_DONTWAIT);
                if (got == 0 || (got < 0 && errno != EAGAIN))
                        return false;
                if (got < 0) {
                        turn(m->w);
                        continue;
                }
                p += got;
                n -= (size_t)got;
        }
        return n == 0;
}

/* The nonce of a box: its name, then eight bytes that count. Returns where they stand. */
static uint8_t *nonce_of(struct mischief *m, const char *name, uint8_t nonce[24])
{
        memcpy(nonce, name, 16);
        for (int i = 0; i < 8; i++)
                nonce[16 + i] = (uint8_t)(m->nonce >> (56 - 8 * i));
        m->nonce++;
        return nonce + 16;
}

static bool put_frame(struct mischief *m, uint8_t flags, const uint8_t *body, size_t n)
{
        uint8_t head[9] = {(uint8_t)(flags | (n > 255 ? FRAME_LARGE : 0)), (uint8_t)n};
        for (int i = 0; n > 255 && i < 8; i++)
                head[1 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
        return put(m, head, n > 255 ? 9 : 2) && put(m, body, n);
}

static bool get_frame(struct mischief *m, uint8_t body[512], size_t *ret_n)
{
        uint8_t head[9];
        if (!get(m, head, 2))
                return false;
        *ret_n = head[1];
        if (head[0] & FRAME_LARGE) {
                if (!get(m, head + 2, 7))
                        return false;
                *ret_n = (size_t)head[7] << 8 | head[8];
        }
        return *ret_n <= 512 && get(m, body, *ret_n);
}

static bool greet(struct mischief *m)
{
        uint8_t greeting[64] = {0xff, [9] = 0x7f, [10] = 3, [12] = 'C', 'U', 'R', 'V', 'E'}, theirs[64];
        return put(m, greeting, sizeof(greeting)) && get(m, theirs, sizeof(theirs));
}

static bool hello(struct mischief *m)
{
        uint8_t body[200] = "\5HELLO\1", nonce[24], zeros[64] = {0}, welcome[512], opened[128];
        size_t n;
        memcpy(body + 80, m->short_key, 32);
        memcpy(body + 112, nonce_of(m, "CurveZMQHELLO---", nonce), 8);
        if (crypto_box_easy(body + 120, zeros, sizeof(zeros), nonce, m->door_key, m->short_secret))
                return false;
        if (!put_frame(m, FRAME_COMMAND, body, sizeof(body)) || !get_frame(m, welcome, &n) || n != 168)
                return false;
        memcpy(nonce, "WELCOME-", 8);
        memcpy(nonce + 8, welcome + 8, 16);
        if (crypto_box_open_easy(opened, welcome + 24, 144, nonce, m->door_key, m->short_secret))
                return false;
        memcpy(m->door_short, opened, 32);
        memcpy(m->cookie, opened + 32, COOKIE);
        return true;
}

static bool initiate(struct mischief *m)
{
        static const uint8_t metadata[] = "\13Socket-Type\0\0\0\6DEALER\10Identity\0\0\0";
        enum { META = sizeof(metadata), PLAIN = 128 + META };
        uint8_t plain[PLAIN], vouched[64], nonce[24], body[9 + COOKIE + 8 + PLAIN + 16] = "\10INITIATE", ready[512];
        size_t n;
        memcpy(plain, m->key, 32);
        memcpy(vouched, m->short_key, 32);
        memcpy(vouched + 32, m->door_key, 32);
        memcpy(nonce, "VOUCH---", 8);
        randombytes_buf(nonce + 8, 16);
        memcpy(plain + 32, nonce + 8, 16);
        if (crypto_box_easy(plain + 48, vouched, sizeof(vouched), nonce, m->door_short, m->secret))
                return false;
        memcpy(plain + 128, metadata, META);
        memcpy(body + 9, m->cookie, COOKIE);
        memcpy(body + 9 + COOKIE, nonce_of(m, "CurveZMQINITIATE", nonce), 8);
        if (crypto_box_easy(body + 9 + COOKIE + 8, plain, sizeof(plain), nonce, m->door_short, m->short_secret))
                return false;
        return put_frame(m, FRAME_COMMAND, body, sizeof(body)) && get_frame(m, ready, &n) && n > 6 && memcmp(ready, "\5READY", 6) == 0;
}

static bool put_part(struct mischief *m, uint8_t flags, size_t n)
{
        static uint8_t plain[1 << 16], body[sizeof(plain) + 64];
        uint8_t nonce[24];
        plain[0] = flags;
        memcpy(body, "\7MESSAGE", 8);
        memcpy(body + 8, nonce_of(m, "CurveZMQMESSAGEC", nonce), 8);
        if (crypto_box_easy(body + 16, plain, n + 1, nonce, m->door_short, m->short_secret))
                return false;
        return put_frame(m, 0, body, 16 + 16 + n + 1);
}

static bool come_in(struct mischief *m, struct world *w)
{
        *m = (struct mischief){.w = w, .fd = knock(w), .nonce = 1};
        zmq_z85_decode(m->door_key, w->self.public);
        zmq_z85_decode(m->key, w->agency.public);
        zmq_z85_decode(m->secret, w->agency.secret);
        crypto_box_keypair(m->short_key, m->short_secret);
        WAIT(w, bus_door_figures(w->door).connections > 0);
        return greet(m) && hello(m) && initiate(m);
}

static size_t heap(void)
{
        struct mallinfo2 info = mallinfo2();
        return info.uordblks + info.hblkhd;
}

/* --- what it tries ----------------------------------------------------------------------------------------------------- */

static void it_can_speak_as_others_do(void)
{
        struct world w;
        struct mischief m;
        world_start(&w, bus_door_limits);
        CHECK(come_in(&m, &w));
        CHECK(put_part(&m, PART_MORE, 10) && put_part(&m, 0, 20));
        WAIT(&w, w.messages == 1);
        CHECK_INT(w.n_parts, 2);
        CHECK_INT(w.bytes, 30);
        CHECK_TEXT(w.name, "agency/key");
        close(m.fd);
        world_done(&w);
}

static void a_message_without_an_end_is_cut_before_it_is_large(void)
{
        struct world w;
        struct mischief m;
        unsigned parts = 0;
        size_t most = 0;
        world_start(&w, bus_door_limits);
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        say(dealer, "one");
        WAIT(&w, hears(dealer, "one"));
        CHECK(come_in(&m, &w));
        size_t before = heap();
        int64_t looked_us = 0;
        while (parts < 20000 && put_part(&m, PART_MORE, 60000)) { /* a GiB and more */
                size_t now = heap();
                most = now > before && now - before > most ? now - before : most;
                parts++;
                if (clock_monotonic_us() - looked_us > 1000) /* as its own process would be, the loop is run all the while */
                        turn(&w), looked_us = clock_monotonic_us();
        }
        CHECK(parts < 20000);
        CHECK(most < 200u << 20);
        WAIT(&w, w.cuts[BUS_DOOR_CUT_UNFINISHED] == 1);
        WAIT(&w, heap() < before + (4u << 20)); /* and what it had sent is gone with it */
        CHECK_INT(w.messages, 1);
        say(dealer, "two");
        WAIT(&w, hears(dealer, "two"));
        close(m.fd);
        zmq_close(dealer);
        world_done(&w);
}

static void a_message_of_a_thousand_empty_parts_is_one_refusal(void)
{
        struct world w;
        struct mischief m;
        world_start(&w, bus_door_limits);
        CHECK(come_in(&m, &w));
        w.answers = false;
        for (int i = 0; i < 1000; i++)
                CHECK(put_part(&m, PART_MORE, 0));
        CHECK(put_part(&m, 0, 0));
        WAIT(&w, w.messages == 1);
        CHECK_INT(w.n_parts, 0);
        close(m.fd);
        world_done(&w);
}

static void a_forged_frame_ends_the_connection_and_is_counted(void)
{
        struct world w;
        struct mischief m;
        uint8_t garbage[100] = "\7MESSAGE";
        world_start(&w, bus_door_limits);
        CHECK(come_in(&m, &w));
        CHECK(put_part(&m, 0, 5));
        WAIT(&w, w.messages == 1);
        CHECK(put_frame(&m, 0, garbage, sizeof(garbage)));
        WAIT(&w, w.cuts[BUS_DOOR_CUT_PROTOCOL] == 1 && w.gone == 1);
        close(m.fd);
        world_done(&w);
}

static void a_replayed_frame_is_no_message(void)
{
        struct world w;
        struct mischief m;
        world_start(&w, bus_door_limits);
        CHECK(come_in(&m, &w));
        CHECK(put_part(&m, 0, 5));
        WAIT(&w, w.messages == 1);
        m.nonce--;
        CHECK(put_part(&m, 0, 5));
        WAIT(&w, w.cuts[BUS_DOOR_CUT_PROTOCOL] == 1);
        CHECK_INT(w.messages, 1);
        close(m.fd);
        world_done(&w);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"it can speak as others do", it_can_speak_as_others_do},
                {"a message without an end is cut before it is large", a_message_without_an_end_is_cut_before_it_is_large},
                {"a message of a thousand empty parts is one refusal", a_message_of_a_thousand_empty_parts_is_one_refusal},
                {"a forged frame ends the connection, and is counted", a_forged_frame_ends_the_connection_and_is_counted},
                {"a replayed frame is no message", a_replayed_frame_is_no_message},
        };
        return CHECK_MAIN(cases);
}
