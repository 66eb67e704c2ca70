/* SPDX-License-Identifier: Apache-2.0
 *
 * The agency with which one tries out the streams of events: an insurer that sees what happens in the province, and of its
 * people only those who consent to its purpose. Its keys stand in credentials.json, and its CURVE pair in agency.key, as the
 * programs in deploy/subscribers read it: a real agency makes that itself, and tells the association the public half.
 */
#include "deploy/seed/seed.h"

#include "common/bus/curve.h"
#include "nuanxin/stream/v1/agency.pb-c.h"

#include <stdio.h>

#define AGENCY    "insurer"
#define PURPOSE   "accident-insurance"
#define YEARS     10
#define NOT_THERE "urn:nuanxin:problem:not-found"

typedef Nuanxin__Stream__V1__Agency Agency;
typedef Nuanxin__Stream__V1__CreateAgencyKeyResponse NewKey;

static int create(struct seed *s)
{
        static char purpose[] = PURPOSE, province[] = PROVINCE;
        static char memberships[] = "nuanxin.membership.v1.*", activities[] = "nuanxin.activity.v1.*", restarts[] = "nuanxin.stream.v1.*";
        char *purposes[] = {purpose}, *organizations[] = {province}, *types[] = {memberships, activities, restarts};
        Nuanxin__Stream__V1__CreateAgencyRequest q = NUANXIN__STREAM__V1__CREATE_AGENCY_REQUEST__INIT;
        Agency agency = NUANXIN__STREAM__V1__AGENCY__INIT;
        Google__Protobuf__Timestamp expire = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        void *response;

        expire.seconds = clock_now_us(&s->clock) / CLOCK_SECOND_US + YEARS * 365 * 86400ll;
        agency.id = (char *)AGENCY;
        agency.name = (char *)"示范保险公司 / an insurer";
        agency.n_purposes = ARRAY_LEN(purposes);
        agency.purposes = purposes;
        agency.n_types = ARRAY_LEN(types);
        agency.types = types;
        agency.n_organizations = ARRAY_LEN(organizations);
        agency.organizations = organizations;
        agency.privacy = (char *)"personal";
        agency.agreement = (char *)"示范 / for a first look";
        agency.agreement_expire_time = &expire;
        q.agency = &agency;
        return seed_call_once_known(s, "CreateAgency", &q, &response);
}

/* Those that nobody knows any more: they would be in the way of new ones. */
static int revoke_keys(struct seed *s, const Agency *agency)
{
        int r = 0;
        for (size_t i = 0; i < agency->n_keys && r == 0; i++) {
                Nuanxin__Stream__V1__RevokeAgencyKeyRequest q = NUANXIN__STREAM__V1__REVOKE_AGENCY_KEY_REQUEST__INIT;
                void *response;
                q.agency = (char *)AGENCY;
                q.key = agency->keys[i]->id;
                r = seed_call(s, "RevokeAgencyKey", &q, NULL, &response);
        }
        return r;
}

/* public_key: of a CURVE pair; "": makes an API key. */
static int create_key(struct seed *s, const char *public_key, const NewKey **ret_key)
{
        Nuanxin__Stream__V1__CreateAgencyKeyRequest q = NUANXIN__STREAM__V1__CREATE_AGENCY_KEY_REQUEST__INIT;
        void *response;
        q.agency = (char *)AGENCY;
        q.public_key = (char *)public_key;
        int r = seed_call(s, "CreateAgencyKey", &q, NULL, &response);
        if (r == 0)
                *ret_key = response;
        return r;
}

/* With what the agency shows who it is. */
struct keys {
        struct str api, secret, public;
};

#define P(str_) (int)(str_).n, (str_).p

