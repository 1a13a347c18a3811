/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister predict MODEL: an owner's own model on the owner's own images, in clear, on this
 * machine.
 */
#include "commands.h"
#include "terminal.h"

#include "cloister/data.h"
#include "cloister/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IMAGES_LIMIT (UINT64_C(1) << 30)
#define MODEL_NAME   "mnist-cnn"

const cli_option cmd_predict_options[] = {
    {"images", CLI_TEXT, offsetof(cmd_predict_settings, images), "FILE", "IDX, may be .gz"},
    {"labels", CLI_TEXT, offsetof(cmd_predict_settings, labels), "FILE", "IDX, may be .gz"},
    {"first", CLI_NUMBER, offsetof(cmd_predict_settings, first), "N", "first image (0)"},
    {"count", CLI_NUMBER, offsetof(cmd_predict_settings, count), "N", "images (4)"},
    {"pictures", CLI_FLAG, offsetof(cmd_predict_settings, pictures), NULL, "draw them"},
    {"json", CLI_FLAG, offsetof(cmd_predict_settings, json), NULL, "machine-readable"},
    CLI_OPTIONS_END};

void cmd_predict_defaults(void *settings)
{
    cmd_predict_settings *s = settings;
    s->count = 4;
}

/* Fashion-MNIST's classes, as its authors name them. */
static const char *const CLASSES[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                      "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

static clo_status read_idx(const char *path, clo_buf *out)
{
    CLO_CHECK(path, CLO_INVALID, "--images and --labels are needed");
    CLO_AUTO(clo_buf) file = CLO_BUF_LIMIT(IMAGES_LIMIT);
    CLO_TRY(clo_file_read(path, IMAGES_LIMIT, &file));
    bool packed = file.size > 2 && file.data[0] == 0x1f && file.data[1] == 0x8b;
    if (packed) {
        CLO_TRY_CTX(clo_gunzip(clo_buf_span(&file), out), "unpacking '%s'", path);
    } else {
        clo_put_span(out, clo_buf_span(&file));
    }
    return clo_buf_check(out);
}

static clo_status load_images(const cmd_predict_settings *s, int classes, clo_dataset **out_dataset)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_LIMIT(IMAGES_LIMIT);
    CLO_AUTO(clo_buf) labels = CLO_BUF_LIMIT(IMAGES_LIMIT);
    CLO_TRY(read_idx(s->images, &images));
    CLO_TRY(read_idx(s->labels, &labels));
    CLO_TRY(
        clo_dataset_parse_idx(clo_buf_span(&images), clo_buf_span(&labels), classes, out_dataset));
    size_t count = clo_dataset_count(*out_dataset);
    CLO_CHECK(s->count > 0 && s->first < count && s->count <= count - s->first, CLO_INVALID,
              "images %llu to %llu were asked for, the file has %zu", (unsigned long long)s->first,
              (unsigned long long)(s->first + s->count - 1), count);
    return CLO_STATUS_OK;
}

typedef struct {
    clo_graph *graph;
    clo_store *store;
    clo_program *program;
} predictor;

static void predictor_cleanup(predictor *p)
{
    clo_program_free(p->program);
    clo_store_free(p->store);
    clo_graph_free(p->graph);
}

static clo_status load_model(const char *path, const clo_architecture *architecture, size_t batch,
                             predictor *out)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_LIMIT(IMAGES_LIMIT);
    CLO_TRY(clo_file_read(path, IMAGES_LIMIT, &file));
    CLO_TRY(clo_graph_new(&out->graph));
    CLO_TRY(architecture->build(out->graph));
    CLO_TRY(clo_store_new(out->graph, &out->store));
    CLO_TRY_CTX(clo_safetensors_read(clo_buf_span(&file), out->store), "model '%s'", path);
    clo_program_options options = CLO_PROGRAM_OPTIONS_INIT;
    options.batch = (int64_t)batch;
    return clo_program_compile(out->graph, out->store, &options, &out->program);
}

static double softmax_of(const float *logits, int classes, int chosen)
{
    double sum = 0.0, top = (double)logits[chosen];
    for (int c = 0; c < classes; c++) {
        sum += exp((double)logits[c] - top);
    }
    return 1.0 / sum;
}

static clo_status show_picture(const float *image, const clo_shape *shape)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    int height = (int)shape->dim[1], width = (int)shape->dim[2];
    uint8_t pixels[64 * 64];
    CLO_CHECK(height <= 64 && width <= 64, CLO_UNSUPPORTED, "pictures of %dx%d are too large",
              height, width);
    for (int i = 0; i < height * width; i++) {
        pixels[i] = (uint8_t)(image[i] * 255.0f + 0.5f);
    }
    cli_picture(pixels, height, width, cli_is_terminal(STDOUT_FILENO), &text);
    CLO_TRY(clo_buf_check(&text));
    return cli_write_file(NULL, clo_buf_span(&text));
}

