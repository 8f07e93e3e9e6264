/*
 * A state file that was damaged where it lay: found out before LMDB follows what its pages say, or harmless.
 *
 *     input: what is damaged, edit by edit
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/state_files.h"
#include "storage/files.h"
#include "tests/support/scratch_dir.h"

#define EDITS_MAX 12u

static struct scratch_dir home;
static struct file_bytes whole;

static void leave_home(void)
{
    scratch_dir_remove(&home);
    free(whole.bytes);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    home = scratch_dir_make();
    atexit(leave_home);
    state_files_make(home.path);
    whole = file_bytes_read(scratch_path(&home, STATE_FILE));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    struct file_bytes file = file_bytes_copy(&whole);

    file_bytes_hurt(&file, &input, EDITS_MAX);
    bool hurt = file.size_bytes != whole.size_bytes || memcmp(file.bytes, whole.bytes, whole.size_bytes) != 0;
    file_bytes_write(scratch_path(&home, STATE_FILE), &file);
    bool taken = state_files_use(home.path);
    fuzz_require(taken || hurt);
    free(file.bytes);
    return 0;
}
