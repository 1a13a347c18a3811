/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Randomness. OpenSSL's generator is the source; everything here guards against one failure of it:
 * a virtual machine restored from a snapshot repeats the generator's state, and with it keys and
 * nonces. Reseeding takes fresh bytes from the kernel, and salts mix sources that a snapshot does
 * not hold (the kernel after its own generation change, the processor's generator) with a counter.
 */
#include "crypto_internal.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <sys/random.h>

static _Atomic uint64_t salt_counter;

#if defined(__x86_64__)
#    include <cpuid.h>

__attribute__((target("rdrnd"))) static uint64_t processor_random(void)
{
    unsigned a, b, c = 0, d;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_RDRND) == 0) {
        return 0;
    }
    unsigned long long value = 0;
    for (int attempt = 0; attempt < 10; attempt++) {
        if (__builtin_ia32_rdrand64_step(&value) == 1) {
            return value;
        }
    }
    return 0;
}
#else
/* It only adds to two other sources; a processor without one is no failure. */
static uint64_t processor_random(void)
{
    return 0;
}
#endif

static clo_status kernel_random(uint8_t out[32])
{
    /* Up to 256 bytes come whole once the kernel's pool is ready; a signal may interrupt before. */
    ssize_t got = getrandom(out, 32, 0);
    while (got < 0 && errno == EINTR) {
        got = getrandom(out, 32, 0);
    }
    CLO_CHECK(got == 32, CLO_IO, "getrandom gave %zd of 32 bytes", got);
    return CLO_STATUS_OK;
}

clo_status clo_random_bytes(void *out, size_t size)
{
    OSSL_LIB_CTX *lib = clo_crypto()->lib;
    return CLO_OPENSSL(RAND_priv_bytes_ex(lib, out, size, 0) == 1, CLO_CRYPTO,
                       "taking %zu random bytes", size);
}

clo_status clo_random_reseed(void)
{
    uint8_t fresh[32];
    CLO_TRY(kernel_random(fresh));
    /* Children notice by their parent's counter and reseed from it before they give a byte. */
    EVP_RAND_CTX *primary = RAND_get0_primary(clo_crypto()->lib);
    bool done = primary != NULL && EVP_RAND_reseed(primary, 0, NULL, 0, fresh, sizeof fresh) == 1;
    clo_wipe(fresh, sizeof fresh);
    return CLO_OPENSSL(done, CLO_CRYPTO, "reseeding the random generator");
}

clo_status clo_random_salt(uint8_t out_salt[32])
{
    struct {
        uint8_t generator[32];
        uint8_t kernel[32];
        uint64_t processor;
        uint64_t counter;
    } mix;

    CLO_TRY(clo_random_reseed());
    CLO_TRY(clo_random_bytes(mix.generator, sizeof mix.generator));
    CLO_TRY(kernel_random(mix.kernel));
    mix.processor = processor_random();
    mix.counter = atomic_fetch_add(&salt_counter, 1);
    clo_status status = clo_sha256(CLO_SPAN(&mix, sizeof mix), out_salt);
    clo_wipe(&mix, sizeof mix);
    return status;
}
