/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution and its gradients. Every tensor but the biases is left to oneDNN's choice of layout
 * ('any'): blocked channels run at 95 % of peak where plain ones may fall to reference code.
 */
#include "dnnl_private.h"

typedef struct {
    dnnl_memory_desc_t x, w, y, bias;
    dnnl_dims_t stride, begin, end;
} conv_descs;

static clo_status fill(const clo_conv *conv, conv_descs *out)
{
    clo_shape bias = CLO_SHAPE(conv->w.dim[0]);
    CLO_TRY(clo_dnnl_any(&conv->x, &out->x));
    CLO_TRY(clo_dnnl_any(&conv->w, &out->w));
    CLO_TRY(clo_dnnl_any(&conv->y, &out->y));
    CLO_TRY(clo_dnnl_plain(CLO_F32, &bias, &out->bias));
    for (int i = 0; i < 2; i++) {
        out->stride[i] = conv->window.stride[i];
        out->begin[i] = conv->window.begin[i];
        out->end[i] = conv->window.end[i];
    }
    return CLO_STATUS_OK;
}

clo_status clo_backend_conv(clo_backend *backend, const clo_conv *conv, clo_kernel *kernel)
{
    static const clo_dnnl_arg args[] = {{DNNL_ARG_SRC, CLO_SLOT_IN, 0, false},
                                        {DNNL_ARG_WEIGHTS, CLO_SLOT_IN, 1, false},
                                        {DNNL_ARG_DST, CLO_SLOT_OUT, 0, false},
                                        {DNNL_ARG_BIAS, CLO_SLOT_IN, 2, false}};
    conv_descs d;
    dnnl_convolution_desc_t desc;
    CLO_TRY(fill(conv, &d));
    CLO_DNNL("convolution", dnnl_convolution_forward_desc_init(
                                &desc, dnnl_forward_training, dnnl_convolution_direct, &d.x, &d.w,
                                conv->bias ? &d.bias : NULL, &d.y, d.stride, d.begin, d.end));
    clo_dnnl_recipe recipe = {&desc, NULL, conv->relu};
    return clo_dnnl_adopt(backend, &recipe, args, conv->bias ? 4 : 3, kernel);
}

clo_status clo_backend_conv_grad_input(clo_backend *backend, const clo_conv *conv,
                                       clo_kernel *kernel)
{
    static const clo_dnnl_arg args[] = {{DNNL_ARG_DIFF_DST, CLO_SLOT_IN, 0, false},
                                        {DNNL_ARG_WEIGHTS, CLO_SLOT_IN, 1, false},
                                        {DNNL_ARG_DIFF_SRC, CLO_SLOT_OUT, 0, false}};
    conv_descs d;
    dnnl_convolution_desc_t desc;
    CLO_TRY(fill(conv, &d));
    CLO_DNNL("convolution, gradient of the input",
             dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &d.x, &d.w,
                                                      &d.y, d.stride, d.begin, d.end));
    clo_dnnl_recipe recipe = {&desc, NULL, false};
    return clo_dnnl_adopt(backend, &recipe, args, 3, kernel);
}

clo_status clo_backend_conv_grad_weight(clo_backend *backend, const clo_conv *conv,
                                        clo_kernel *kernel)
{
    static const clo_dnnl_arg args[] = {{DNNL_ARG_DIFF_DST, CLO_SLOT_IN, 0, false},
                                        {DNNL_ARG_SRC, CLO_SLOT_IN, 1, false},
                                        {DNNL_ARG_DIFF_WEIGHTS, CLO_SLOT_OUT, 0, false},
                                        {DNNL_ARG_DIFF_BIAS, CLO_SLOT_OUT, 1, false}};
    conv_descs d;
    dnnl_convolution_desc_t desc;
    CLO_TRY(fill(conv, &d));
    CLO_DNNL("convolution, gradient of the weight",
             dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &d.x, &d.w,
                                                         conv->bias ? &d.bias : NULL, &d.y,
                                                         d.stride, d.begin, d.end));
    clo_dnnl_recipe recipe = {&desc, NULL, false};
    return clo_dnnl_adopt(backend, &recipe, args, conv->bias ? 4 : 3, kernel);
}
