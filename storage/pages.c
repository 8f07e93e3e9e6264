/*
 * The structure of an LMDB file, checked.
 *
 *     meta 0, meta 1 (the one with the higher transaction counts)
 *        ├─ tree of free pages ──> lists of page numbers
 *        └─ main tree ──> rows, or named trees ──> rows ──> overflow pages of large values
 *
 * The format is that of LMDB 0.9 (mdb.c: MDB_page, MDB_node, MDB_db, MDB_meta), in the machine's own byte order and
 * word size. Each page may be used once only, which a bit for each page sees to; so damage can neither lead in
 * circles nor blow up.
 */
#include "storage/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/failure.h"

#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1u
#define PAGE_SIZE_MIN_BYTES 512u
#define PAGE_SIZE_MAX_BYTES 65536u
#define PAGE_NONE UINT64_MAX
#define FIRST_DATA_PAGE 2u
#define DEPTH_MAX 32u /* LMDB's own bound of a cursor's stack */

#define PAGE_HEAD_SIZE_BYTES 16u
#define NODE_HEAD_SIZE_BYTES 8u

enum page_flag { PAGE_BRANCH = 0x01, PAGE_LEAF = 0x02, PAGE_OVERFLOW = 0x04, PAGE_META = 0x08 };
/* What the environment keeps in the flags of its first tree: keys that are numbers, and a file without a folder. */
enum environment_flag { ENVIRONMENT_NUMBERS = 0x08, ENVIRONMENT_FILE = 0x4000 };
enum node_flag { NODE_BIG = 0x01, NODE_TREE = 0x02 };

