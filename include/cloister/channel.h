/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_CHANNEL_H
#define CLOISTER_CHANNEL_H

/*
 * channel: the attested connection. Nothing that matters crosses a network except through here.
 *
 *     connecting side                                     accepting side
 *         TLS 1.3, mutual, fresh keys, no resumption  <-->
 *         HELLO  ------------------------------------------>
 *                <------------------------------------------  HELLO
 *         EVIDENCE + COLLATERAL --------------------------->   verify, appraise, admit
 *                <-------------------  EVIDENCE + COLLATERAL   (only now: never for an unverified
 * peer) verify, appraise, admit ACCEPT ------------------------------------------>
 *                <------------------------------------------  ACCEPT
 *         application frames <----------------------------->
 *
 * Evidence binds this connection: report_data is made from the transcript
 *     T = label[32] || direction u8 || round u32 || exporter[32] || SHA-256(client certificate)
 *         || SHA-256(server certificate) || SHA-256(client hello) || SHA-256(server hello)
 * (trust.md section 3; attestation before or inside the handshake can be replayed, relayed and
 * diverted). The gate is a non-blocking state machine; its table is in src/channel/gate.c.
 *
 * Invariants:
 *   - No application byte is sent or parsed before both ACCEPTs.
 *   - What the peer must be is fixed before the first byte: the peer class per listener or per
 *     connect, the rest by the expectation that the owner of the connection gives for the hello.
 *   - A failure sends one coarse code; the reason stays here, in the status.
 *   - Every step has a deadline: 5 s for TLS, 10 s for the gate.
 *
 * Peer classes: *attested* (slots of a job, brokers) show evidence; *keyed* (a pinned owner) show a
 * known key and get evidence; *public* peers show nothing and get evidence only when they ask
 * (serving; not built yet).
 *
 * Ownership: a channel owns its descriptor; key, certificate and maker are borrowed and must
 * outlive it. Threads: one thread at a time per channel; a maker shared by channels is used under a
 * lock given with it.
 *
 *     clo_channel_self self = {.role = CLO_ROLE_TRAINER, .slot = 1, ...};
 *     CLO_TRY(clo_channel_connect("10.0.0.2:29500", NULL, &self, &expect, deadline, &channel));
 *     CLO_TRY(clo_channel_send(channel, clo_span_of_str("hello"), deadline));
 */
#include "cloister/attest.h"

#define CLO_CHANNEL_ALPN "cloister/1"
#define CLO_SLOT_NONE    0xffffffffu

/* Roles are constants of command-table rows: no argument or environment sets one. */
typedef enum {
    CLO_ROLE_NONE = 0,
    CLO_ROLE_BROKER,
    CLO_ROLE_TRAINER,
    CLO_ROLE_EVALUATOR,
    CLO_ROLE_OWNER, /* keyed; never a slot */
    CLO_ROLE_COUNT
} clo_role;

const char *clo_role_name(clo_role role);
clo_status clo_role_parse(clo_span name, clo_role *out_role);

typedef enum { CLO_PEER_ATTESTED = 1, CLO_PEER_KEYED } clo_peer_class;

typedef enum { CLO_BUILD_RELEASE = 1, CLO_BUILD_DEVELOPMENT } clo_build_class;

/* insecure_ flags that are part of the hello, and so of the evidence. */
#define CLO_INSECURE_SIMULATOR     0x1u
#define CLO_INSECURE_ROOT_OPERATOR 0x2u /* broker: root key from a passphrase or file */
#define CLO_INSECURE_NO_ANCHOR     0x4u /* broker: state has no freshness anchor */

/* The hello frame, at most 1 KiB on the wire. */
typedef struct {
    uint16_t version;
    clo_purpose purpose;
    uint8_t nonce[32];
    clo_role role;
    uint32_t slot;
    uint64_t incarnation;
    uint8_t manifest[32];    /* digest; zero when there is none (owner, broker) */
    uint32_t evidence_kinds; /* 1 << clo_tee_kind that this side can show, from its maker; 0 for
                                keyed */
    uint32_t insecure_flags;
    clo_build_class build;
} clo_hello;

