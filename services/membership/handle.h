/* SPDX-License-Identifier: Apache-2.0
 *
 * Membership's handlers, one a method, and what they share.
 */
#pragma once

#include "common/rpc/rpc.h"
#include "services/membership/store.h"

#define PROBLEM(name) NUANXIN__PROBLEM__PROBLEM_##name

/* --- shared: answer.c ----------------------------------------------------------------------------------- */

#define ETAG_SIZE 24
void etag_of(int64_t version, char out[ETAG_SIZE]);
/* RPC_REFUSED if an etag is given and the resource has another version. */
int etag_check(struct rpc_call *call, const char *given, int64_t version) MUST_USE;
/* Is the field to be changed? No mask: yes if `otherwise`. */
bool mask_has(const Google__Protobuf__FieldMask *mask, const char *name, bool otherwise);

/* The organisation, or RPC_REFUSED as PROBLEM_ORGANIZATION_UNKNOWN. */
int find_organization(struct rpc_call *call, const char *code, struct organization *ret) MUST_USE;
/* Likewise, but PROBLEM_ORGANIZATION_NOT_VALID if it is not valid now: for what it gets anew. */
int find_valid_organization(struct rpc_call *call, const char *code, struct organization *ret) MUST_USE;

/* The member, if the caller may: staff there, or with OWN_TOO the member. RPC_REFUSED if not, or if there is none. Tells the
 * audit. */
enum reach { STAFF_ONLY, OWN_TOO };
int find_member(struct rpc_call *call, const char *id, enum reach reach, struct member *ret) MUST_USE;
/* Likewise, but somebody of whom there is more than the id: else PROBLEM_MEMBER_ERASED. */
int find_person(struct rpc_call *call, const char *id, enum reach reach, struct member *ret) MUST_USE;

/* The path of an organisation for the dispatcher; "" is "/", above all. */
int organization_path(struct rpc_call *call, struct str code, struct str *ret_path) MUST_USE;

/* --- organisations -------------------------------------------------------------------------------------- */

int emit_organization(struct rpc_call *call, const struct organization *o) MUST_USE;
int snapshot_organizations(struct rpc_call *call, const char *key, unsigned limit);
int snapshot_members(struct rpc_call *call, const char *key, unsigned limit);
int snapshot_erasures(struct rpc_call *call, const char *key, unsigned limit);
int snapshot_consents(struct rpc_call *call, const char *key, unsigned limit);
int snapshot_accounts(struct rpc_call *call, const char *key, unsigned limit);

int handle_get_organization(struct rpc_call *call, const GetOrganizationRequest *request,
                            Organization *response);
int handle_list_organizations(struct rpc_call *call, const ListOrganizationsRequest *request,
                              ListOrganizationsResponse *response);
int handle_create_organization(struct rpc_call *call, const CreateOrganizationRequest *request,
                               Organization *response);
int handle_update_organization(struct rpc_call *call, const UpdateOrganizationRequest *request,
                               Organization *response);
int handle_move_organization(struct rpc_call *call, const MoveOrganizationRequest *request,
                             Organization *response);
int handle_get_organization_counts(struct rpc_call *call, const GetOrganizationCountsRequest *request,
                                   OrganizationCounts *response);

/* --- imports and their operations ----------------------------------------------------------------------- */

int handle_import_organizations(struct rpc_call *call, const ImportOrganizationsRequest *request,
                                Operation *response);
int handle_get_operation(struct rpc_call *call, const GetOperationRequest *request, Operation *response);
int handle_list_operation_errors(struct rpc_call *call, const ListOperationErrorsRequest *request,
                                 ListOperationErrorsResponse *response);

/* --- grants and lists below an organisation: grant.c ---------------------------------------------------- */

/* The grants of a request: each organisation must exist, and the caller must hold `permission` there. */
int grants_take(struct rpc_call *call, const char *permission, RoleGrant *const *asked, size_t n,
                struct role_grant out[ROLE_GRANT_MAX]) MUST_USE;
/* Whoever changes an account or client must hold `permission` wherever that has rights: else a county's administrator
 * could take over a wider account that the county manages. */
int grants_within(struct rpc_call *call, const char *permission, const char *holder) MUST_USE;
int grants_fill(struct rpc_call *call, const char *holder, RoleGrant ***ret, size_t *ret_n) MUST_USE;
/* The grants as a principal has them. */
int grants_principal(struct rpc_call *call, const char *holder, Grant ***ret, size_t *ret_n) MUST_USE;

/* A page of a list that runs over the subtree of an organisation, in the order (path, id). */
struct subtree_page {
        struct str what; /* what is listed: binds the token */
        struct str path; /* of the organisation */
        char *after_path, *after_id;
        int64_t size;
};
int subtree_page_start(struct rpc_call *call, const char *organization, const char *more, int32_t size,
                       const char *token, struct subtree_page *ret) MUST_USE;
