/* SPDX-License-Identifier: Apache-2.0
 *
 * Events cut down to what may be shown: the first byte chooses the type, the format and whether all of it is hidden that can
 * be; the rest is the packed message. What is cut down must be a message without the hidden field, and cutting it down again
 * must change nothing.
 */
// uses: services/stream/view.c services/stream/projection.c services/stream/render.c
#include "services/stream/render.h"

#include "contract/activity_v1.h"
#include "contract/membership_v1.h"

#include <stdlib.h>

static const struct contract_message *const types[] = {
        &activity_v1_campaign_created_msg, &activity_v1_activity_updated_msg, &activity_v1_checkin_amended_msg,
        &membership_v1_organization_changed_msg, &membership_v1_member_erased_msg, &membership_v1_consent_given_msg,
};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
        static const char *const withheld[] = {"nuanxin.activity.v1.Campaign.title", "nuanxin.activity.v1.Activity.place"};
        static struct projection *open, *narrow;
        if (!open) {
                contract_init();
                open = projection_new(NUANXIN__PRIVACY__PERSONAL, (struct view_list){NULL, 0});
                narrow = projection_new(NUANXIN__PRIVACY__PUBLIC, (struct view_list){withheld, ARRAY_LEN(withheld)});
        }
        if (!n)
                return 0;
        const struct projection *projection = p[0] & 1 ? narrow : open;
        EventFormat format = p[0] & 2 ? NUANXIN__STREAM__V1__EVENT_FORMAT__PROTOBUF : NUANXIN__STREAM__V1__EVENT_FORMAT__JSON;
        const struct contract_message *type = types[(p[0] >> 2) % ARRAY_LEN(types)];
        struct arena *arena = arena_new(65536);
        struct buf out = {0};
        struct str shown, again;
        if (projection_apply(projection, arena, type, str_bytes(p + 1, n - 1), &shown) == 0) {
                if (projection_apply(projection, arena, type, shown, &again) != 0 || !str_eq(shown, again) || shown.n > n - 1)
                        abort();
                StoredEvent event = NUANXIN__STREAM__V1__STORED_EVENT__INIT;
                event.id = event.source = event.subject = (char *)"x";
                event.data = (ProtobufCBinaryData){.len = n - 1, .data = (uint8_t *)(uintptr_t)(p + 1)};
                if (render_event(&out, arena, projection, format, &event, type) != 0 && out.n)
                        abort();
        }
        buf_done(&out);
        arena_free(arena);
        return 0;
}