typedef struct {
    const cmd_predict_settings *settings;
    const clo_architecture *architecture;
    clo_shape shape;
    const float *images;
    const int32_t *labels, *chosen;
    const float *logits;
} predictions;

static clo_status show_people(const predictions *p)
{
    size_t pixels = (size_t)(p->shape.dim[0] * p->shape.dim[1] * p->shape.dim[2]);
    size_t right = 0;
    for (size_t i = 0; i < p->settings->count; i++) {
        int chosen = p->chosen[i];
        double sure = softmax_of(p->logits + i * (size_t)p->architecture->classes,
                                 p->architecture->classes, chosen);
        if (p->settings->pictures) {
            CLO_TRY(show_picture(p->images + i * pixels, &p->shape));
        }
        printf("    image %llu: label %s, prediction %s (%.0f%%)\n",
               (unsigned long long)(p->settings->first + i), CLASSES[p->labels[i]], CLASSES[chosen],
               100.0 * sure);
        right += p->labels[i] == chosen;
    }
    printf("%zu of %llu right\n", right, (unsigned long long)p->settings->count);
    return CLO_STATUS_OK;
}

static clo_status show_json(const predictions *p)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    clo_json_writer w = clo_json_writer_of(&text);
    clo_json_begin_array(&w, NULL);
    for (size_t i = 0; i < p->settings->count; i++) {
        clo_json_begin_object(&w, NULL);
        clo_json_put_u64(&w, "image", p->settings->first + i);
        clo_json_put_u64(&w, "label", (uint64_t)p->labels[i]);
        clo_json_put_u64(&w, "prediction", (uint64_t)p->chosen[i]);
        clo_json_put_str(&w, "class", CLASSES[p->chosen[i]]);
        clo_json_end_object(&w);
    }
    clo_json_end_array(&w);
    CLO_TRY(clo_buf_check(&text));
    cli_print_json(&text);
    return CLO_STATUS_OK;
}

static clo_status predict(const cmd_predict_settings *s, const char *model,
                          const clo_architecture *architecture, clo_arena *arena)
{
    CLO_AUTO_PTR(clo_dataset) dataset = NULL;
    CLO_AUTO(predictor) loaded = {NULL, NULL, NULL};
    CLO_TRY(load_images(s, architecture->classes, &dataset));
    CLO_TRY(load_model(model, architecture, s->count, &loaded));
    uint32_t *indices = clo_arena_array(arena, s->count, sizeof *indices);
    int32_t *labels = clo_arena_array(arena, s->count, sizeof *labels);
    int32_t *chosen = clo_arena_array(arena, s->count, sizeof *chosen);
    CLO_CHECK(indices && labels && chosen, CLO_NOMEM, "no memory for %llu images",
              (unsigned long long)s->count);
    for (size_t i = 0; i < s->count; i++) {
        indices[i] = (uint32_t)(s->first + i);
    }
    float *images = clo_program_input(loaded.program, CLO_IO_IMAGES).data;
    clo_dataset_gather(dataset, indices, s->count, images, labels);
    CLO_TRY(clo_program_run(loaded.program, NULL));
    const float *logits = clo_program_output(loaded.program, CLO_IO_LOGITS).data;
    clo_argmax_rows(logits, s->count, (size_t)architecture->classes, chosen);
    /* The program may have reused its input's memory. */
    size_t pixels =
        (size_t)architecture->channels * (size_t)architecture->height * (size_t)architecture->width;
    float *kept = clo_arena_array(arena, s->count * pixels, sizeof *kept);
    CLO_CHECK(kept, CLO_NOMEM, "no memory for %llu images", (unsigned long long)s->count);
    clo_dataset_gather(dataset, indices, s->count, kept, labels);
    predictions all = {s, architecture, clo_dataset_shape(dataset), kept, labels, chosen, logits};
    return s->json ? show_json(&all) : show_people(&all);
}

clo_status cmd_predict(const cli_command *command, const void *settings,
                       const cli_arguments *arguments)
{
    const clo_architecture *architecture = clo_architecture_find(MODEL_NAME);
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    (void)command;
    CLO_CHECK(architecture, CLO_BUG, "no built-in model '%s'", MODEL_NAME);
    return predict(settings, arguments->positional.item[0], architecture, &arena);
}