char *subtree_page_next(struct rpc_call *call, const struct subtree_page *page, const char *path,
                        const char *id);

/* --- accounts and sessions ------------------------------------------------------------------------------ */

int prepare_create_account(struct rpc_call *call, const CreateAccountRequest *request);
int handle_create_account(struct rpc_call *call, const CreateAccountRequest *request, Account *response);
int handle_get_account(struct rpc_call *call, const GetAccountRequest *request, Account *response);
int handle_list_accounts(struct rpc_call *call, const ListAccountsRequest *request,
                         ListAccountsResponse *response);
int handle_set_account_grants(struct rpc_call *call, const SetAccountGrantsRequest *request,
                              Account *response);
int prepare_set_account_password(struct rpc_call *call, const SetAccountPasswordRequest *request);
int handle_set_account_password(struct rpc_call *call, const SetAccountPasswordRequest *request,
                                Account *response);
int handle_disable_account(struct rpc_call *call, const DisableAccountRequest *request, Account *response);
int handle_enable_account(struct rpc_call *call, const EnableAccountRequest *request, Account *response);
int handle_revoke_account_sessions(struct rpc_call *call, const RevokeAccountSessionsRequest *request,
                                   Account *response);

int account_fill(struct rpc_call *call, const struct account *a, Account *out) MUST_USE;
int prepare_create_session(struct rpc_call *call, const CreateSessionRequest *request);
int handle_create_session(struct rpc_call *call, const CreateSessionRequest *request, Session *response);
int handle_delete_session(struct rpc_call *call, const DeleteSessionRequest *request,
                          DeleteSessionResponse *response);
int handle_exchange_session(struct rpc_call *call, const ExchangeSessionRequest *request, Session *response);

/* --- clients -------------------------------------------------------------------------------------------- */

int handle_create_client(struct rpc_call *call, const CreateClientRequest *request, ClientKey *response);
int handle_list_clients(struct rpc_call *call, const ListClientsRequest *request,
                        ListClientsResponse *response);
int handle_rotate_client_key(struct rpc_call *call, const RotateClientKeyRequest *request,
                             ClientKey *response);
int handle_disable_client(struct rpc_call *call, const DisableClientRequest *request, Client *response);
int handle_enable_client(struct rpc_call *call, const EnableClientRequest *request, Client *response);
int handle_authenticate_client(struct rpc_call *call, const AuthenticateClientRequest *request,
                               Principal *response);

/* --- members -------------------------------------------------------------------------------------------- */

int handle_apply_member(struct rpc_call *call, const ApplyMemberRequest *request, Member *response);
int handle_approve_member(struct rpc_call *call, const ApproveMemberRequest *request, Member *response);
int handle_suspend_member(struct rpc_call *call, const SuspendMemberRequest *request, Member *response);
int handle_resume_member(struct rpc_call *call, const ResumeMemberRequest *request, Member *response);
int handle_end_member(struct rpc_call *call, const EndMemberRequest *request, Member *response);
int handle_mark_member_deceased(struct rpc_call *call, const MarkMemberDeceasedRequest *request,
                                Member *response);
int handle_get_member(struct rpc_call *call, const GetMemberRequest *request, Member *response);
int handle_list_members(struct rpc_call *call, const ListMembersRequest *request,
                        ListMembersResponse *response);
int handle_update_member(struct rpc_call *call, const UpdateMemberRequest *request, Member *response);
int handle_reveal_member(struct rpc_call *call, const RevealMemberRequest *request, RevealedMember *response);
int handle_export_member_data(struct rpc_call *call, const ExportMemberDataRequest *request,
                              MemberData *response);
int handle_erase_member(struct rpc_call *call, const EraseMemberRequest *request, Member *response);
int handle_find_members(struct rpc_call *call, const FindMembersRequest *request,
                        FindMembersResponse *response);
int handle_get_member_card(struct rpc_call *call, const GetMemberCardRequest *request, MemberCard *response);
int handle_import_members(struct rpc_call *call, const ImportMembersRequest *request, Operation *response);

/* --- consents ------------------------------------------------------------------------------------------- */

int handle_give_consent(struct rpc_call *call, const GiveConsentRequest *request, Consent *response);
int handle_withdraw_consent(struct rpc_call *call, const WithdrawConsentRequest *request,
                            ListConsentsResponse *response);
int handle_list_consents(struct rpc_call *call, const ListConsentsRequest *request,
                         ListConsentsResponse *response);
/* Nothing of them is left, some time later also in what is still told of them. */
int consents_erase(struct rpc_call *call, const char *member) MUST_USE;
#define DUE_FORGET_CONSENTS "consents-forget"
int due_forget_consents(struct rpc_call *call, const char *member, struct str payload);
/* All that the member ever gave. */
int consents_fill(struct rpc_call *call, const char *member, Consent ***ret, size_t *ret_n) MUST_USE;