struct tree {
    uint32_t pad; /* of a meta page's first tree: the page size */
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct meta_page {
    uint64_t number;
    uint16_t pad, flags;
    uint32_t bounds;
    uint32_t magic, version;
    uint64_t address, map_size_bytes;
    struct tree free_pages, main;
    uint64_t last_page, transaction;
};

/* The file while it is checked. */
struct check {
    const uint8_t *bytes;
    uint64_t size_bytes;
    uint32_t page_size_bytes;
    uint64_t last_page, transaction;
    uint8_t *used;        /* a bit for each page */
    uint8_t begins[PAGE_SIZE_MAX_BYTES / 2 / 8]; /* of the page at hand: a bit for each place where a row may begin */
    const char *complaint; /* NULL while all is well */
};

/* What has been met of a tree so far. */
struct seen {
    uint64_t branch_pages, leaf_pages, overflow_pages, entries;
    const uint8_t *key; /* the last one, NULL before the first */
    uint16_t key_size_bytes;
    bool key_is_bound; /* it is of a branch: the next key may be equal */
};

struct node {
    uint16_t flags, key_size_bytes;
    const uint8_t *key;
    uint32_t data_size_bytes; /* of a leaf */
    uint64_t child;           /* of a branch */
    const uint8_t *data;      /* of a leaf */
    uint32_t begin, end;      /* in the page */
};

static uint16_t load_u16(const uint8_t *from)
{
    uint16_t number;
    memcpy(&number, from, sizeof number);
    return number;
}

static uint64_t load_u64(const uint8_t *from)
{
    uint64_t number;
    memcpy(&number, from, sizeof number);
    return number;
}

static bool complain(struct check *check, const char *complaint)
{
    check->complaint = complaint;
    return false;
}

/* Marks `count` pages from `first` on as used; false when one does not exist or is used already. */
static bool use_pages(struct check *check, uint64_t first, uint64_t count)
{
    if (first < FIRST_DATA_PAGE || first > check->last_page || count > check->last_page - first + 1) {
        return complain(check, "a page number is out of range");
    }
    for (uint64_t page = first; page < first + count; page++) {
        uint8_t bit = (uint8_t)(1u << (page % 8));
        if (check->used[page / 8] & bit) {
            return complain(check, "a page is used twice");
        }
        check->used[page / 8] |= bit;
    }
    return true;
}

/* The page's bytes, once it is marked and lies in the file under its own number with these flags. */
static const uint8_t *take_page(struct check *check, uint64_t number, uint16_t flags)
{
    if (!use_pages(check, number, 1)) {
        return NULL;
    }
    if ((number + 1) * check->page_size_bytes > check->size_bytes) {
        complain(check, "the file has been cut off");
        return NULL;
    }
    const uint8_t *page = check->bytes + number * check->page_size_bytes;
    if (load_u64(page) != number || load_u16(page + 10) != flags) {
        complain(check, "a page is not what it should be");
        return NULL;
    }
    return page;
}

/* Number of nodes; 0 for a page whose bounds are wrong (in a tree, no page is empty). */
static unsigned page_nodes(const struct check *check, const uint8_t *page)
{
    unsigned lower = load_u16(page + 12), upper = load_u16(page + 14);
    /* 65536 does not fit: LMDB's own pages of that size have an upper bound of 0 only while empty. */
    bool right = lower > PAGE_HEAD_SIZE_BYTES && lower % 2 == 0 && lower <= upper && upper <= check->page_size_bytes;
    return right ? (lower - PAGE_HEAD_SIZE_BYTES) / 2 : 0;
}

static bool node_read(struct check *check, const uint8_t *page, unsigned index, bool leaf, struct node *node)
{
    uint32_t page_size_bytes = check->page_size_bytes;
    uint32_t offset = load_u16(page + PAGE_HEAD_SIZE_BYTES + 2 * index);
    if (offset < load_u16(page + 14) || offset % 2 || offset > page_size_bytes - NODE_HEAD_SIZE_BYTES) {
        return complain(check, "a row lies outside of its page");
    }
    const uint8_t *bytes = page + offset;
    uint16_t low = load_u16(bytes), high = load_u16(bytes + 2);
    node->flags = load_u16(bytes + 4);
    node->key_size_bytes = load_u16(bytes + 6);
    node->child = low | (uint64_t)high << 16 | (uint64_t)node->flags << 32;
    node->data_size_bytes = low | (uint32_t)high << 16;
    node->key = bytes + NODE_HEAD_SIZE_BYTES;
    node->data = node->key + node->key_size_bytes;
    uint64_t here_bytes = !leaf ? 0 : node->flags & NODE_BIG ? sizeof(uint64_t) : node->data_size_bytes;
    uint64_t end = offset + NODE_HEAD_SIZE_BYTES + node->key_size_bytes + here_bytes;
    if (end > page_size_bytes) {
        return complain(check, "a row does not fit into its page");
    }
    node->begin = offset;
    node->end = (uint32_t)(end + end % 2);
    return true;
}

/* Takes the place from those where a row begins; false when it was none. */
static bool take_begin(struct check *check, uint32_t place)
{
    uint8_t bit = (uint8_t)(1u << (place / 2 % 8)), *byte = &check->begins[place / 16];
    bool begins = (*byte & bit) != 0;
    *byte = (uint8_t)(*byte & ~bit);
    return begins;
}

/*
 * Rows lie side by side up to the end of their page: LMDB moves what is below a row that it removes, and trusts the
 * bounds for how much room there is. So each row's end is where one other begins, or the page's end, and the first
 * begins at the upper bound.
 */
static bool check_rows_adjoin(struct check *check, const uint8_t *page, unsigned nodes, bool leaf)
{
    struct node node;
    uint32_t page_size_bytes = check->page_size_bytes;
    unsigned last = 0;
    memset(check->begins, 0, page_size_bytes / 16);
    for (unsigned i = 0; i < nodes; i++) {
        if (!node_read(check, page, i, leaf, &node)) {
            return false;
        }
        check->begins[node.begin / 16] |= (uint8_t)(1u << (node.begin / 2 % 8));
    }
    bool adjoin = take_begin(check, load_u16(page + 14));
    for (unsigned i = 0; i < nodes && adjoin; i++) {
        if (!node_read(check, page, i, leaf, &node)) {
            return false;
        }
        adjoin = node.end == page_size_bytes ? last++ == 0 : take_begin(check, node.end);
    }
    return adjoin || complain(check, "the rows of a page overlap, or do not fill it");
}

static bool check_overflow(struct check *check, const struct node *node, struct seen *seen, const uint8_t **value)
{
    uint64_t number = load_u64(node->data);
    uint64_t needed = (PAGE_HEAD_SIZE_BYTES - 1 + (uint64_t)node->data_size_bytes) / check->page_size_bytes + 1;
    const uint8_t *page = take_page(check, number, PAGE_OVERFLOW);
    if (!page) {
        return false;
    }
    uint32_t pages; /* more than are needed when a smaller value took the place of a larger one */
    memcpy(&pages, page + 12, sizeof pages);
    if (pages < needed) {
        return complain(check, "a large value does not fit into its pages");
    }
    if (pages > 1 && !use_pages(check, number + 1, pages - 1u)) {
        return false;
    }
    if ((number + pages) * check->page_size_bytes > check->size_bytes) {
        return complain(check, "the file has been cut off");
    }
    seen->overflow_pages += pages;
    *value = page + PAGE_HEAD_SIZE_BYTES;
    return true;
}

/* A row of the tree of free pages: a count, then page numbers; LMDB may have taken room for more than it needed. */
static bool check_free_list(struct check *check, const uint8_t *value, uint32_t size_bytes)
{
    uint64_t count = size_bytes >= sizeof count ? load_u64(value) : 0;
    if (size_bytes < sizeof count || count > size_bytes / sizeof count - 1) {
        return complain(check, "a list of free pages has a wrong size");
    }
    uint64_t last = PAGE_NONE; /* LMDB writes them sorted, and finds neighbours by where they stand */
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page = load_u64(value + i * sizeof count);
        if (page >= last) {
            return complain(check, "a list of free pages is not in order");
        }
        if (!use_pages(check, page, 1)) {
            return false;
        }
        last = page;
    }
    return true;
}

