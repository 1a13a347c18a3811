/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Max pooling and its gradient. The workspace, one byte or word an output element, remembers which
 * element won; the backward primitive must be made from the forward one that wrote it.
 */
#include "dnnl_private.h"

typedef struct {
    dnnl_dims_t kernel, stride, begin, end;
} window_dims;

static window_dims dims_of(const clo_window *window)
{
    window_dims d = {{0}, {0}, {0}, {0}};
    for (int i = 0; i < 2; i++) {
        d.kernel[i] = window->kernel[i];
        d.stride[i] = window->stride[i];
        d.begin[i] = window->begin[i];
        d.end[i] = window->end[i];
    }
    return d;
}

clo_status clo_backend_max_pool(clo_backend *backend, const clo_pool *pool,
                                const clo_layout *x_layout, clo_kernel *kernel)
{
    static const clo_dnnl_arg args[] = {{DNNL_ARG_SRC, CLO_SLOT_IN, 0, false},
                                        {DNNL_ARG_DST, CLO_SLOT_OUT, 0, false},
                                        {DNNL_ARG_WORKSPACE, CLO_SLOT_OUT, 1, false}};
    dnnl_memory_desc_t y;
    dnnl_pooling_desc_t desc;
    window_dims d = dims_of(&pool->window);
    CLO_TRY(clo_dnnl_any(&pool->y, &y));
    CLO_DNNL("max pooling",
             dnnl_pooling_forward_desc_init(
                 &desc, pool->training ? dnnl_forward_training : dnnl_forward_inference,
                 dnnl_pooling_max, &x_layout->desc, &y, d.stride, d.kernel, d.begin, d.end));
    clo_dnnl_recipe recipe = {&desc, NULL, false};
    return clo_dnnl_adopt(backend, &recipe, args, pool->training ? 3 : 2, kernel);
}

clo_status clo_backend_max_pool_grad(clo_backend *backend, const clo_pool *pool,
                                     const clo_kernel *forward, clo_kernel *kernel)
{
    static const clo_dnnl_arg args[] = {{DNNL_ARG_DIFF_DST, CLO_SLOT_IN, 0, false},
                                        {DNNL_ARG_WORKSPACE, CLO_SLOT_IN, 1, false},
                                        {DNNL_ARG_DIFF_SRC, CLO_SLOT_OUT, 0, false}};
    CLO_CHECK(forward->primitive != NULL, CLO_BUG, "max pooling without its forward kernel");
    dnnl_memory_desc_t x;
    dnnl_pooling_desc_t desc;
    window_dims d = dims_of(&pool->window);
    CLO_TRY(clo_dnnl_any(&pool->x, &x));
    CLO_DNNL("max pooling, gradient",
             dnnl_pooling_backward_desc_init(&desc, dnnl_pooling_max, &x,
                                             &forward->out_layout[0]->desc, d.stride, d.kernel,
                                             d.begin, d.end));
    clo_dnnl_recipe recipe = {&desc, forward->primitive->desc, false};
    return clo_dnnl_adopt(backend, &recipe, args, 3, kernel);
}
