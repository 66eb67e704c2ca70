/* SPDX-License-Identifier: Apache-2.0
 *
 * How the operator speaks to the runner: a unix socket in the stack's folder, VAR/runner.sock, mode 0600. `nuanxin scale`
 * and `nuanxin restart` are its clients. One conversation a connection:
 *
 *   C: "scale" *(SP name "=" count) LF              count: 1 (of what others can do without: 0) to `most`;
 *                                                   a name that is not said stays as it is
 *   S: *("scale" SP name SP wanted SP ready SP most LF)   of every name, once all wanted are ready and the others have ended
 *   S: "ok" LF                                      or, in the place of all this:
 *   S: "refused" SP text LF                         nothing was changed: the text says why
 *   S: "failed" SP text LF                          it was changed, but is not as wanted yet: the text says what is missing
 *
 *   C: "restart" SP instance LF                     such as membership-2, or redis: it is told to end, and starts again
 *   S: ("ok" / "refused" SP text / "failed" SP text) LF   once it is ready anew, and all the others are
 *
 * The runner closes after its answer, and after 60 s. A client that leaves before changes nothing.
 */
#pragma once

struct control;
struct stack;

int control_new(struct stack *stack, struct control **ret_control);
struct control *control_free(struct control *control); /* takes NULL */
/* A part's state has changed: answers may be due. Takes NULL. */
void control_look(struct control *control);