/* This end. */
typedef struct {
    clo_peer_class as; /* how this end shows itself */
    clo_role role;
    uint32_t slot; /* CLO_SLOT_NONE before enrolment */
    uint64_t incarnation;
    uint8_t manifest[32];
    uint32_t insecure_flags; /* the simulator's is added where the maker is it */
    const clo_key *key;
    const clo_cert *cert;
    clo_maker *maker;      /* NULL for keyed */
    clo_mutex *maker_lock; /* held around each use of the maker; may be NULL */
} clo_channel_self;

/* What is demanded of the other end, given once its hello is known. */
typedef struct {
    clo_role role;
    uint32_t slot;       /* CLO_SLOT_NONE: must be unassigned, or any for brokers */
    bool check_manifest; /* hello.manifest must equal `manifest` */
    uint8_t manifest[32];
    clo_appraisal appraisal; /* not used for keyed peers */
    clo_anchor anchors[CLO_MAX_ANCHORS];
    uint32_t anchor_count;
    clo_collateral_floors floors;
} clo_expectation;

/* What is known of the other end once it was accepted. Borrowed from the channel. */
typedef struct {
    clo_hello hello;
    clo_peer_class as;
    clo_address address;
    uint8_t key_id[32];          /* SHA-256 of the SPKI in its certificate */
    uint8_t platform_id[32];     /* zero for keyed */
    uint8_t evidence_digest[32]; /* SHA-256 of the quote */
    clo_verdict verdict;         /* claims and checks; empty for keyed */
    uint32_t round;              /* of the last attestation: 0 at connect */
} clo_peer;

/* Decisions of the connection's owner. Both run inside the gate, must not block, and refuse by
 * returning a status (whose text stays on this side). */
typedef struct {
    clo_peer_class peer_class; /* fixed: another kind of peer is refused */
    /* Fills the expectation for a peer that says it is `hello`. */
    clo_status (*expect)(void *arg, const clo_hello *hello, clo_expectation *out_expectation);
    /* Last word, after verification: roster row, job certificate, pinned key, fencing. `cert` is
     * the peer's certificate. May be NULL. */
    clo_status (*admit)(void *arg, const clo_peer *peer, const clo_cert *cert);
    void *arg;
} clo_channel_rules; /* keyed peers need `admit`; a keyed end only connects */

typedef struct clo_channel clo_channel;

/* Connects and passes the gate. CLO_TIMEOUT, CLO_CLOSED, CLO_CRYPTO (TLS), CLO_ATTEST, CLO_POLICY,
 * CLO_DENIED (the other side refused; its reason is not told). */
clo_status clo_channel_connect(const char *address, const char *local_interface,
                               const clo_channel_self *self, const clo_channel_rules *rules,
                               clo_deadline deadline, clo_channel **out_channel);

/* Passes the gate on an accepted or connected descriptor, which the channel takes over (it is
 * closed on failure too). The blocking form; listeners use the stepping one. */
clo_status clo_channel_open(clo_tls_side side, int fd, const clo_address *peer,
                            const clo_channel_self *self, const clo_channel_rules *rules,
                            clo_deadline deadline, clo_channel **out_channel);

/* The stepping form: begin, then step whenever the descriptor is ready, until *out_done. A status
 * other than CLO_OK means the channel failed and is to be freed. */
clo_status clo_channel_begin(clo_tls_side side, int fd, const clo_address *peer,
                             const clo_channel_self *self, const clo_channel_rules *rules,
                             clo_channel **out_channel);
clo_status clo_channel_step(clo_channel *channel, bool *out_done);

/* Sends close_notify if it can at once, closes. NULL is fine. */
void clo_channel_close(clo_channel *channel);
CLO_DEFINE_AUTO_PTR(clo_channel, clo_channel_close);

