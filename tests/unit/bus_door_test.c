/* SPDX-License-Identifier: Apache-2.0
 *
 * The door for strangers: who comes in, who is named how, and what no connection can make it hold.
 */
#include "tests/support/door_world.h"

/* --- who comes in ------------------------------------------------------------------------------------------- */

static void listed_keys_are_answered_under_their_name(void)
{
        struct world w;
        world_start(&w, bus_door_limits);
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL), *req = connect_to(&w, ZMQ_REQ, &w.agency, NULL);
        say(dealer, "one");
        WAIT(&w, hears(dealer, "one"));
        CHECK_TEXT(w.name, "agency/key");
        CHECK_INT(w.n_parts, 1);
        say(req, "two");
        WAIT(&w, w.messages == 2);
        CHECK_INT(w.n_parts, 2); /* with the empty frame in front */
        WAIT(&w, hears(req, "two"));
        CHECK_INT(bus_door_figures(w.door).connections, 2);
        CHECK_INT(bus_door_figures(w.door).unspoken, 0);
        zmq_close(dealer);
        zmq_close(req);
        WAIT(&w, w.gone == 2);
        CHECK_INT(bus_door_figures(w.door).connections, 0);
        for (size_t i = 0; i < BUS_DOOR_CUTS; i++)
                CHECK_INT(w.cuts[i], 0);
        world_done(&w);
}

static void strangers_get_no_further_than_the_handshake(void)
{
        struct world w;
        world_start(&w, bus_door_limits);
        void *stranger = connect_to(&w, ZMQ_DEALER, &w.other, NULL), *plain = connect_to(&w, ZMQ_DEALER, NULL, NULL);
        say(stranger, "let me in");
        say(plain, "let me in");
        WAIT(&w, w.strangers >= 1 && w.cuts[BUS_DOOR_CUT_HANDSHAKE] >= 2);
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        say(dealer, "one");
        WAIT(&w, hears(dealer, "one"));
        CHECK_INT(w.messages, 1);
        zmq_close(stranger);
        zmq_close(plain);
        zmq_close(dealer);
        world_done(&w);
}

static void until_keys_are_given_everybody_is_told_to_come_again(void)
{
        struct world w;
        world_init(&w);
        open_door(&w, bus_door_limits, -1);
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        say(dealer, "one");
        WAIT(&w, bus_door_figures(w.door).connections == 1);
        WAIT(&w, bus_door_figures(w.door).connections == 0);
        CHECK_INT(w.messages, 0);
        CHECK_INT(w.strangers, 0);
        let_in(&w, &w.agency, "agency/key");
        WAIT(&w, hears(dealer, "one")); /* the same socket: it tried again by itself */
        zmq_close(dealer);
        world_done(&w);
}

static void a_key_that_is_listed_a_moment_later_is_let_in_at_once(void)
{
        struct world w;
        world_start(&w, bus_door_limits);
        void *late = connect_to(&w, ZMQ_DEALER, &w.other, NULL);
        say(late, "one");
        int64_t began = clock_monotonic_us();
        WAIT(&w, clock_monotonic_us() - began > 100000); /* it has come by then, or comes later: both is well */
        CHECK_INT(w.strangers, 0);
        let_in(&w, &w.other, "other/key");
        WAIT(&w, hears(late, "one"));
        CHECK_TEXT(w.name, "other/key");
        CHECK_INT(w.strangers, 0);
        zmq_close(late);
        world_done(&w);
}

static void a_key_that_is_taken_out_has_no_name_from_then_on(void)
{
        struct world w;
        world_start(&w, bus_door_limits);
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        say(dealer, "one");
        WAIT(&w, hears(dealer, "one"));
        let_in(&w, &w.other, "other/key");
        say(dealer, "two");
        WAIT(&w, hears(dealer, "two")); /* it may be told so */
        CHECK_TEXT(w.name, "");
        CHECK(!w.chosen);
        zmq_close(dealer);
        world_done(&w);
}

static void a_chosen_routing_id_is_told_from_a_given_one(void)
{
        struct world w;
        world_start(&w, bus_door_limits);
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, "health-commission-of-a-large-city-with-a-name-that-is-long");
        say(dealer, "one");
        WAIT(&w, hears(dealer, "one"));
        CHECK(w.chosen);
        zmq_close(dealer);
        world_done(&w);
}

