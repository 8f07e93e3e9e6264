/* PagerDuty's base roles and what each may do here. */
#include "node/api/roles.h"

static const enum permission permission_of_role[] = {
    [TOCSIN__ROLE__ROLE_NONE] = PERMISSION_READ,
    [TOCSIN__ROLE__ROLE_OWNER] = PERMISSION_ADMINISTER,
    [TOCSIN__ROLE__ROLE_ADMIN] = PERMISSION_ADMINISTER,
    [TOCSIN__ROLE__ROLE_USER] = PERMISSION_CONFIGURE,
    [TOCSIN__ROLE__ROLE_LIMITED_USER] = PERMISSION_RESPOND,
    [TOCSIN__ROLE__ROLE_OBSERVER] = PERMISSION_READ,
    [TOCSIN__ROLE__ROLE_RESTRICTED_ACCESS] = PERMISSION_READ,
    [TOCSIN__ROLE__ROLE_READ_ONLY_USER] = PERMISSION_READ,
    [TOCSIN__ROLE__ROLE_READ_ONLY_LIMITED_USER] = PERMISSION_READ,
};

bool role_has(Tocsin__Role role, enum permission permission)
{
    size_t count = sizeof permission_of_role / sizeof *permission_of_role;

    return (size_t)role < count && permission_of_role[role] >= permission;
}

bool role_require(struct http_request *request, enum permission permission)
{
    if (role_has(api_call_of(request)->principal.role, permission)) {
        return true;
    }
    api_error(request, 403, 2010, "Access Denied",
              json_pack("[s]", "The role of this token does not allow this action"));
    return false;
}

bool role_require_own(struct http_request *request, uint64_t user_id)
{
    bool own = api_call_of(request)->principal.user_id == user_id;

    return role_require(request, own ? PERMISSION_RESPOND : PERMISSION_ADMINISTER);
}