enum tree_kind { TREE_FREE_PAGES, TREE_MAIN, TREE_NAMED };

static bool check_tree(struct check *check, const struct tree *tree, enum tree_kind kind);

/* LMDB's order: of bytes, and of numbers in the tree of free pages. */
static int compare_keys(const struct node *node, enum tree_kind kind, const struct seen *seen)
{
    if (kind == TREE_FREE_PAGES) {
        uint64_t number = load_u64(node->key), last = load_u64(seen->key);
        return (number > last) - (number < last);
    }
    int size_order = (node->key_size_bytes > seen->key_size_bytes) - (node->key_size_bytes < seen->key_size_bytes);
    int order = memcmp(node->key, seen->key, size_order < 0 ? node->key_size_bytes : seen->key_size_bytes);
    return order ? order : size_order;
}

/* Keys must rise: a walk along keys that do not would miss rows, or never end. */
static bool check_order(struct check *check, const struct node *node, bool leaf, enum tree_kind kind, struct seen *seen)
{
    if (node->key_size_bytes == 0 || (kind == TREE_FREE_PAGES && node->key_size_bytes != sizeof(uint64_t))) {
        return complain(check, "a key has an impossible size");
    }
    int order = seen->key ? compare_keys(node, kind, seen) : 1;
    if (order < 0 || (order == 0 && !seen->key_is_bound)) {
        return complain(check, "the keys of a table are not in order");
    }
    seen->key = node->key;
    seen->key_size_bytes = node->key_size_bytes;
    seen->key_is_bound = !leaf;
    return true;
}

static bool check_row(struct check *check, const struct node *node, enum tree_kind kind, struct seen *seen)
{
    const uint8_t *value = node->data;
    if (node->flags & ~(unsigned)(NODE_BIG | NODE_TREE)) {
        return complain(check, "a row has unknown flags");
    }
    if ((node->flags & NODE_BIG) && !check_overflow(check, node, seen, &value)) {
        return false;
    }
    if (kind == TREE_FREE_PAGES) {
        /* Its key is the transaction that freed them. The first one is 1: LMDB takes 0 for none read yet, and reads such a list twice. */
        uint64_t transaction = load_u64(node->key);
        if (transaction == 0 || transaction > check->transaction) {
            return complain(check, "a list of free pages is of no transaction");
        }
        return check_free_list(check, value, node->data_size_bytes);
    }
    if (node->flags & NODE_TREE) {
        struct tree named;
        if (kind != TREE_MAIN || (node->flags & NODE_BIG) || node->data_size_bytes != sizeof named) {
            return complain(check, "a table is where none can be");
        }
        memcpy(&named, value, sizeof named);
        return check_tree(check, &named, TREE_NAMED);
    }
    return true;
}

static bool check_page(struct check *check, uint64_t number, unsigned levels_below, enum tree_kind kind,
                       struct seen *seen)
{
    bool leaf = levels_below == 0;
    const uint8_t *page = take_page(check, number, leaf ? PAGE_LEAF : PAGE_BRANCH);
    if (!page) {
        return false;
    }
    unsigned nodes = page_nodes(check, page);
    if (nodes == 0) {
        return complain(check, "a page has wrong bounds");
    }
    if (leaf) {
        seen->leaf_pages++;
        seen->entries += nodes;
    } else {
        seen->branch_pages++;
    }
    if (!check_rows_adjoin(check, page, nodes, leaf)) {
        return false;
    }
    for (unsigned i = 0; i < nodes; i++) {
        struct node node;
        bool has_key = leaf || i > 0; /* a branch's first child has all that is below the second */
        if (!node_read(check, page, i, leaf, &node) ||
            (has_key && !check_order(check, &node, leaf, kind, seen)) ||
            !(leaf ? check_row(check, &node, kind, seen)
                   : check_page(check, node.child, levels_below - 1, kind, seen))) {
            return false;
        }
    }
    return true;
}