/* --- what it cannot make us hold ---------------------------------------------------------------------------- */

static void messages_of_too_many_parts_come_as_none(void)
{
        struct world w;
        world_start(&w, bus_door_limits);
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        for (int i = 0; i < 1000; i++)
                CHECK(zmq_send(dealer, "x", 1, ZMQ_SNDMORE) >= 0);
        say(dealer, "end");
        w.answers = false;
        WAIT(&w, w.messages == 1);
        CHECK_INT(w.n_parts, 0);
        w.answers = true;
        say(dealer, "one");
        WAIT(&w, hears(dealer, "one")); /* and the next one starts clean */
        zmq_close(dealer);
        world_done(&w);
}

static void many_whole_messages_are_no_message_without_an_end(void)
{
        struct world w;
        static char block[60000];
        world_start(&w, bus_door_limits);
        w.answers = false;
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        for (int i = 0; i < 200; i++)
                CHECK(zmq_send(dealer, block, sizeof(block), ZMQ_DONTWAIT) >= 0);
        WAIT(&w, w.messages == 200);
        CHECK_INT(w.cuts[BUS_DOOR_CUT_UNFINISHED], 0);
        CHECK_INT(bus_door_figures(w.door).connections, 1);
        zmq_close(dealer);
        world_done(&w);
}

static void a_frame_beyond_the_bound_ends_its_connection_and_is_counted(void)
{
        struct world w;
        world_start(&w, bus_door_limits);
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        char *large = calloc(1, 2 << 20);
        say(dealer, "one");
        WAIT(&w, hears(dealer, "one"));
        CHECK(zmq_send(dealer, large, 2 << 20, ZMQ_DONTWAIT) >= 0);
        WAIT(&w, w.cuts[BUS_DOOR_CUT_PROTOCOL] == 1);
        CHECK_INT(w.messages, 1);
        say(dealer, "two"); /* its socket connected again */
        WAIT(&w, hears(dealer, "two"));
        free(large);
        zmq_close(dealer);
        world_done(&w);
}

/* Sends so much that neither kernel nor peer can hold it, to a peer that does not read. */
static unsigned fill(struct world *w)
{
        unsigned sent = 0;
        for (; sent < 200; sent++) {
                struct buf block = {0};
                buf_reserve(&block, 1 << 20);
                memset(block.p, 'x', 1 << 20);
                block.n = 1 << 20;
                int r = bus_door_send(w->door, w->connection, NULL, 0, &block);
                CHECK(r == 0 || r == -EAGAIN || r == -EHOSTUNREACH);
                CHECK(!block.p);
                if (r < 0)
                        break;
        }
        return sent;
}

static void *reader_that_stops(struct world *w)
{
        void *dealer = zmq_socket(w->context, ZMQ_DEALER);
        int one = 1, small = 65536, none = 0;
        zmq_setsockopt(dealer, ZMQ_RCVHWM, &one, sizeof(one));
        zmq_setsockopt(dealer, ZMQ_RCVBUF, &small, sizeof(small));
        zmq_setsockopt(dealer, ZMQ_LINGER, &none, sizeof(none));
        zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, w->self.public, 41);
        zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, w->agency.public, 41);
        zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, w->agency.secret, 41);
        CHECK_INT(zmq_connect(dealer, w->endpoint), 0);
        w->answers = false;
        say(dealer, "one");
        WAIT(w, w->messages == 1);
        return dealer;
}

static void what_a_reader_has_not_taken_is_known_and_bounded(void)
{
        struct world w;
        world_start(&w, bus_door_limits);
        void *dealer = reader_that_stops(&w);
        CHECK_INT(bus_door_unsent(w.door, w.connection), 0);
        unsigned sent = fill(&w);
        CHECK(sent >= 10 && sent < 200); /* then libzmq takes no more for it */
        CHECK(bus_door_unsent(w.door, w.connection) > 10u << 20);
        CHECK(bus_door_figures(w.door).unsent_bytes > 10u << 20);
        zmq_close(dealer);
        WAIT(&w, w.gone == 1);
        CHECK_INT(bus_door_figures(w.door).unsent_bytes, 0);
        CHECK_INT(bus_door_unsent(w.door, w.connection), 0);
        world_done(&w);
}