const clo_peer *clo_channel_peer(const clo_channel *channel);
int clo_channel_fd(const clo_channel *channel);
short clo_channel_events(const clo_channel *channel); /* poll bits the next step waits for */
/* Until when the present step may take: pollers wait no longer, and then step to hear so. */
clo_deadline clo_channel_deadline(const clo_channel *channel);
/* True once any call on it failed: tells which of two channels an exchange failed on. */
bool clo_channel_is_broken(const clo_channel *channel);
/* 32 bytes that both ends of this session share, for request ids. */
void clo_channel_session_id(const clo_channel *channel, uint8_t out_id[32]);

/* ---------------------------------------------------------------- messages -------------------- */

#define CLO_MESSAGE_MAX (16u << 20)

/* One application message each, whole. Control frames (re-attestation, key update) are handled on
 * the way. send takes no messages in: two ends that send large messages to each other at the same
 * time use exchange. recv appends to `out`, whose limit caps the message. CLO_EOF when the peer
 * closed properly, CLO_CLOSED when it did not; CLO_TIMEOUT leaves the channel unusable. */
clo_status clo_channel_send(clo_channel *channel, clo_span message, clo_deadline deadline);
clo_status clo_channel_recv(clo_channel *channel, clo_buf *out, clo_deadline deadline);

/* Full duplex, for collectives: sends `out_bytes` on `to` while receiving exactly in_size bytes
 * from `from` (which may be the same channel) straight into `in`; either may be empty (NULL
 * channel). Frames are streamed, nothing is buffered whole. A direction of zero bytes is no message
 * at all. The peer's message must have exactly in_size bytes: CLO_FORMAT. */
clo_status clo_channel_exchange(clo_channel *to, clo_span out_bytes, clo_channel *from, void *in,
                                size_t in_size, clo_deadline deadline);

/* Whether a message (or close) has begun to arrive: for servers that poll. */
bool clo_channel_has_input(clo_channel *channel);

/* ---------------------------------------------------------------- upkeep ---------------------- */

#define CLO_REATTEST_INTERVAL_MS (10 * 60 * 1000)
#define CLO_REATTEST_ANSWER_MS   (30 * 1000)
#define CLO_KEY_UPDATE_RECORDS   (1u << 22)

/* Traffic keys change every CLO_KEY_UPDATE_RECORDS records, both ways, on the connecting end's
 * initiative; evidence is asked for anew by whoever verified it.
 *
 * Called between messages (step boundaries): asks the peer for fresh evidence when the interval has
 * passed, the collateral of its last evidence has expired, or `now` is set (a new roster), and
 * fails the channel when an answer is overdue. A peer whose collateral ends within a day is logged
 * as a warning when its evidence is verified, once for each end. */
clo_status clo_channel_upkeep(clo_channel *channel, bool now);

/* Application bytes and TLS records so far, for metrics and tests. */
typedef struct {
    uint64_t bytes_sent, bytes_received;
    uint64_t records_sent;
    uint32_t key_updates;
    uint32_t attestations_made, attestations_verified;
} clo_channel_stats;

clo_channel_stats clo_channel_get_stats(const clo_channel *channel);

/* ---------------------------------------------------------------- listener -------------------- */

#define CLO_LISTENER_HALF_OPEN         64
#define CLO_LISTENER_HALF_OPEN_ADDRESS 8

typedef struct clo_listener clo_listener;

/* Listens; the peer class in `rules` holds for every connection. self and rules are copied (what
 * they point to is borrowed). */
clo_status clo_listener_open(const char *address, const clo_channel_self *self,
                             const clo_channel_rules *rules, clo_listener **out_listener);
void clo_listener_close(clo_listener *listener);
CLO_DEFINE_AUTO_PTR(clo_listener, clo_listener_close);
void clo_listener_address(const clo_listener *listener, clo_address *out_address);

/* Accepts and drives all half-open connections until one passes the gate or the deadline
 * (CLO_TIMEOUT). Peers that fail are closed and reported to `refused` (may be NULL), and do not end
 * the wait. */
typedef struct {
    void (*refused)(void *arg, const clo_address *peer, clo_status reason);
    void *arg;
} clo_listener_hooks;

clo_status clo_listener_accept(clo_listener *listener, const clo_listener_hooks *hooks,
                               clo_deadline deadline, clo_channel **out_channel);

#endif
