/*
 * Runs a fuzz target without libFuzzer: over its corpus, then over mutations of it that a seed decides. Any compiler
 * and any sanitizer will do.
 *
 *     replay_<target> [--mutations N] [--seed S] [--findings FILE] PATH...
 *
 * A PATH is a folder of corpus files, one corpus file (*.txt, an input a line, README.md has the form), or one input as
 * it is. A target that aborts, or meets a sanitizer, ends the program; the input that did it is then in FILE.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/input.h"

#define INPUT_SIZE_BYTES_MAX (64u << 10)
#define MUTATIONS_AT_ONCE_MAX 6u
#define HANGS_AFTER_S 60u

struct input {
    uint8_t *data;
    size_t size_bytes;
};

struct corpus {
    struct input *inputs;
    size_t count, capacity;
};

/* Read by the signal handler. */
static struct input current;
static char findings_path[PATH_MAX];

/* ---------------------------------------------------------------- what to do when a target breaks */

static void keep_current(void)
{
    int fd = open(findings_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    static const char words[] = "the input is in ";

    if (fd >= 0 && write(fd, current.data, current.size_bytes) == (ssize_t)current.size_bytes &&
        write(STDERR_FILENO, words, sizeof words - 1) > 0 &&
        write(STDERR_FILENO, findings_path, strlen(findings_path)) > 0) {
        (void)!write(STDERR_FILENO, "\n", 1);
    }
}

static void on_signal(int number)
{
    keep_current();
    signal(number, SIG_DFL);
    raise(number);
}

/* Sanitizers end the process in their own way and call this first; NULL without one. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static void watch(void)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action = {.sa_handler = on_signal};
        sigaction(signals[i], &action, NULL);
    }
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(keep_current);
    }
}

static void run(const uint8_t *data, size_t size_bytes)
{
    /* Of its own on the heap: reading beyond it is then seen. */
    current = (struct input){fuzz_exact_copy((struct span){data, size_bytes}), size_bytes};
    alarm(HANGS_AFTER_S);
    (void)LLVMFuzzerTestOneInput(current.data, current.size_bytes); /* its answer is for libFuzzer's corpus only */
    alarm(0);
    free(current.data);
    current = (struct input){NULL, 0};
}

/* ---------------------------------------------------------------- the corpus */

static void corpus_add(struct corpus *corpus, const uint8_t *data, size_t size_bytes)
{
    if (corpus->count == corpus->capacity) {
        corpus->capacity = corpus->capacity == 0 ? 64 : corpus->capacity * 2;
        corpus->inputs = fuzz_must(reallocarray(corpus->inputs, corpus->capacity, sizeof *corpus->inputs));
    }
    corpus->inputs[corpus->count++] = (struct input){fuzz_exact_copy((struct span){data, size_bytes}), size_bytes};
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One line of a corpus file, in its own place. False when an escape is none. */
static bool unescape(char *line, size_t *size_bytes)
{
    static const char names[] = "\\nrt", bytes[] = "\\\n\r\t";
    size_t written = 0;

    for (const char *at = line; *at != '\0'; at++) {
        if (*at != '\\') {
            line[written++] = *at;
            continue;
        }
        const char *name = *++at != '\0' ? strchr(names, *at) : NULL;
        if (name != NULL) {
            line[written++] = bytes[name - names];
        } else if (*at == 'x' && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
            line[written++] = (char)(hex_digit(at[1]) << 4 | hex_digit(at[2]));
            at += 2;
        } else {
            return false;
        }
    }
    *size_bytes = written;
    return true;
}

static void fail(const char *path, const char *words)
{
    fprintf(stderr, "%s: %s\n", path, words);
    exit(1);
}

static void read_lines(struct corpus *corpus, const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t capacity = 0, size_bytes;

    if (file == NULL) {
        fail(path, strerror(errno));
    }
    for (ssize_t length; (length = getline(&line, &capacity, file)) > 0;) {
        line[line[length - 1] == '\n' ? length - 1 : length] = '\0';
        if (line[0] == '#' || line[0] == '\0') {
            continue;
        }
        if (!unescape(line, &size_bytes)) {
            fail(path, "holds an escape that is none");
        }
        corpus_add(corpus, (uint8_t *)line, size_bytes);
    }
    free(line);
    fclose(file);
}

static void read_input(struct corpus *corpus, const char *path)
{
    uint8_t *data = fuzz_must(malloc(INPUT_SIZE_BYTES_MAX));
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        fail(path, strerror(errno));
    }
    corpus_add(corpus, data, fread(data, 1, INPUT_SIZE_BYTES_MAX, file));
    fclose(file);
    free(data);
}

static bool is_corpus_file(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot != NULL && strcmp(dot, ".txt") == 0;
}

static int corpus_files(const struct dirent *entry)
{
    return is_corpus_file(entry->d_name);
}

