/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a broker may say of itself in its hello: weaknesses and build classes that the trust
 * accepts, and no others.
 */
#include "kms_rig.h"
#include "link.h"

static clo_hello broker_hello(clo_build_class build, uint32_t flags)
{
    return (clo_hello){
        .role = CLO_ROLE_BROKER, .slot = CLO_SLOT_NONE, .build = build, .insecure_flags = flags};
}

/* Under a trust that accepts these weaknesses. */
static clo_status expect(clo_build_class build, uint32_t flags, uint32_t accepted)
{
    clo_broker_trust trust = rig_trust();
    trust.insecure_accepted = accepted;
    clo_broker_check check = CLO_BROKER_CHECK_INIT(&trust);
    clo_channel_rules rules = clo_broker_rules(&check);
    clo_hello hello = broker_hello(build, flags);
    clo_expectation expectation;
    return rules.expect(rules.arg, &hello, &expectation);
}

static void refuses_a_development_build_unless_the_simulator_is_accepted(void)
{
    char text[512];
    uint32_t others = CLO_INSECURE_ROOT_OPERATOR | CLO_INSECURE_NO_ANCHOR;
    T_OK(expect(CLO_BUILD_DEVELOPMENT, 0, CLO_INSECURE_SIMULATOR));
    T_OK(expect(CLO_BUILD_RELEASE, 0, 0));
    T_CODE(expect(CLO_BUILD_DEVELOPMENT, 0, 0), CLO_POLICY);
    clo_status status = expect(CLO_BUILD_DEVELOPMENT, others, others);
    clo_status_text(status, text, sizeof text);
    T_INT(status.code, CLO_POLICY);
    T_CHECK(strstr(text, "development build") != NULL);
    T_OK(expect(CLO_BUILD_RELEASE, others, others)); /* the control */
}

static void names_the_weakness_that_nobody_accepted(void)
{
    char text[512];
    uint32_t flags = CLO_INSECURE_SIMULATOR | CLO_INSECURE_ROOT_OPERATOR;
    T_OK(expect(CLO_BUILD_DEVELOPMENT, flags, flags));
    clo_status status = expect(CLO_BUILD_DEVELOPMENT, flags, CLO_INSECURE_SIMULATOR);
    clo_status_text(status, text, sizeof text);
    T_INT(status.code, CLO_POLICY);
    T_CHECK(strstr(text, "insecure_root_operator") != NULL);
    T_CODE(expect(CLO_BUILD_RELEASE, 0x80, flags), CLO_POLICY); /* one without a name */
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(refuses_a_development_build_unless_the_simulator_is_accepted),
        T(names_the_weakness_that_nobody_accepted),
    };
    rig_keys_make();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    rig_keys_free();
    return code;
}
