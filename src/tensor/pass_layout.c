/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout assignment: nodes are lowered in order, each kernel saying which layouts it wants and
 * makes; where a value lies otherwise than its reader wants, a reorder is placed before the reader,
 * and once for all readers that want the same. What is seen from outside (inputs, outputs,
 * parameters, gradients) stays row-major, so reorders stand only at those edges and where an
 * operator needs row-major numbers:
 *
 *     images --------------> Conv -> MaxPool -> Conv -> MaxPool -> [reorder] -> Flatten -> Gemm
 *     weight -> [reorder] ----^      blocked channels throughout
 */
#include <string.h>

#include "program.h"

/* Each tensor of a node can ask for at most one reorder and one value. */
enum { EXTRA = CLO_NODE_INPUTS + CLO_NODE_OUTPUTS };

/* A call under construction, released when it does not get into the program. */
typedef clo_call pending;

static void pending_cleanup(pending *call)
{
    clo_backend_release(&call->kernel);
}

static void push(clo_program *program, pending *call)
{
    CLO_ASSERT(program->call_count < program->call_capacity);
    call->scratch = CLO_NO_BUFFER;
    program->calls[program->call_count++] = *call;
    memset(call, 0, sizeof *call);
}

/* A new value shaped as `like`, for a reordered copy. */
static clo_status add_copy(clo_program *program, clo_value like, clo_value *out_value)
{
    clo_value_info info = program->graph->values[like];
    info.name = "";
    info.kind = CLO_VALUE_OF_NODE;
    info.gradient = CLO_NO_VALUE;
    CLO_TRY(clo_graph_add_value(program->graph, &info, out_value));
    CLO_ASSERT((size_t)*out_value < program->place_capacity);
    program->places[*out_value] = (clo_place){NULL, CLO_NO_BUFFER, false};
    return CLO_STATUS_OK;
}

static clo_status push_reorder(clo_program *program, clo_value from, clo_value to,
                               const clo_layout *layout_from, const clo_layout *layout_to)
{
    CLO_AUTO(pending) call = {.node = {.op = clo_op_by_name("Identity"),
                                       .in = {from, CLO_NO_VALUE, CLO_NO_VALUE, CLO_NO_VALUE},
                                       .out = {to, CLO_NO_VALUE},
                                       .in_count = 1,
                                       .out_count = 1}};
    CLO_TRY(clo_backend_reorder(program->backend, layout_from, layout_to, &call.kernel));
    push(program, &call);
    program->places[to].layout = layout_to;
    return CLO_STATUS_OK;
}

/* A reorder of `value` to `layout` that stands already; CLO_NO_VALUE when there is none. */
static clo_value find_reorder(const clo_program *program, clo_value value, const clo_layout *layout)
{
    for (size_t i = 0; i < program->call_count; i++) {
        const clo_call *call = &program->calls[i];
        if (clo_node_is(&call->node, "Identity") && call->node.in[0] == value &&
            clo_layout_equal(call->kernel.out_layout[0], layout)) {
            return call->node.out[0];
        }
    }
    return CLO_NO_VALUE;
}

static clo_status match_inputs(clo_program *program, clo_call *call)
{
    for (int i = 0; i < call->node.in_count; i++) {
        const clo_layout *want = call->kernel.in_layout[i];
        clo_value value = call->node.in[i];
        if (want == NULL || clo_layout_equal(want, program->places[value].layout)) {
            continue;
        }
        clo_value moved = find_reorder(program, value, want);
        if (moved == CLO_NO_VALUE) {
            CLO_TRY(add_copy(program, value, &moved));
            CLO_TRY(push_reorder(program, value, moved, program->places[value].layout, want));
        }
        call->node.in[i] = moved;
    }
    return CLO_STATUS_OK;
}

/* Where a kept value is made in another layout than row-major, the kernel writes to a copy. */
static clo_status match_outputs(clo_program *program, clo_call *call, clo_value *out_final)
{
    for (int i = 0; i < call->node.out_count; i++) {
        clo_value value = call->node.out[i];
        const clo_layout *made = call->kernel.out_layout[i];
        out_final[i] = CLO_NO_VALUE;
        if (made == NULL) {
            continue;
        }
        clo_place *place = &program->places[value];
        if (place->kept) {
            CLO_TRY(clo_program_plain(program, value, &place->layout));
            if (!clo_layout_equal(made, place->layout)) {
                out_final[i] = value;
                CLO_TRY(add_copy(program, value, &call->node.out[i]));
            }
        }
        program->places[call->node.out[i]].layout = made;
    }
    return CLO_STATUS_OK;
}

static clo_status lower_node(clo_program *program, const clo_node *node)
{
    CLO_AUTO(pending) call = {.node = *node};
    clo_value final[CLO_NODE_OUTPUTS];
    CLO_TRY(node->op->lower(program, node, &call.kernel));
    CLO_TRY(match_inputs(program, &call));
    CLO_TRY(match_outputs(program, &call, final));
    clo_call made = call;
    push(program, &call);
    for (int i = 0; i < made.node.out_count; i++) {
        if (final[i] != CLO_NO_VALUE) {
            CLO_TRY(push_reorder(program, made.node.out[i], final[i], made.kernel.out_layout[i],
                                 program->places[final[i]].layout));
        }
    }
    return CLO_STATUS_OK;
}

static clo_status make_tables(clo_program *program)
{
    size_t nodes = program->graph->node_count;
    program->place_capacity = program->graph->value_count + nodes * EXTRA;
    program->call_capacity = nodes * (EXTRA + 1);
    program->places = clo_alloc_array(program->place_capacity, sizeof *program->places);
    program->calls = clo_alloc_array(program->call_capacity, sizeof *program->calls);
    CLO_CHECK(program->places != NULL && program->calls != NULL, CLO_NOMEM,
              "out of memory for a program of %zu nodes", nodes);
    return CLO_STATUS_OK;
}

clo_status clo_pass_layout(clo_program *program)
{
    CLO_TRY(make_tables(program));
    clo_graph *graph = program->graph;
    for (size_t i = 0; i < graph->value_count; i++) {
        clo_place *place = &program->places[i];
        bool made = graph->values[i].kind == CLO_VALUE_OF_NODE;
        place->buffer = CLO_NO_BUFFER;
        place->kept = !made || clo_graph_is_kept(graph, (clo_value)i);
        if (!made) {
            CLO_TRY(clo_program_plain(program, (clo_value)i, &place->layout));
        }
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        const clo_node node = graph->nodes[i];
        CLO_TRY_CTX(lower_node(program, &node), "lowering node %zu '%s'", i, node.op->name);
    }
    return CLO_STATUS_OK;
}