static void read_path(struct corpus *corpus, const char *path)
{
    struct dirent **names;
    struct stat about;

    if (stat(path, &about) != 0) {
        fail(path, strerror(errno));
    }
    if (!S_ISDIR(about.st_mode)) {
        (is_corpus_file(path) ? read_lines : read_input)(corpus, path);
        return;
    }
    int count = scandir(path, &names, corpus_files, alphasort);
    if (count < 0) {
        fail(path, strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        char whole[4096];
        if (snprintf(whole, sizeof whole, "%s/%s", path, names[i]->d_name) >= (int)sizeof whole) {
            fail(path, "is too long a path");
        }
        read_lines(corpus, whole);
        free(names[i]);
    }
    free(names);
}

/* ---------------------------------------------------------------- mutations */

static uint64_t random_state;

static size_t random_below(size_t bound)
{
    random_state ^= random_state << 13; /* xorshift64 */
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return bound == 0 ? 0 : (size_t)(random_state % bound);
}

/* Puts `size` bytes of `from` at `at` in place of `dropped` bytes, as far as there is room. */
static void replace(struct input *input, size_t at, size_t dropped, const uint8_t *from, size_t size)
{
    if (input->size_bytes - dropped + size > INPUT_SIZE_BYTES_MAX) {
        return;
    }
    memmove(input->data + at + size, input->data + at + dropped, input->size_bytes - at - dropped);
    if (size > 0) {
        memcpy(input->data + at, from, size);
    }
    input->size_bytes += size;
    input->size_bytes -= dropped;
}

static void mutate_once(struct input *input, const struct corpus *corpus)
{
    static const uint64_t odd[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, INT64_MAX, UINT64_MAX};
    size_t at = random_below(input->size_bytes + 1), left = input->size_bytes - at;
    const struct input *other = &corpus->inputs[random_below(corpus->count)];
    size_t other_at = random_below(other->size_bytes + 1);
    uint64_t number = odd[random_below(sizeof odd / sizeof *odd)];
    uint8_t piece[256];
    size_t piece_size = 1 + random_below(left < sizeof piece ? left + 1 : sizeof piece - 1);

    switch (random_below(8)) {
    case 0:
        if (left > 0) {
            input->data[at] ^= (uint8_t)(1u << random_below(8));
        }
        break;
    case 1:
        if (left > 0) {
            input->data[at] = (uint8_t)random_below(256);
        }
        break;
    case 2: { /* a number that bounds are made of, little-endian */
        size_t size = (size_t)1 << random_below(4);
        memcpy(piece, &number, sizeof number);
        replace(input, at, left < size ? left : size, piece, size);
        break;
    }
    case 3:
        replace(input, at, left < piece_size ? left : piece_size, NULL, 0);
        break;
    case 4: /* the same again */
        piece_size = left < piece_size ? left : piece_size;
        if (piece_size > 0) {
            memcpy(piece, input->data + at, piece_size);
        }
        replace(input, at, 0, piece, piece_size);
        break;
    case 5: /* a piece of another */
        replace(input, at, 0, other->data + other_at, random_below(other->size_bytes - other_at + 1));
        break;
    case 6: /* the rest of another */
        replace(input, at, left, other->data + other_at, other->size_bytes - other_at);
        break;
    default:
        memset(piece, (int)random_below(256), piece_size);
        replace(input, at, 0, piece, piece_size);
    }
}

static void run_mutations(const struct corpus *corpus, unsigned long count)
{
    struct input input = {fuzz_must(malloc(INPUT_SIZE_BYTES_MAX)), 0};

    for (unsigned long i = 0; i < count; i++) {
        const struct input *from = &corpus->inputs[random_below(corpus->count)];
        input.size_bytes = from->size_bytes < INPUT_SIZE_BYTES_MAX ? from->size_bytes : INPUT_SIZE_BYTES_MAX;
        if (input.size_bytes > 0) {
            memcpy(input.data, from->data, input.size_bytes);
        }
        for (size_t times = 1 + random_below(MUTATIONS_AT_ONCE_MAX); times > 0; times--) {
            mutate_once(&input, corpus);
        }
        run(input.data, input.size_bytes);
    }
    free(input.data);
}

/* ---------------------------------------------------------------- main */

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

static unsigned long number_of(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0') {
        fail(text, "is no number");
    }
    return number;
}

int main(int argc, char **argv)
{
    struct corpus corpus = {NULL, 0, 0};
    unsigned long mutations = 0, seed = 1;
    const char *findings = "fuzz-finding";
    char folder[PATH_MAX / 2];
    int at = 1;

    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        if (strcmp(argv[at], "--mutations") == 0) {
            mutations = number_of(argv[at + 1]);
        } else if (strcmp(argv[at], "--seed") == 0) {
            seed = number_of(argv[at + 1]);
        } else if (strcmp(argv[at], "--findings") == 0) {
            findings = argv[at + 1];
        } else {
            fail(argv[at], "is no option");
        }
    }
    /* Absolute: a target may change its directory. */
    if (getcwd(folder, sizeof folder) == NULL ||
        snprintf(findings_path, sizeof findings_path, "%s%s%s", findings[0] == '/' ? "" : folder,
                 findings[0] == '/' ? "" : "/", findings) >= (int)sizeof findings_path) {
        fail(findings, "is no place for findings");
    }
    for (; at < argc; at++) {
        read_path(&corpus, argv[at]);
    }
    if (corpus.count == 0) {
        fail(argv[0], "has nothing to run");
    }
    /* cmocka's assertions, which the fixtures use, end the program then. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    watch();
    (void)LLVMFuzzerInitialize(&argc, &argv); /* ours end the program when they fail */
    for (size_t i = 0; i < corpus.count; i++) {
        run(corpus.inputs[i].data, corpus.inputs[i].size_bytes);
    }
    random_state = seed * 0x9e3779b97f4a7c15u | 1;
    run_mutations(&corpus, mutations);
    printf("%zu inputs, %lu mutations\n", corpus.count, mutations);
    for (size_t i = 0; i < corpus.count; i++) {
        free(corpus.inputs[i].data);
    }
    free(corpus.inputs);
    return 0;
}
