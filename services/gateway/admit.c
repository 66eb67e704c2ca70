/* SPDX-License-Identifier: Apache-2.0
 *
 * Admission: the credential names a caller; Redis (or a copy) says who that is; each who is involved pays a token. A
 * credential that is none makes its sender a stranger, whose address pays, so that guessing is slow.
 */
#include "services/gateway/admit.h"

#include "services/gateway/answer.h"
#include "services/gateway/auth.h"

static void charge(struct request *r, struct caller *caller, Nuanxin__RateClass class)
{
        if (r->n_charges == REQUEST_CHARGES_MAX)
                return;
        caller->pins++;
        r->charges[r->n_charges++] = (struct charge){.caller = caller, .class = class};
}

static void uncharge(struct request *r)
{
        while (r->n_charges)
                caller_unpin(r->charges[--r->n_charges].caller);
}

static void charge_address(struct request *r, Nuanxin__RateClass class)
{
        char key[48];
        forwarded_rate_key(key, r->address);
        struct caller *address = callers_get(r->worker->callers, CALLER_ADDRESS, str_of(key));
        charge(r, address, class);
        caller_unpin(address);
}

static void become_stranger(struct request *r)
{
        r->stranger = true;
        uncharge(r);
        charge_address(r, r->class);
}

/* The principal is known: who pays. A client pays for itself and for the sessions that it opened. */
static void become_known(struct request *r)
{
        r->identified = true;
        if (r->who->client)
                charge(r, r->who->client, r->class);
}

static void choose_caller(struct request *r)
{
        struct str credential;
        enum auth_kind kind = AUTH_NONE;
        if (strcmp(r->route->method->permission, "public") != 0)
                kind = auth_credential(r->headers.values[HEADER_AUTHORIZATION], &credential);
        switch (kind) {
        case AUTH_SESSION:
                r->who = callers_get(r->worker->callers, CALLER_SESSION, credential);
                charge(r, r->who, r->class);
                break;
        case AUTH_KEY:
                r->who = callers_get(r->worker->callers, CALLER_KEY, credential);
                break;
        case AUTH_NONE:
        case AUTH_BAD:
                charge_address(r, r->class);
                r->who = r->charges[0].caller;
                r->who->pins++;
                r->identified = true;
                r->stranger = strcmp(r->route->method->permission, "public") != 0;
                break;
        }
        if (r->route->always_check)
                r->checks_wanted = r->who->checks + 1;
}

/* Takes what is not paid yet. ADMISSION_WAITS if any must wait, ADMISSION_DENIED if any is used up. */
static enum admission pay(struct request *r, int64_t *ret_wait_us)
{
        enum admission all = ADMITTED;
        for (size_t i = 0; i < r->n_charges; i++) {
                struct charge *c = &r->charges[i];
                if (c->paid)
                        continue;
                enum admission one = caller_take(r->worker->callers, c->caller, c->class, ret_wait_us);
                c->paid = one == ADMITTED;
                if (one == ADMISSION_DENIED)
                        return one;
                if (one == ADMISSION_WAITS)
                        all = one;
        }
        return all;
}

static bool wait_for_answers(struct request *r)
{
        r->waiter.fn = request_go;
        r->waiter.arg = r;
        callers_wait(r->worker->callers, &r->waiter);
        return false;
}

static bool deny(struct request *r, int64_t wait_us)
{
        metric_add(r->worker->callers->metrics.limited, 1);
        answer_problem(r, &(struct problem){.value = NUANXIN__PROBLEM__PROBLEM_RATE_LIMITED},
                       (uint32_t)(wait_us / 1000 + 1));
        return false;
}

/* Settles who it is, as far as that goes without waiting. ADMISSION_DEAD: Redis does not know the API key. */
static enum admission identify(struct request *r)
{
        if (r->identified || r->stranger)
                return ADMITTED;
        enum admission a = caller_identify(r->worker->callers, r->who, r->checks_wanted);
        if (a == ADMITTED)
                become_known(r);
        else if (r->who->kind == CALLER_KEY && a != ADMISSION_WAITS && !r->fetched)
                return ADMISSION_DEAD;
        else if (a == ADMISSION_DEAD)
                become_stranger(r);
        return a == ADMISSION_DEAD ? ADMITTED : a;
}

/* A key that Redis does not know, or can't be asked about: its service is asked, not too often for one address. */
static bool ask_service(struct request *r)
{
        char key[48];
        if (auth_refused(r->worker, r->who)) {
                r->fetched = true;
                become_stranger(r);
                return admit(r);
        }
        if (!r->who->fetch) {
                forwarded_rate_key(key, r->address);
                struct caller *address = callers_get(r->worker->callers, CALLER_ADDRESS, str_of(key));
                int64_t wait_us = caller_take_local(r->worker->callers, address, NUANXIN__RATE_CLASS__RATE_LOGIN);
                caller_unpin(address);
                if (wait_us)
                        return deny(r, wait_us);
        }
        auth_fetch(r);
        return false;
}

void auth_fetch_done(struct request *r, int outcome)
{
        r->fetched = true;
        if (outcome < 0) {
                answer_refusal(r, NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE, NULL);
                return;
        }
        if (outcome == 0)
                become_known(r);
        else
                become_stranger(r);
        request_go(r);
}

bool admit(struct request *r)
{
        int64_t wait_us = 0;
        if (!r->who)
                choose_caller(r);
        enum admission known = identify(r);
        if (known == ADMISSION_DEAD)
                return ask_service(r);
        if (known == ADMISSION_GONE) {
                answer_refusal(r, NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE, NULL);
                return false;
        }
        enum admission paid = pay(r, &wait_us);
        if (paid == ADMISSION_DENIED)
                return deny(r, wait_us);
        if (known == ADMISSION_WAITS || paid == ADMISSION_WAITS)
                return wait_for_answers(r);
        if (r->stranger)
                answer_refusal(r, auth_problem(r), NULL);
        return !r->stranger;
}

bool admit_account(struct request *r, struct str login)
{
        int64_t wait_us = 0;
        if (r->state == REQUEST_ADMITTED && login.n) {
                char *name = arena_strndup(r->http->arena, login.p, login.n);
                for (char *p = name; *p; p++) /* as membership compares them */
                        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 'a' - 'A' : *p);
                struct caller *account = callers_get(r->worker->callers, CALLER_ACCOUNT, str_of(name));
                charge(r, account, NUANXIN__RATE_CLASS__RATE_LOGIN);
                caller_unpin(account);
        }
        r->state = REQUEST_DECODED;
        enum admission paid = pay(r, &wait_us);
        if (paid == ADMISSION_DENIED)
                return deny(r, wait_us);
        return paid == ADMITTED || wait_for_answers(r);
}
