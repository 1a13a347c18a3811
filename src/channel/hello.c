/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hello: written, parsed and checked in order of cost (trust.md section 3).
 */
#include "hello.h"

#include <string.h>

#include "role.h"

#define KNOWN_INSECURE                                                                             \
    (CLO_INSECURE_SIMULATOR | CLO_INSECURE_ROOT_OPERATOR | CLO_INSECURE_NO_ANCHOR)
#define KIND_BIT(kind) (1u << (kind))
#define KNOWN_KINDS    (KIND_BIT(CLO_TEE_COUNT) - 1u - KIND_BIT(CLO_TEE_NONE))

static uint32_t kinds_of(const clo_channel_self *self)
{
    if (self->maker == NULL) {
        return 0;
    }
    uint32_t simulator = KIND_BIT(CLO_TEE_SIMULATOR);
    return clo_hello_is_simulator(self->maker) ? simulator : KNOWN_KINDS & ~simulator;
}

clo_status clo_hello_make(const clo_channel_self *self, clo_hello *out_hello)
{
    clo_hello hello = {
        .version = CLO_HELLO_VERSION,
        .purpose = CLO_PURPOSE_CHANNEL,
        .role = self->role,
        .slot = self->slot,
        .incarnation = self->incarnation,
        .evidence_kinds = kinds_of(self),
        .insecure_flags = self->insecure_flags,
        .build = clo_hello_build,
    };
    if (hello.evidence_kinds == KIND_BIT(CLO_TEE_SIMULATOR)) {
        hello.insecure_flags |= CLO_INSECURE_SIMULATOR;
    }
    memcpy(hello.manifest, self->manifest, sizeof hello.manifest);
    CLO_TRY(clo_random_bytes(hello.nonce, sizeof hello.nonce));
    *out_hello = hello;
    return CLO_STATUS_OK;
}

void clo_hello_write(const clo_hello *hello, clo_buf *out)
{
    clo_put_u16be(out, hello->version);
    clo_put_u8(out, (uint8_t)hello->purpose);
    clo_put_bytes(out, hello->nonce, sizeof hello->nonce);
    clo_put_u8(out, (uint8_t)hello->role);
    clo_put_u32be(out, hello->slot);
    clo_put_u64be(out, hello->incarnation);
    clo_put_bytes(out, hello->manifest, sizeof hello->manifest);
    clo_put_u32be(out, hello->evidence_kinds);
    clo_put_u32be(out, hello->insecure_flags);
    clo_put_u8(out, (uint8_t)hello->build);
}

/* The version comes first, so that a peer of another time is told apart from a broken one. */
static clo_status check_version(clo_span payload)
{
    clo_reader reader = clo_reader_of(payload);
    uint16_t version = clo_read_u16be(&reader);
    CLO_TRY(clo_reader_check(&reader, "the hello"));
    CLO_CHECK(version == CLO_HELLO_VERSION, CLO_UNSUPPORTED,
              "peer speaks version %u of the channel, expected %u", version, CLO_HELLO_VERSION);
    return CLO_STATUS_OK;
}

static clo_status check_values(const clo_hello *hello)
{
    CLO_CHECK(hello->purpose == CLO_PURPOSE_CHANNEL, CLO_FORMAT,
              "hello has purpose %u, expected %u", (unsigned)hello->purpose, CLO_PURPOSE_CHANNEL);
    clo_peer_class as = clo_role_class(hello->role);
    CLO_CHECK(as != 0, CLO_FORMAT, "hello has the unknown role %u", (unsigned)hello->role);
    CLO_CHECK((hello->evidence_kinds & ~KNOWN_KINDS) == 0, CLO_FORMAT,
              "hello has unknown evidence kinds 0x%x", hello->evidence_kinds);
    CLO_CHECK((hello->insecure_flags & ~KNOWN_INSECURE) == 0, CLO_FORMAT,
              "hello has unknown insecure flags 0x%x", hello->insecure_flags);
    CLO_CHECK(hello->build == CLO_BUILD_RELEASE || hello->build == CLO_BUILD_DEVELOPMENT,
              CLO_FORMAT, "hello has the unknown build class %u", (unsigned)hello->build);
    CLO_CHECK((as == CLO_PEER_KEYED) == (hello->evidence_kinds == 0), CLO_FORMAT,
              "hello of role '%s' offers evidence kinds 0x%x", clo_role_name(hello->role),
              hello->evidence_kinds);
    CLO_CHECK(as != CLO_PEER_KEYED || hello->slot == CLO_SLOT_NONE, CLO_FORMAT,
              "hello of keyed role '%s' claims slot %u", clo_role_name(hello->role), hello->slot);
    return CLO_STATUS_OK;
}

