/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transport under TLS. OpenSSL's own socket BIO uses write(2), which kills the process with
 * SIGPIPE when the peer is gone, and blocks when the descriptor does; send and recv with flags do
 * neither, and leave the process's signal handling to its owner.
 */
#include "tls.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <sys/socket.h>

static int fd_of(BIO *bio)
{
    return (int)(intptr_t)BIO_get_data(bio);
}

/* Common end of both directions: a count, "again", end of file, or an error left in errno. */
static int moved(BIO *bio, ssize_t count, int retry_flag, size_t *out_count)
{
    BIO_clear_retry_flags(bio);
    if (count > 0) {
        *out_count = (size_t)count;
        return 1;
    }
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_flags(bio, retry_flag | BIO_FLAGS_SHOULD_RETRY);
    }
    return 0;
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *out_count)
{
    errno = 0;
    ssize_t count = send(fd_of(bio), data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    return moved(bio, count, BIO_FLAGS_WRITE, out_count);
}

static int bio_read(BIO *bio, char *out, size_t size, size_t *out_count)
{
    errno = 0;
    ssize_t count = recv(fd_of(bio), out, size, MSG_DONTWAIT);
    if (count == 0) {
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    }
    return moved(bio, count, BIO_FLAGS_READ, out_count);
}

/* SSL flushes after a flight, and asks for the end of file to tell truncation from an error. */
static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default:
        return 0;
    }
}

clo_status clo_tls_bio_method_new(BIO_METHOD **out_method)
{
    int type = BIO_get_new_index();
    BIO_METHOD *method = type > 0 ? BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "socket") : NULL;
    bool done = method != NULL && BIO_meth_set_write_ex(method, bio_write) == 1 &&
                BIO_meth_set_read_ex(method, bio_read) == 1 &&
                BIO_meth_set_ctrl(method, bio_control) == 1;
    *out_method = method;
    return CLO_OPENSSL(done, CLO_NOMEM, "making the transport of tls");
}

BIO *clo_tls_bio_new(const BIO_METHOD *method, int fd)
{
    BIO *bio = BIO_new_ex(clo_crypto()->lib, method);
    if (bio != NULL) {
        BIO_set_data(bio, (void *)(intptr_t)fd);
        BIO_set_init(bio, 1);
    }
    return bio;
}
