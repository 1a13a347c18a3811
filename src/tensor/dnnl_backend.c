/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oneDNN's engine, and the life of a primitive: descriptor -> layouts and scratch size -> addresses
 * -> runs -> release. The status converter and the thread count stand here as well.
 */
#include "dnnl_private.h"

#include <string.h>

/* libgomp's, the pool oneDNN uses; omp.h is not installed for every compiler. */
extern void omp_set_num_threads(int threads);

static const struct {
    dnnl_status_t status;
    clo_code code;
    const char *text;
} statuses[] = {
    {dnnl_out_of_memory, CLO_NOMEM, "out of memory"},
    {dnnl_invalid_arguments, CLO_BUG, "invalid arguments"},
    {dnnl_unimplemented, CLO_UNSUPPORTED, "not implemented on this cpu"},
    {dnnl_iterator_ends, CLO_BUG, "no further implementation"},
    {dnnl_runtime_error, CLO_BUG, "run-time error"},
    {dnnl_not_required, CLO_BUG, "not required"},
};

clo_status clo_status_from_dnnl(dnnl_status_t status, const char *file, int line,
                                const char *function, const char *doing)
{
    if (status == dnnl_success) {
        return CLO_STATUS_OK;
    }
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (statuses[i].status == status) {
            return clo_status_make(statuses[i].code, file, line, function, "%s: onednn: %s", doing,
                                   statuses[i].text);
        }
    }
    return clo_status_make(CLO_BUG, file, line, function, "%s: onednn status %d", doing,
                           (int)status);
}

void clo_backend_set_threads(int threads)
{
    omp_set_num_threads(threads);
}

clo_status clo_backend_new(clo_backend **out_backend)
{
    CLO_AUTO_PTR(clo_backend) backend = clo_alloc(sizeof *backend);
    CLO_CHECK(backend != NULL, CLO_NOMEM, "out of memory for the compute backend");
    backend->layouts = CLO_ARENA_INIT;
    CLO_DNNL("engine", dnnl_engine_create(&backend->engine, dnnl_cpu, 0));
    CLO_DNNL("stream",
             dnnl_stream_create(&backend->stream, backend->engine, dnnl_stream_default_flags));
    *out_backend = CLO_TAKE(backend);
    return CLO_STATUS_OK;
}

void clo_backend_free(clo_backend *backend)
{
    if (backend == NULL) {
        return;
    }
    /* Destroying a NULL object is defined; destroying a valid one cannot fail. */
    (void)dnnl_stream_destroy(backend->stream);
    (void)dnnl_engine_destroy(backend->engine);
    clo_arena_release(&backend->layouts);
    clo_free(backend);
}

/* ---------------------------------------------------------------- primitives ------------------ */

static void primitive_free(clo_primitive *primitive)
{
    if (primitive == NULL) {
        return;
    }
    for (int i = 0; i < primitive->arg_count; i++) {
        if (primitive->args[i].memory != NULL) {
            (void)dnnl_memory_destroy(primitive->args[i].memory);
        }
    }
    if (primitive->primitive != NULL) {
        (void)dnnl_primitive_destroy(primitive->primitive);
    }
    if (primitive->desc != NULL) {
        (void)dnnl_primitive_desc_destroy(primitive->desc);
    }
    clo_free(primitive);
}

CLO_DEFINE_AUTO_PTR(clo_primitive, primitive_free);

void clo_backend_release(clo_kernel *kernel)
{
    primitive_free(kernel->primitive);
    kernel->primitive = NULL;
}

static clo_status primitive_run(const clo_kernel *kernel)
{
    const clo_primitive *p = kernel->primitive;
    CLO_DNNL("running", dnnl_primitive_execute(p->primitive, p->stream, p->arg_count, p->args));
    return CLO_STATUS_OK;
}

static clo_status take_layout(clo_backend *backend, const clo_primitive *p, const clo_dnnl_arg *arg,
                              clo_kernel *kernel)
{
    const dnnl_memory_desc_t *desc =
        dnnl_primitive_desc_query_md(p->desc, dnnl_query_exec_arg_md, arg->arg);
    CLO_CHECK(desc != NULL, CLO_BUG, "onednn has no argument %d", arg->arg);
    clo_dtype dtype = desc->data_type == dnnl_f32 ? CLO_F32 : CLO_U8;
    const clo_layout **layout =
        arg->slot == CLO_SLOT_IN ? &kernel->in_layout[arg->index] : &kernel->out_layout[arg->index];
    return clo_dnnl_layout(backend, dtype, desc, layout);
}

