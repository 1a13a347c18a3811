/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator table gathered from its families, and what the families share: reading attributes,
 * shape checks, the sliding window.
 */
#include "op.h"

#include <string.h>

static const clo_op *const families[] = {clo_ops_conv,        clo_ops_pool,  clo_ops_matmul,
                                         clo_ops_elementwise, clo_ops_shape, clo_ops_loss};

enum { FAMILY_COUNT = sizeof families / sizeof *families, WINDOW_LIMIT = 1 << 16 };

const clo_op *clo_op_by_name(const char *name)
{
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        for (const clo_op *op = families[i]; op->name != NULL; op++) {
            if (strcmp(op->name, name) == 0) {
                return op;
            }
        }
    }
    return NULL;
}

bool clo_node_is(const clo_node *node, const char *op)
{
    return strcmp(node->op->name, op) == 0;
}

const clo_attr *clo_node_attr(const clo_node *node, const char *name)
{
    for (int i = 0; i < node->attr_count; i++) {
        if (strcmp(node->attrs[i].name, name) == 0) {
            return &node->attrs[i];
        }
    }
    return NULL;
}

clo_status clo_node_int(const clo_node *node, const char *name, int index, int64_t fallback,
                        int64_t *out_value)
{
    const clo_attr *attr = clo_node_attr(node, name);
    CLO_CHECK(attr == NULL || index < attr->count, CLO_INVALID,
              "attribute '%s' has %d integers, expected at least %d", name,
              attr == NULL ? 0 : attr->count, index + 1);
    *out_value = attr == NULL ? fallback : attr->ints[index];
    return CLO_STATUS_OK;
}

float clo_node_number(const clo_node *node, const char *name, float fallback)
{
    const clo_attr *attr = clo_node_attr(node, name);
    return attr == NULL ? fallback : attr->number;
}

clo_status clo_node_require_int(const clo_node *node, const char *name, int64_t value)
{
    const clo_attr *attr = clo_node_attr(node, name);
    for (int i = 0; attr != NULL && i < attr->count; i++) {
        CLO_CHECK(attr->ints[i] == value, CLO_UNSUPPORTED,
                  "attribute '%s' is %lld, only %lld is supported", name, (long long)attr->ints[i],
                  (long long)value);
    }
    return CLO_STATUS_OK;
}

clo_status clo_node_require_text(const clo_node *node, const char *name, const char *value)
{
    const clo_attr *attr = clo_node_attr(node, name);
    CLO_CHECK(attr == NULL || (attr->text != NULL && strcmp(attr->text, value) == 0),
              CLO_UNSUPPORTED, "attribute '%s' is not '%s', the only one supported", name, value);
    return CLO_STATUS_OK;
}

clo_attr clo_attr_shape(const char *name, const clo_shape *shape)
{
    clo_attr attr = {.name = name, .count = shape->rank};
    memcpy(attr.ints, shape->dim, (size_t)shape->rank * sizeof *shape->dim);
    return attr;
}

clo_status clo_node_shape(const clo_node *node, const char *name, clo_shape *out_shape)
{
    const clo_attr *attr = clo_node_attr(node, name);
    CLO_CHECK(attr != NULL && attr->count <= CLO_MAX_DIMS, CLO_INVALID,
              "attribute '%s' must be a shape", name);
    clo_shape shape = {.rank = attr->count};
    for (int i = 0; i < attr->count; i++) {
        bool symbolic = i == 0 && attr->ints[i] == CLO_DIM_BATCH;
        CLO_CHECK(attr->ints[i] > 0 || symbolic, CLO_INVALID, "'%s' has dimension %d of %lld", name,
                  i, (long long)attr->ints[i]);
        shape.dim[i] = attr->ints[i];
    }
    *out_shape = shape;
    return CLO_STATUS_OK;
}

int clo_attrs_with(const clo_node *node, const clo_attr *extra, clo_attr *out_attrs)
{
    CLO_ASSERT(node->attr_count < CLO_NODE_ATTRS);
    for (int i = 0; i < node->attr_count; i++) {
        out_attrs[i] = node->attrs[i];
    }
    out_attrs[node->attr_count] = *extra;
    return node->attr_count + 1;
}

clo_status clo_check_rank(const clo_node *node, const clo_value_info *in, int rank, clo_dtype dtype)
{
    char shape[96];
    clo_shape_text(&in->shape, shape, sizeof shape);
    CLO_CHECK(in->shape.rank == rank && in->dtype == dtype, CLO_INVALID,
              "'%s' takes %s of %d dimensions, found %s %s", node->op->name, clo_dtype_name(dtype),
              rank, clo_dtype_name(in->dtype), shape);
    return CLO_STATUS_OK;
}

static bool window_is_sane(const clo_window *window, int axis)
{
    int64_t kernel = window->kernel[axis];
    return kernel > 0 && kernel <= WINDOW_LIMIT && window->stride[axis] > 0 &&
           window->stride[axis] <= WINDOW_LIMIT && window->begin[axis] >= 0 &&
           window->begin[axis] < kernel && window->end[axis] >= 0 && window->end[axis] < kernel;
}

clo_status clo_window_read(const clo_node *node, int64_t height, int64_t width,
                           clo_window *out_window)
{
    CLO_TRY(clo_node_require_int(node, "dilations", 1));
    CLO_TRY(clo_node_require_text(node, "auto_pad", "NOTSET"));
    clo_window window = {.kernel = {height, width}};
    for (int i = 0; i < 2; i++) {
        CLO_TRY(clo_node_int(node, "strides", i, 1, &window.stride[i]));
        CLO_TRY(clo_node_int(node, "pads", i, 0, &window.begin[i]));
        CLO_TRY(clo_node_int(node, "pads", i + 2, 0, &window.end[i]));
        CLO_CHECK(window_is_sane(&window, i), CLO_INVALID,
                  "window of axis %d: kernel %lld, stride %lld, padding %lld and %lld", i,
                  (long long)window.kernel[i], (long long)window.stride[i],
                  (long long)window.begin[i], (long long)window.end[i]);
    }
    *out_window = window;
    return CLO_STATUS_OK;
}

clo_status clo_window_size(const clo_node *node, const clo_window *window, int axis, int64_t size,
                           int64_t *out_size)
{
    int64_t room = size + window->begin[axis] + window->end[axis] - window->kernel[axis];
    CLO_CHECK(size > 0 && room >= 0, CLO_INVALID, "'%s': kernel of %lld does not fit axis of %lld",
              node->op->name, (long long)window->kernel[axis], (long long)size);
    *out_size = room / window->stride[axis] + 1;
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- public listing -------------- */

size_t clo_op_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        for (const clo_op *op = families[i]; op->name != NULL; op++) {
            count++;
        }
    }
    return count;
}

clo_op_info clo_op_get(size_t index)
{
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        for (const clo_op *op = families[i]; op->name != NULL; op++) {
            if (index-- == 0) {
                return (clo_op_info){op->name, op->since_opset, op->gradient != NULL};
            }
        }
    }
    return (clo_op_info){"", 0, false};
}