static void what_a_reader_has_taken_is_not_counted_any_more(void)
{
        struct world w;
        world_start(&w, bus_door_limits);
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        char *block = malloc(1 << 20);
        unsigned read = 0;
        w.answers = false;
        say(dealer, "one");
        WAIT(&w, w.messages == 1);
        for (unsigned i = 0; i < 20; i++) {
                struct buf out = {.p = calloc(1, 100000), .n = 100000, .cap = 100000};
                CHECK_INT(bus_door_send(w.door, w.connection, NULL, 0, &out), 0);
        }
        while (read < 20)
                read += zmq_recv(dealer, block, 1 << 20, 0) == 100000;
        WAIT(&w, bus_door_unsent(w.door, w.connection) == 0);
        CHECK_INT(bus_door_figures(w.door).unsent_bytes, 0);
        free(block);
        zmq_close(dealer);
        world_done(&w);
}

static void a_reader_that_takes_nothing_is_cut_after_a_while(void)
{
        struct world w;
        struct bus_door_limits limits = bus_door_limits;
        limits.stalled_us = 300 * 1000;
        world_start(&w, limits);
        void *dealer = reader_that_stops(&w);
        fill(&w);
        WAIT(&w, w.cuts[BUS_DOOR_CUT_STALLED] == 1 && w.gone == 1);
        CHECK_INT(bus_door_figures(w.door).unsent_bytes, 0);
        zmq_close(dealer);
        world_done(&w);
}

static void when_too_much_waits_the_one_with_the_most_is_cut(void)
{
        struct world w;
        struct bus_door_limits limits = bus_door_limits;
        limits.unsent_max = 8 << 20;
        world_start(&w, limits);
        void *other = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        say(other, "one");
        WAIT(&w, hears(other, "one"));
        w.messages = 0;
        void *dealer = reader_that_stops(&w);
        fill(&w);
        WAIT(&w, w.cuts[BUS_DOOR_CUT_FULL] == 1 && w.gone == 1);
        w.answers = true;
        say(other, "two");
        WAIT(&w, hears(other, "two"));
        zmq_close(dealer);
        zmq_close(other);
        world_done(&w);
}

/* --- those who say nothing ----------------------------------------------------------------------------------- */

static void of_a_crowd_that_says_nothing_the_oldest_goes(void)
{
        struct world w;
        struct bus_door_limits limits = bus_door_limits;
        int fds[6];
        limits.unspoken_max = 4;
        world_start(&w, limits);
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        say(dealer, "one");
        WAIT(&w, hears(dealer, "one")); /* who has spoken is no part of it */
        for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
                fds[i] = knock(&w);
                WAIT(&w, bus_door_figures(w.door).unspoken + w.cuts[BUS_DOOR_CUT_CROWD] > i);
        }
        WAIT(&w, w.cuts[BUS_DOOR_CUT_CROWD] == 2 && was_hung_up_on(fds[0]) && was_hung_up_on(fds[1]));
        CHECK(!was_hung_up_on(fds[2]));
        say(dealer, "two");
        WAIT(&w, hears(dealer, "two"));
        for (size_t i = 0; i < ARRAY_LEN(fds); i++)
                close(fds[i]);
        zmq_close(dealer);
        world_done(&w);
}

static void who_comes_from_elsewhere_is_not_crowded_out(void)
{
        struct world w;
        struct bus_door_limits limits = bus_door_limits;
        int fds[12], far;
        limits.unspoken_max = 4;
        world_start(&w, limits);
        far = knock_from(&w, 2);
        WAIT(&w, bus_door_figures(w.door).unspoken == 1);
        for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
                fds[i] = knock(&w);
                WAIT(&w, bus_door_figures(w.door).unspoken + w.cuts[BUS_DOOR_CUT_CROWD] > i + 1);
        }
        WAIT(&w, w.cuts[BUS_DOOR_CUT_CROWD] == 9 && was_hung_up_on(fds[0]) && was_hung_up_on(fds[8]));
        CHECK(!was_hung_up_on(far) && !was_hung_up_on(fds[9]));
        for (size_t i = 0; i < ARRAY_LEN(fds); i++)
                close(fds[i]);
        close(far);
        world_done(&w);
}

static void who_shakes_hands_and_says_nothing_goes_after_a_while(void)
{
        struct world w;
        struct bus_door_limits limits = bus_door_limits;
        limits.unspoken_us = 300 * 1000;
        world_start(&w, limits);
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        WAIT(&w, w.cuts[BUS_DOOR_CUT_SILENT] >= 1);
        say(dealer, "one");
        WAIT(&w, hears(dealer, "one")); /* it connected again */
        zmq_close(dealer);
        world_done(&w);
}

