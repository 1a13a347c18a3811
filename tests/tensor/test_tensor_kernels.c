/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels by themselves: the generator against published answers, the SGD variants against each
 * other bit by bit, the loss with labels from outside, and the small public functions.
 */
#include "test.h"

#include <math.h>
#include <string.h>

#include "cloister/tensor.h"
#include "kernel.h"

enum { MANY = 40003 };

/* Random123 1.09, kat_vectors: philox4x32 10. */
static void philox_gives_the_published_answers(void)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        clo_philox4x32(known[i].counter, known[i].key, out);
        T_INT(memcmp(out, known[i].out, sizeof out), 0);
    }
}

static void random_words_are_those_of_the_block(void)
{
    static const uint32_t first[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    for (uint64_t i = 0; i < 4; i++) {
        T_INT(clo_random_u32(0, 0, i), first[i]);
    }
    T_CHECK(clo_random_u32(0, 0, 4) != first[0]);
    T_CHECK(clo_random_u32(1, 0, 0) != first[0]);
    T_CHECK(clo_random_u32(0, 1, 0) != first[0]);
    T_CHECK(clo_random_u32(1ull << 32, 0, 0) != first[0]);
}

static void fill(float *out, uint64_t stream)
{
    for (size_t i = 0; i < MANY; i++) {
        out[i] = (float)((double)clo_random_u32(9, stream, i) * 0x1p-31 - 1.0);
    }
}

/* Against the formula in float with two roundings, for every variant this CPU can run. */
static void sgd_variants_give_the_same_bits(void)
{
    static float values[MANY], buffer[MANY], gradients[MANY], v0[MANY], b0[MANY];
    fill(gradients, 3);
    for (size_t k = 0; k < clo_sgd_variant_count; k++) {
        if (!clo_sgd_variants[k].usable()) {
            continue;
        }
        fill(values, 1);
        fill(buffer, 2);
        memcpy(v0, values, sizeof v0);
        memcpy(b0, buffer, sizeof b0);
        clo_sgd_variants[k].run(values, buffer, gradients, MANY, 0.01f, 0.9f);
        for (size_t i = 0; i < MANY; i++) {
            volatile float scaled = 0.9f * b0[i]; /* volatile: no contraction in the test either */
            volatile float v = scaled + gradients[i];
            volatile float move = 0.01f * v;
            volatile float p = v0[i] - move;
            T_CHECK(buffer[i] == v && values[i] == p);
        }
    }
    T_STR(clo_sgd_variants[clo_sgd_variant_count - 1].name, "plain");
}

static void sgd_step_is_the_same_in_one_piece_and_in_many(void)
{
    static float whole[MANY], cut[MANY], b1[MANY], b2[MANY], gradients[MANY];
    fill(gradients, 3);
    fill(whole, 1);
    fill(cut, 1);
    clo_sgd_step(whole, b1, gradients, MANY, 0.1f, 0.5f);
    clo_sgd_step(cut, b2, gradients, 17, 0.1f, 0.5f);
    clo_sgd_step(cut + 17, b2 + 17, gradients + 17, MANY - 17, 0.1f, 0.5f);
    T_INT(memcmp(whole, cut, sizeof whole), 0);
    clo_sgd_step(whole, b1, gradients, 0, 0.1f, 0.5f);
    T_INT(memcmp(whole, cut, sizeof whole), 0);
}

static void add_and_scale_touch_every_element(void)
{
    static float out[MANY], in[MANY], expected[MANY];
    fill(out, 1);
    fill(in, 2);
    for (size_t i = 0; i < MANY; i++) {
        expected[i] = (out[i] + in[i]) * 3.0f;
    }
    clo_add_f32(out, in, MANY);
    clo_scale_f32(out, 3.0f, MANY);
    T_INT(memcmp(out, expected, sizeof out), 0);
}

static void finiteness_names_the_first_bad_element(void)
{
    float x[5] = {0.0f, -1.0f, 3e38f, 1e-45f, 2.0f};
    size_t at = 99;
    T_CHECK(clo_tensor_all_finite(x, 5, &at) && at == 99);
    x[3] = INFINITY;
    x[4] = NAN;
    T_CHECK(!clo_tensor_all_finite(x, 5, &at));
    T_INT(at, 3);
    T_CHECK(!clo_tensor_all_finite(x + 4, 1, NULL));
    T_CHECK(clo_tensor_all_finite(x, 3, NULL));
}

static void relu_keeps_nan(void)
{
    float in[3] = {-1.0f, NAN, 2.0f}, out[3];
    clo_kernel kernel = {.in = {in}, .out = {out}, .count = 3};
    T_OK(clo_kernel_relu(&kernel));
    T_CHECK(out[0] == 0.0f && isnan(out[1]) && out[2] == 2.0f);
}

static void argmax_takes_the_first_of_equals(void)
{
    const float x[6] = {1.0f, 3.0f, 3.0f, -2.0f, -2.0f, -5.0f};
    int32_t index[2];
    clo_argmax_rows(x, 2, 3, index);
    T_INT(index[0], 1);
    T_INT(index[1], 0);
}

static void loss_and_its_gradient_agree_in_one_pass_and_two(void)
{
    float logits[6] = {0.1f, 2.0f, -1.0f, 90.0f, -90.0f, 0.0f}, dx1[6], dx2[6];
    float loss1, loss2, dloss = 0.5f;
    int32_t labels[2] = {1, 2};
    clo_kernel loss = {.in = {logits, labels}, .out = {&loss1}, .rows = 2, .columns = 3};
    clo_kernel grad = {.in = {&dloss, logits, labels}, .out = {dx1}, .rows = 2, .columns = 3};
    clo_kernel both = {
        .in = {logits, labels}, .out = {&loss2, dx2}, .rows = 2, .columns = 3, .number = 0.5f};
    T_OK(clo_kernel_loss(&loss));
    T_OK(clo_kernel_loss_grad(&grad));
    T_OK(clo_kernel_loss_both(&both));
    T_CHECK(loss1 == loss2 && memcmp(dx1, dx2, sizeof dx1) == 0);
    double sum = exp(0.1) + exp(2.0) + exp(-1.0);
    T_NEAR(loss1, (log(sum) - 2.0 + 90.0) / 2.0, 1e-4);
    T_NEAR(dx1[1], 0.25 * (exp(2.0) / sum - 1.0), 1e-6);
}

static void labels_outside_the_classes_are_refused(void)
{
    float logits[6] = {0}, out, dx[6];
    static const int32_t bad[] = {-1, 3, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        int32_t labels[2] = {0, bad[i]};
        clo_kernel loss = {.in = {logits, labels}, .out = {&out, dx}, .rows = 2, .columns = 3};
        T_CODE(clo_kernel_loss(&loss), CLO_INVALID);
        T_CODE(clo_kernel_loss_both(&loss), CLO_INVALID);
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(philox_gives_the_published_answers),
        T(random_words_are_those_of_the_block),
        T(sgd_variants_give_the_same_bits),
        T(sgd_step_is_the_same_in_one_piece_and_in_many),
        T(add_and_scale_touch_every_element),
        T(finiteness_names_the_first_bad_element),
        T(relu_keeps_nan),
        T(argmax_takes_the_first_of_equals),
        T(loss_and_its_gradient_agree_in_one_pass_and_two),
        T(labels_outside_the_classes_are_refused),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