static bool check_tree(struct check *check, const struct tree *tree, enum tree_kind kind)
{
    struct seen seen = {0};
    if (tree->depth > DEPTH_MAX || (tree->depth == 0) != (tree->root == PAGE_NONE)) {
        return complain(check, "a table has an impossible depth");
    }
    unsigned flags = kind == TREE_FREE_PAGES ? ENVIRONMENT_NUMBERS | ENVIRONMENT_FILE : 0;
    if (tree->flags != flags) {
        return complain(check, "a table has unknown flags");
    }
    if (tree->depth > 0 && !check_page(check, tree->root, tree->depth - 1u, kind, &seen)) {
        return false;
    }
    if (seen.branch_pages != tree->branch_pages || seen.leaf_pages != tree->leaf_pages ||
        seen.overflow_pages != tree->overflow_pages || seen.entries != tree->entries) {
        return complain(check, "a table has another size than it says");
    }
    return true;
}

/* ---- meta pages */

static bool meta_is_right(const struct meta_page *meta, uint64_t number, uint64_t bound_bytes)
{
    uint32_t page_size_bytes = meta->free_pages.pad;
    return meta->number == number && meta->flags == PAGE_META && meta->magic == META_MAGIC &&
           meta->version == META_VERSION && page_size_bytes >= PAGE_SIZE_MIN_BYTES &&
           page_size_bytes <= PAGE_SIZE_MAX_BYTES && (page_size_bytes & (page_size_bytes - 1)) == 0 &&
           meta->last_page >= FIRST_DATA_PAGE - 1 && meta->last_page < bound_bytes / page_size_bytes;
}

/* Both must be right: LMDB refuses a file with one bad meta page, too. */
static bool read_metas(struct check *check, size_t map_size_bytes, struct meta_page *current)
{
    struct meta_page metas[2];
    uint64_t bound_bytes = check->size_bytes > map_size_bytes ? check->size_bytes : map_size_bytes;
    uint64_t offset = 0;
    for (uint64_t i = 0; i < 2; i++) {
        if (check->size_bytes < offset + sizeof metas[i]) {
            return complain(check, "the file has been cut off");
        }
        memcpy(&metas[i], check->bytes + offset, sizeof metas[i]);
        if (!meta_is_right(&metas[i], i, bound_bytes) || metas[i].free_pages.pad != metas[0].free_pages.pad) {
            return complain(check, "a meta page is damaged");
        }
        offset = metas[0].free_pages.pad;
    }
    /* Transactions take turns: number n writes page n % 2 when n - 1 stands on the other. A flipped bit here would bring
     * back the transaction before the last. */
    uint64_t even = metas[0].transaction, odd = metas[1].transaction;
    bool fresh = even == 0 && odd == 0;
    if (!fresh && (even % 2 != 0 || (even < odd ? odd - even : even - odd) != 1)) {
        return complain(check, "the meta pages do not follow each other");
    }
    *current = metas[even < odd];
    check->page_size_bytes = current->free_pages.pad;
    check->last_page = current->last_page;
    check->transaction = current->transaction;
    return true;
}

static enum storage_error check_bytes(struct check *check, const char *path, size_t map_size_bytes,
                                      struct storage_failure *failure)
{
    struct meta_page meta;
    if (read_metas(check, map_size_bytes, &meta)) {
        check->used = calloc(check->last_page / 8 + 1, 1);
        if (!check->used) {
            return storage_fail(failure, STORAGE_NO_MEMORY, "%.200s: memory is exhausted", path);
        }
        if (check_tree(check, &meta.main, TREE_MAIN)) {
            check_tree(check, &meta.free_pages, TREE_FREE_PAGES);
        }
        free(check->used);
    }
    return check->complaint ? storage_fail(failure, STORAGE_CORRUPT, "%.180s: %s", path, check->complaint) : STORAGE_OK;
}

static enum storage_error check_open_file(int fd, const char *path, size_t map_size_bytes,
                                          struct storage_failure *failure)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return storage_fail_code(failure, errno, path, "read");
    }
    if (!S_ISREG(status.st_mode)) {
        return storage_fail(failure, STORAGE_UNREADABLE, "%.200s: not a regular file", path);
    }
    if (status.st_size == 0) {
        return STORAGE_OK;
    }
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) {
        return storage_fail_code(failure, errno, path, "map");
    }
    struct check check = {.bytes = bytes, .size_bytes = (uint64_t)status.st_size};
    enum storage_error error = check_bytes(&check, path, map_size_bytes, failure);
    munmap(bytes, (size_t)status.st_size);
    return error;
}

enum storage_error pages_check(const char *path, size_t map_size_bytes, struct storage_failure *failure)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return storage_fail_code(failure, errno, path, "open");
    }
    enum storage_error error = check_open_file(fd, path, map_size_bytes, failure);
    close(fd);
    return error;
}