/* --- opening and closing --------------------------------------------------------------------------------------- */

static void a_closed_door_keeps_those_who_are_in(void)
{
        struct world w;
        world_start(&w, bus_door_limits);
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        say(dealer, "one");
        WAIT(&w, hears(dealer, "one"));
        bus_door_close(w.door);
        int fd = knock(&w);
        WAIT(&w, was_hung_up_on(fd));
        say(dealer, "two");
        WAIT(&w, hears(dealer, "two"));
        close(fd);
        zmq_close(dealer);
        world_done(&w);
}

static void a_lent_socket_is_listened_on(void)
{
        struct world w;
        struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        world_init(&w);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_INT(bind(fd, (struct sockaddr *)&self, sizeof(self)), 0);
        CHECK_INT(listen(fd, 16), 0);
        open_door(&w, bus_door_limits, fd);
        CHECK(strcmp(w.endpoint, "tcp://127.0.0.1:0") != 0);
        let_in(&w, &w.agency, "agency/key");
        void *dealer = connect_to(&w, ZMQ_DEALER, &w.agency, NULL);
        say(dealer, "one");
        WAIT(&w, hears(dealer, "one"));
        zmq_close(dealer);
        world_done(&w);
}

static void doors_need_tcp_and_a_key(void)
{
        struct world w;
        world_init(&w);
        struct bus_door_options options = {.endpoint = "ipc:///tmp/x", .listen_fd = -1, .secret = w.self.secret, .limits = bus_door_limits};
        CHECK_INT(bus_door_new(w.bus, w.loop, &options, &ops, &w, &w.door, w.endpoint), -EINVAL);
        options.endpoint = "tcp://127.0.0.1:*";
        options.secret = "no key";
        CHECK_INT(bus_door_new(w.bus, w.loop, &options, &ops, &w, &w.door, w.endpoint), -EINVAL);
        options.secret = w.self.secret;
        options.endpoint = "tcp://192.0.2.1:9080";
        CHECK(bus_door_new(w.bus, w.loop, &options, &ops, &w, &w.door, w.endpoint) < 0); /* no address of this host */
        CHECK(!w.door);
        world_done(&w);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"listed keys are answered, under their name", listed_keys_are_answered_under_their_name},
                {"strangers get no further than the handshake", strangers_get_no_further_than_the_handshake},
                {"until keys are given everybody is told to come again", until_keys_are_given_everybody_is_told_to_come_again},
                {"a key that is listed a moment later is let in at once", a_key_that_is_listed_a_moment_later_is_let_in_at_once},
                {"a key that is taken out has no name from then on", a_key_that_is_taken_out_has_no_name_from_then_on},
                {"a chosen routing id is told from a given one", a_chosen_routing_id_is_told_from_a_given_one},
                {"messages of too many parts come as none", messages_of_too_many_parts_come_as_none},
                {"many whole messages are no message without an end", many_whole_messages_are_no_message_without_an_end},
                {"a frame beyond the bound ends its connection, and is counted", a_frame_beyond_the_bound_ends_its_connection_and_is_counted},
                {"what a reader has not taken is known, and bounded", what_a_reader_has_not_taken_is_known_and_bounded},
                {"what a reader has taken is not counted any more", what_a_reader_has_taken_is_not_counted_any_more},
                {"a reader that takes nothing is cut after a while", a_reader_that_takes_nothing_is_cut_after_a_while},
                {"when too much waits the one with the most is cut", when_too_much_waits_the_one_with_the_most_is_cut},
                {"of a crowd that says nothing the oldest goes", of_a_crowd_that_says_nothing_the_oldest_goes},
                {"who comes from elsewhere is not crowded out", who_comes_from_elsewhere_is_not_crowded_out},
                {"who shakes hands and says nothing goes after a while", who_shakes_hands_and_says_nothing_goes_after_a_while},
                {"a closed door keeps those who are in", a_closed_door_keeps_those_who_are_in},
                {"a lent socket is listened on", a_lent_socket_is_listened_on},
                {"doors need tcp and a key", doors_need_tcp_and_a_key},
        };
        return CHECK_MAIN(cases);
}