static clo_status take_facts(clo_backend *backend, const clo_primitive *p, clo_kernel *kernel)
{
    for (int i = 0; i < p->arg_count; i++) {
        if (p->map[i].slot != CLO_SLOT_SCRATCH && !p->map[i].fixed_layout) {
            CLO_TRY(take_layout(backend, p, &p->map[i], kernel));
        }
    }
    const dnnl_memory_desc_t *scratch =
        dnnl_primitive_desc_query_md(p->desc, dnnl_query_exec_arg_md, DNNL_ARG_SCRATCHPAD);
    kernel->scratch_bytes = scratch == NULL ? 0 : dnnl_memory_desc_get_size(scratch);
    const char *name = "";
    CLO_DNNL("naming the implementation",
             dnnl_primitive_desc_query(p->desc, dnnl_query_impl_info_str, 0, &name));
    size_t size = strnlen(name, sizeof kernel->detail - 1);
    memcpy(kernel->detail, name, size);
    kernel->detail[size] = '\0';
    return CLO_STATUS_OK;
}

clo_status clo_dnnl_adopt_desc(clo_backend *backend, dnnl_primitive_desc_t desc,
                               const clo_dnnl_arg *args, int arg_count, clo_kernel *kernel)
{
    CLO_ASSERT(arg_count < CLO_DNNL_ARGS);
    CLO_AUTO_PTR(clo_primitive) p = clo_alloc(sizeof *p);
    if (p == NULL) {
        (void)dnnl_primitive_desc_destroy(desc);
        CLO_FAIL(CLO_NOMEM, "out of memory for a primitive");
    }
    p->desc = desc;
    p->stream = backend->stream;
    memcpy(p->map, args, (size_t)arg_count * sizeof *args);
    p->map[arg_count] = (clo_dnnl_arg){DNNL_ARG_SCRATCHPAD, CLO_SLOT_SCRATCH, 0, false};
    p->arg_count = arg_count + 1;
    CLO_DNNL("creating a primitive", dnnl_primitive_create(&p->primitive, desc));
    CLO_TRY(take_facts(backend, p, kernel));
    kernel->run = primitive_run;
    kernel->primitive = CLO_TAKE(p);
    return CLO_STATUS_OK;
}

/* oneDNN's attributes and post-operations, released together. */
typedef struct {
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t post;
} attributes;

static void attributes_cleanup(attributes *a)
{
    if (a->post != NULL) {
        (void)dnnl_post_ops_destroy(a->post);
    }
    if (a->attr != NULL) {
        (void)dnnl_primitive_attr_destroy(a->attr);
    }
}

static clo_status attributes_set(attributes *a, bool relu)
{
    CLO_DNNL("attributes", dnnl_primitive_attr_create(&a->attr));
    CLO_DNNL("scratchpad mode",
             dnnl_primitive_attr_set_scratchpad_mode(a->attr, dnnl_scratchpad_mode_user));
    if (relu) {
        CLO_DNNL("post-operations", dnnl_post_ops_create(&a->post));
        CLO_DNNL("relu", dnnl_post_ops_append_eltwise(a->post, 1.0f, dnnl_eltwise_relu, 0, 0));
        CLO_DNNL("post-operations", dnnl_primitive_attr_set_post_ops(a->attr, a->post));
    }
    return CLO_STATUS_OK;
}

clo_status clo_dnnl_adopt(clo_backend *backend, const clo_dnnl_recipe *recipe,
                          const clo_dnnl_arg *args, int arg_count, clo_kernel *kernel)
{
    CLO_AUTO(attributes) a = {NULL, NULL};
    dnnl_primitive_desc_t desc = NULL;
    CLO_TRY(attributes_set(&a, recipe->relu));
    CLO_DNNL(
        "choosing an implementation",
        dnnl_primitive_desc_create(&desc, recipe->op_desc, a.attr, backend->engine, recipe->hint));
    return clo_dnnl_adopt_desc(backend, desc, args, arg_count, kernel);
}

static void *slot_address(const clo_kernel *kernel, const clo_dnnl_arg *arg)
{
    return arg->slot == CLO_SLOT_IN    ? kernel->in[arg->index]
           : arg->slot == CLO_SLOT_OUT ? kernel->out[arg->index]
                                       : kernel->scratch;
}

clo_status clo_backend_bind(clo_backend *backend, clo_kernel *kernel)
{
    clo_primitive *p = kernel->primitive;
    for (int i = 0; p != NULL && i < p->arg_count; i++) {
        const dnnl_memory_desc_t *desc =
            dnnl_primitive_desc_query_md(p->desc, dnnl_query_exec_arg_md, p->map[i].arg);
        CLO_CHECK(desc != NULL, CLO_BUG, "onednn has no argument %d", p->map[i].arg);
        p->args[i].arg = p->map[i].arg;
        CLO_DNNL("binding memory", dnnl_memory_create(&p->args[i].memory, desc, backend->engine,
                                                      slot_address(kernel, &p->map[i])));
    }
    return CLO_STATUS_OK;
}
