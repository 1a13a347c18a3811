/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layouts are oneDNN memory descriptors, kept in the backend's arena; and the one kernel whose only
 * work is to change one into another.
 */
#include "dnnl_private.h"

#include <stdio.h>
#include <string.h>

static const dnnl_data_type_t types[CLO_DTYPE_COUNT] = {
    [CLO_F32] = dnnl_f32,
    [CLO_I32] = dnnl_s32,
    [CLO_I64] = dnnl_data_type_undef,
    [CLO_U8] = dnnl_u8,
};

/* oneDNN knows no scalars: they are vectors of one. */
static int dims_of(const clo_shape *shape, dnnl_dims_t out_dims)
{
    out_dims[0] = 1;
    for (int i = 0; i < shape->rank; i++) {
        out_dims[i] = shape->dim[i];
    }
    return shape->rank == 0 ? 1 : shape->rank;
}

clo_status clo_dnnl_any(const clo_shape *shape, dnnl_memory_desc_t *out_desc)
{
    dnnl_dims_t dims;
    int rank = dims_of(shape, dims);
    CLO_DNNL("layout",
             dnnl_memory_desc_init_by_tag(out_desc, rank, dims, dnnl_f32, dnnl_format_tag_any));
    return CLO_STATUS_OK;
}

clo_status clo_dnnl_plain(clo_dtype dtype, const clo_shape *shape, dnnl_memory_desc_t *out_desc)
{
    CLO_CHECK(types[dtype] != dnnl_data_type_undef, CLO_UNSUPPORTED, "no layout for %s",
              clo_dtype_name(dtype));
    dnnl_dims_t dims;
    int rank = dims_of(shape, dims);
    CLO_DNNL("layout", dnnl_memory_desc_init_by_strides(out_desc, rank, dims, types[dtype], NULL));
    return CLO_STATUS_OK;
}

clo_status clo_dnnl_layout(clo_backend *backend, clo_dtype dtype, const dnnl_memory_desc_t *desc,
                           const clo_layout **out_layout)
{
    clo_layout *layout = clo_arena_alloc(&backend->layouts, sizeof *layout);
    CLO_CHECK(layout != NULL, CLO_NOMEM, "out of memory for a layout");
    layout->dtype = dtype;
    layout->desc = *desc;
    *out_layout = layout;
    return CLO_STATUS_OK;
}

clo_status clo_layout_plain(clo_backend *backend, clo_dtype dtype, const clo_shape *shape,
                            const clo_layout **out_layout)
{
    dnnl_memory_desc_t desc;
    CLO_TRY(clo_dnnl_plain(dtype, shape, &desc));
    return clo_dnnl_layout(backend, dtype, &desc, out_layout);
}

bool clo_layout_equal(const clo_layout *a, const clo_layout *b)
{
    return dnnl_memory_desc_equal(&a->desc, &b->desc) != 0;
}

size_t clo_layout_bytes(const clo_layout *layout)
{
    return dnnl_memory_desc_get_size(&layout->desc);
}

static bool is_blocked(const dnnl_blocking_desc_t *blocking, int dim)
{
    for (int i = 0; i < blocking->inner_nblks; i++) {
        if (blocking->inner_idxs[i] == dim) {
            return true;
        }
    }
    return false;
}

void clo_layout_text(const clo_layout *layout, char *out_text, size_t size)
{
    const dnnl_memory_desc_t *desc = &layout->desc;
    if (desc->format_kind != dnnl_blocked) {
        snprintf(out_text, size, "opaque");
        return;
    }
    const dnnl_blocking_desc_t *blocking = &desc->format_desc.blocking;
    int order[DNNL_MAX_NDIMS];
    /* Insertion sort by stride, outermost first; equal strides (sizes of one) keep their order. */
    for (int i = 0; i < desc->ndims; i++) {
        int at = i;
        for (; at > 0 && blocking->strides[order[at - 1]] < blocking->strides[i]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    char text[64];
    size_t at = 0;
    for (int i = 0; i < desc->ndims; i++) {
        text[at++] = (char)((is_blocked(blocking, order[i]) ? 'A' : 'a') + order[i]);
    }
    for (int i = 0; i < blocking->inner_nblks && at + 8 < sizeof text; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%d%c", (int)blocking->inner_blks[i],
                               (char)('a' + blocking->inner_idxs[i]));
    }
    text[at] = '\0';
    snprintf(out_text, size, "%s", text);
}

clo_status clo_backend_reorder(clo_backend *backend, const clo_layout *from, const clo_layout *to,
                               clo_kernel *kernel)
{
    static const clo_dnnl_arg args[] = {{DNNL_ARG_FROM, CLO_SLOT_IN, 0, true},
                                        {DNNL_ARG_TO, CLO_SLOT_OUT, 0, true}};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    CLO_DNNL("attributes", dnnl_primitive_attr_create(&attr));
    (void)dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&desc, &from->desc, backend->engine,
                                                              &to->desc, backend->engine, attr);
    (void)dnnl_primitive_attr_destroy(attr);
    CLO_DNNL("choosing a reorder", status);
    kernel->in_layout[0] = from;
    kernel->out_layout[0] = to;
    return clo_dnnl_adopt_desc(backend, desc, args, 2, kernel);
}
