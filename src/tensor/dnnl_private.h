/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TENSOR_DNNL_PRIVATE_H
#define CLO_TENSOR_DNNL_PRIVATE_H

/*
 * Shared by the dnnl_*.c files only: what stands behind backend.h's opaque names, and the one place
 * that includes oneDNN.
 *
 * Each lowering fills a descriptor, says in a table which execution argument is which tensor of the
 * kernel, and calls clo_dnnl_adopt, which does the rest for all of them.
 */
#include <oneapi/dnnl/dnnl.h>

#include "backend.h"

struct clo_layout {
    clo_dtype dtype;
    dnnl_memory_desc_t desc;
};

struct clo_backend {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    clo_arena layouts;
};

enum { CLO_DNNL_ARGS = 8 };

/* Where in the kernel an execution argument's address stands. */
typedef enum { CLO_SLOT_IN, CLO_SLOT_OUT, CLO_SLOT_SCRATCH } clo_slot;

typedef struct {
    int arg; /* DNNL_ARG_... */
    clo_slot slot;
    int index;
    bool fixed_layout; /* the caller has set the kernel's layout; else it is asked of oneDNN */
} clo_dnnl_arg;

struct clo_primitive {
    dnnl_stream_t stream;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    clo_dnnl_arg map[CLO_DNNL_ARGS];
    dnnl_exec_arg_t args[CLO_DNNL_ARGS];
    int arg_count;
};

/* The converter for oneDNN's status, the only one. */
clo_status clo_status_from_dnnl(dnnl_status_t status, const char *file, int line,
                                const char *function, const char *doing);
#define CLO_DNNL(doing, call)                                                                      \
    CLO_TRY(clo_status_from_dnnl((call), __FILE__, __LINE__, __func__, (doing)))

/* Memory descriptors of a shape: any layout, or row-major. */
clo_status clo_dnnl_any(const clo_shape *shape, dnnl_memory_desc_t *out_desc);
clo_status clo_dnnl_plain(clo_dtype dtype, const clo_shape *shape, dnnl_memory_desc_t *out_desc);
clo_status clo_dnnl_layout(clo_backend *backend, clo_dtype dtype, const dnnl_memory_desc_t *desc,
                           const clo_layout **out_layout);

/* Makes the primitive of `op_desc` (with `relu` as a post-operation), its layouts, its scratch size
 * and its name into `kernel`. */
typedef struct {
    const_dnnl_op_desc_t op_desc;
    const_dnnl_primitive_desc_t hint; /* the forward primitive, for pooling's backward */
    bool relu;
} clo_dnnl_recipe;

clo_status clo_dnnl_adopt(clo_backend *backend, const clo_dnnl_recipe *recipe,
                          const clo_dnnl_arg *args, int arg_count, clo_kernel *kernel);
/* The same for a primitive descriptor that is made already; takes it over. */
clo_status clo_dnnl_adopt_desc(clo_backend *backend, dnnl_primitive_desc_t desc,
                               const clo_dnnl_arg *args, int arg_count, clo_kernel *kernel);

#endif