/* "agency" stands last in the file, whether it is there already or not. */
static int add_to_credentials(const char *path, struct seed *s, const struct keys *keys, const char *edge_key, struct str *credentials)
{
        static const char last[] = ",\n  \"agency\": ";
        const char *end = memmem(credentials->p, credentials->n, last, strlen(last));
        struct buf out = {0};
        size_t n = end ? (size_t)(end - credentials->p) : credentials->n;

        if (!end)
                while (n && strchr(" \n}", credentials->p[n - 1]))
                        n--;
        buf_add(&out, credentials->p, n);
        buf_printf(&out, "%s{\"id\": \"" AGENCY "\", \"key\": \"%.*s\", \"secret\": \"%.*s\", \"public\": \"%.*s\",\n"
                         "             \"edge\": \"tcp://%s\", \"edgeKey\": \"%s\"}\n}\n",
                   last, P(keys->api), P(keys->secret), P(keys->public), s->edge, edge_key);
        int r = str_eq(*credentials, buf_str(&out)) ? 0 : seed_write(path, buf_str(&out));
        *credentials = arena_str(s->arena, buf_str(&out));
        buf_done(&out);
        return r;
}

/* The public half, then the secret one. */
static int write_pair(struct seed *s, const struct keys *keys)
{
        struct buf out = {0};
        buf_printf(&out, "%.*s\n%.*s\n", P(keys->public), P(keys->secret));
        int r = seed_write(arena_printf(s->arena, "%s/agency.key", s->var), buf_str(&out));
        buf_done(&out);
        return r;
}

static int read_edge_key(struct seed *s, char ret_public[CURVE_KEY_SIZE])
{
        const char *path = s->edge_key_file ? s->edge_key_file : arena_printf(s->arena, "%s/edge/edge.key", s->var);
        struct str text;
        int r = seed_read(s, path, &text);
        if (r < 0)
                return r;
        r = curve_key_public(arena_str(s->arena, str_cut(&text, '\n')).p, ret_public);
        if (r < 0)
                fprintf(stderr, "%s is no CURVE secret key\n", path);
        return r;
}

int agency_keep(struct seed *s, const char *path, struct str *credentials)
{
        Nuanxin__Stream__V1__GetAgencyRequest get = NUANXIN__STREAM__V1__GET_AGENCY_REQUEST__INIT;
        char secret[CURVE_KEY_SIZE], public[CURVE_KEY_SIZE], edge_key[CURVE_KEY_SIZE];
        struct keys known = {seed_value(*credentials, AGENCY, "key"), seed_value(*credentials, AGENCY, "secret"),
                             seed_value(*credentials, AGENCY, "public")};
        const NewKey *api, *curve;
        void *found;

        get.agency = (char *)AGENCY;
        int r = read_edge_key(s, edge_key);
        if (r == 0)
                r = seed_call(s, "GetAgency", &get, NOT_THERE, &found);
        if (r == -EHOSTUNREACH) {
                fprintf(stderr, "the stream does not answer: until the next start there is no agency to try it with\n");
                return 0;
        }
        if (r < 0)
                return r;
        if (r == 0 && known.public.n) /* the edge may have moved */
                return add_to_credentials(path, s, &known, edge_key, credentials);
        r = r == 1 ? create(s) : r == 0 ? revoke_keys(s, found) : r;
        if (r == 0)
                r = create_key(s, "", &api);
        if (r == 0)
                r = curve_key_new(secret, public);
        if (r == 0)
                r = create_key(s, public, &curve);
        if (r)
                return r;
        known = (struct keys){str_of(api->api_key), str_of(secret), str_of(public)};
        r = write_pair(s, &known);
        return r ? r : add_to_credentials(path, s, &known, edge_key, credentials);
}

void agency_print(const struct seed *s, struct str credentials)
{
        struct str key = seed_value(credentials, AGENCY, "key"), edge_key = seed_value(credentials, AGENCY, "edgeKey");
        if (!s->edge || !key.n)
                return;
        printf("  curl -sw '\\n' 'http://%s/v1/events?maxEvents=3&wait=10' -H 'Authorization: Bearer %.*s'\n", s->http, P(key));
        printf("  deploy/subscribers/subscriber.py tcp://%s '%.*s' %s/agency.key %s/events.db   # until Ctrl-C; see README.md\n", s->edge,
               P(edge_key), s->var, s->var);
}