clo_status clo_hello_parse(clo_span payload, clo_hello *out_hello)
{
    CLO_TRY(check_version(payload));
    clo_hello hello = {0};
    clo_reader reader = clo_reader_of(payload);
    hello.version = clo_read_u16be(&reader);
    hello.purpose = (clo_purpose)clo_read_u8(&reader);
    clo_read_copy(&reader, hello.nonce, sizeof hello.nonce);
    hello.role = (clo_role)clo_read_u8(&reader);
    hello.slot = clo_read_u32be(&reader);
    hello.incarnation = clo_read_u64be(&reader);
    clo_read_copy(&reader, hello.manifest, sizeof hello.manifest);
    hello.evidence_kinds = clo_read_u32be(&reader);
    hello.insecure_flags = clo_read_u32be(&reader);
    hello.build = (clo_build_class)clo_read_u8(&reader);
    CLO_TRY(clo_reader_finish(&reader, "the hello"));
    CLO_TRY(check_values(&hello));
    *out_hello = hello;
    return CLO_STATUS_OK;
}

clo_status clo_hello_check_class(const clo_hello *hello, clo_peer_class expected)
{
    clo_peer_class found = clo_role_class(hello->role);
    CLO_CHECK(found == expected, CLO_POLICY, "peer is '%s' and shows %s, expected %s",
              clo_role_name(hello->role), found == CLO_PEER_KEYED ? "a key" : "evidence",
              expected == CLO_PEER_KEYED ? "a key" : "evidence");
    return CLO_STATUS_OK;
}

clo_status clo_hello_check_self(const clo_hello *peer, const clo_hello *own)
{
    CLO_CHECK(memcmp(peer->nonce, own->nonce, sizeof own->nonce) != 0, CLO_ATTEST,
              "peer sent our own hello back");
    bool same_job =
        peer->role == own->role && memcmp(peer->manifest, own->manifest, sizeof own->manifest) == 0;
    CLO_CHECK(!same_job || own->slot == CLO_SLOT_NONE || peer->slot != own->slot, CLO_POLICY,
              "peer claims slot %u, which is ours", peer->slot);
    return CLO_STATUS_OK;
}

clo_status clo_hello_check_expected(const clo_hello *hello, const clo_expectation *expectation)
{
    CLO_CHECK(hello->role == expectation->role, CLO_POLICY, "peer is '%s', expected '%s'",
              clo_role_name(hello->role), clo_role_name(expectation->role));
    bool any_slot = expectation->slot == CLO_SLOT_NONE && hello->role == CLO_ROLE_BROKER;
    CLO_CHECK(any_slot || hello->slot == expectation->slot, CLO_POLICY,
              "peer has slot %d, expected %d", (int)hello->slot, (int)expectation->slot);
    bool same = memcmp(hello->manifest, expectation->manifest, sizeof hello->manifest) == 0;
    CLO_CHECK(!expectation->check_manifest || same, CLO_POLICY,
              "peer runs another job: its manifest digest begins %02x%02x, expected %02x%02x",
              hello->manifest[0], hello->manifest[1], expectation->manifest[0],
              expectation->manifest[1]);
    return CLO_STATUS_OK;
}
