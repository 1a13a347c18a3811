/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and folders: whole reads, atomic writes, full transfers, trees.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

/* Lives until the program ends. */
static const char *path_in(const char *folder, const char *name)
{
    static clo_arena paths;
    char path[1200];
    CLO_ASSERT(clo_ok(clo_path_join(path, sizeof path, folder, name)));
    return clo_arena_str(&paths, clo_span_of_str(path));
}

static void written_file_reads_back_with_its_mode(void)
{
    const char *path = path_in(clo_test_folder(), "file");
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    struct stat info;
    T_OK(clo_file_write(path, 0640, clo_span_of_str("first")));
    T_OK(clo_file_write(path, 0600, clo_span_of_str("second text")));
    clo_put_str(&buf, "> ");
    T_OK(clo_file_read(path, 100, &buf));
    T_STR(clo_buf_str(&buf), "> second text");
    T_CHECK(stat(path, &info) == 0 && (info.st_mode & 07777) == 0600);
    T_CHECK(clo_file_exists(path));
}

static void empty_and_large_files_read_whole(void)
{
    const char *path = path_in(clo_test_folder(), "file");
    CLO_AUTO(clo_buf) large = CLO_BUF_INIT;
    for (uint32_t i = 0; i < 300000; i++) {
        clo_put_u32be(&large, i * 2654435761U);
    }
    CLO_AUTO(clo_buf) back = CLO_BUF_INIT;
    T_OK(clo_file_write(path, 0600, CLO_SPAN_EMPTY));
    T_OK(clo_file_read(path, 0, &back));
    T_INT(back.size, 0);
    T_OK(clo_file_write(path, 0600, clo_buf_span(&large)));
    T_OK(clo_file_read(path, 1200000, &back));
    T_CHECK(clo_span_equal(clo_buf_span(&large), clo_buf_span(&back)));
}

static void file_above_a_limit_is_refused_and_nothing_is_kept(void)
{
    const char *path = path_in(clo_test_folder(), "file");
    T_OK(clo_file_write(path, 0600, clo_span_of_str("12345")));
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    T_CODE(clo_file_read(path, 4, &buf), CLO_LIMIT);
    T_INT(buf.size, 0);
    T_OK(clo_file_read(path, 5, &buf));
    CLO_AUTO(clo_buf) small = CLO_BUF_LIMIT(4);
    T_CODE(clo_file_read(path, 100, &small), CLO_LIMIT);
    T_INT(small.size, 0);
    T_OK(clo_buf_check(&small));
}

static void proc_files_that_say_size_zero_are_read(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    T_OK(clo_file_read("/proc/self/status", 1 << 20, &buf));
    T_CHECK(buf.size > 100);
}

static void what_is_no_file_is_refused_without_waiting(void)
{
    const char *folder = clo_test_folder();
    const char *fifo = path_in(folder, "fifo");
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    T_CHECK(mkfifo(fifo, 0600) == 0);
    T_CODE(clo_file_read(fifo, 100, &buf), CLO_INVALID);
    T_CODE(clo_file_read(folder, 100, &buf), CLO_INVALID);
    T_CODE(clo_file_read("/dev/zero", 100, &buf), CLO_INVALID);
    T_CODE(clo_file_read(path_in(folder, "missing"), 100, &buf), CLO_NOTFOUND);
    T_CHECK(!clo_file_exists(path_in(folder, "missing")));
}

static void failed_write_leaves_the_old_file_and_no_trace(void)
{
    const char *folder = clo_test_folder();
    const char *path = path_in(folder, "file");
    clo_atomic_file file = CLO_ATOMIC_FILE_INIT;
    T_OK(clo_file_write(path, 0600, clo_span_of_str("old")));
    T_OK(clo_atomic_begin(path, 0600, &file));
    T_OK(clo_fd_write_all(file.fd, clo_span_of_str("new")));
    T_CHECK(clo_file_exists(file.temp));
    char temp[sizeof file.temp];
    memcpy(temp, file.temp, sizeof temp);
    clo_atomic_abort(&file);
    clo_atomic_abort(&file);
    T_CHECK(!clo_file_exists(temp));
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    T_OK(clo_file_read(path, 100, &buf));
    T_STR(clo_buf_str(&buf), "old");
}

static void commit_that_cannot_rename_can_be_aborted(void)
{
    const char *folder = clo_test_folder();
    const char *path = path_in(folder, "taken");
    CLO_AUTO(clo_atomic_file) file = CLO_ATOMIC_FILE_INIT;
    T_OK(clo_atomic_begin(path, 0600, &file));
    T_OK(clo_dir_make(path, 0700));
    T_CODE(clo_atomic_commit(&file), CLO_IO);
    T_CHECK(clo_file_exists(file.temp));
    char temp[sizeof file.temp];
    memcpy(temp, file.temp, sizeof temp);
    clo_atomic_abort(&file);
    T_CHECK(!clo_file_exists(temp));
}

static void streamed_write_appears_at_commit(void)
{
    const char *path = path_in(clo_test_folder(), "file");
    CLO_AUTO(clo_atomic_file) file = CLO_ATOMIC_FILE_INIT;
    T_OK(clo_atomic_begin(path, 0644, &file));
    T_OK(clo_fd_write_all(file.fd, clo_span_of_str("ab")));
    T_OK(clo_fd_write_all(file.fd, clo_span_of_str("cd")));
    T_CHECK(!clo_file_exists(path));
    T_OK(clo_atomic_commit(&file));
    T_CHECK(clo_file_exists(path));
    clo_atomic_abort(&file);
    T_CHECK(clo_file_exists(path));
}

static void write_to_a_missing_folder_or_an_endless_path_fails(void)
{
    char endless[1100];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    T_CODE(clo_file_write(path_in(clo_test_folder(), "no/file"), 0600, CLO_SPAN_EMPTY),
           CLO_NOTFOUND);
    T_CODE(clo_file_write(endless, 0600, CLO_SPAN_EMPTY), CLO_INVALID);
    T_CODE(clo_file_write("", 0600, CLO_SPAN_EMPTY), CLO_INVALID);
}

static void folders_are_made_with_their_parents(void)
{
    const char *folder = clo_test_folder();
    const char *deep = path_in(folder, "a/b//c/");
    T_OK(clo_dir_make(deep, 0700));
    T_OK(clo_dir_make(deep, 0700));
    T_CHECK(clo_file_exists(path_in(folder, "a/b/c")));
    T_OK(clo_file_write(path_in(folder, "file"), 0600, CLO_SPAN_EMPTY));
    T_CODE(clo_dir_make(path_in(folder, "file"), 0700), CLO_EXISTS);
    T_CHECK(!clo_ok(clo_dir_make(path_in(folder, "file/below"), 0700)));
    T_CODE(clo_dir_make("", 0700), CLO_INVALID);
}

static void tree_is_removed_and_links_are_not_followed(void)
{
    const char *kept = clo_test_folder();
    const char *folder = path_in(clo_test_folder(), "tree");
    T_OK(clo_file_write(path_in(kept, "kept"), 0600, CLO_SPAN_EMPTY));
    T_OK(clo_dir_make(path_in(folder, "a/b"), 0700));
    T_OK(clo_file_write(path_in(folder, "a/b/file"), 0600, CLO_SPAN_EMPTY));
    T_CHECK(symlink(kept, path_in(folder, "a/link")) == 0);
    T_OK(clo_dir_remove_tree(folder));
    T_CHECK(!clo_file_exists(folder));
    T_CHECK(clo_file_exists(path_in(kept, "kept")));
    T_OK(clo_dir_remove_tree(folder));
}

static void root_of_a_tree_that_is_a_link_or_a_file_is_refused(void)
{
    const char *folder = clo_test_folder();
    const char *link = path_in(folder, "link");
    T_OK(clo_dir_make(path_in(folder, "real"), 0700));
    T_OK(clo_file_write(path_in(folder, "real/file"), 0600, CLO_SPAN_EMPTY));
    T_CHECK(symlink(path_in(folder, "real"), link) == 0);
    T_CHECK(!clo_ok(clo_dir_remove_tree(link)));
    T_CHECK(!clo_ok(clo_dir_remove_tree(path_in(folder, "real/file"))));
    T_CHECK(clo_file_exists(path_in(folder, "real/file")));
}

static void tree_deeper_than_its_cap_is_refused(void)
{
    const char *folder = clo_test_folder();
    const char *inner = folder;
    for (int i = 0; i < 70; i++) {
        inner = path_in(inner, "d");
        T_OK(clo_dir_make(inner, 0700));
    }
    T_CODE(clo_dir_remove_tree(folder), CLO_LIMIT);
    T_OK(clo_dir_remove_tree(path_in(folder, "d/d/d/d/d/d/d/d/d/d")));
    T_OK(clo_dir_remove_tree(folder));
}

static void relative_and_root_paths_are_written(void)
{
    char before[1024];
    T_CHECK(getcwd(before, sizeof before) != NULL && chdir(clo_test_folder()) == 0);
    clo_status status = clo_file_write("file", 0600, clo_span_of_str("x"));
    bool there = clo_file_exists("file");
    T_CHECK(chdir(before) == 0);
    T_OK(status);
    T_CHECK(there);
    T_CHECK(!clo_ok(clo_file_write("/proc/no-such-file", 0600, CLO_SPAN_EMPTY)));
}

static void temporary_folders_are_private_and_different(void)
{
    char a[256];
    char b[256];
    struct stat info;
    const char *prefix = path_in(clo_test_folder(), "x-");
    T_OK(clo_dir_make_temp(prefix, a, sizeof a));
    T_OK(clo_dir_make_temp(prefix, b, sizeof b));
    T_CHECK(strcmp(a, b) != 0 && stat(a, &info) == 0 && (info.st_mode & 07777) == 0700);
    T_CODE(clo_dir_make_temp(prefix, a, 10), CLO_LIMIT);
}

static void paths_join_with_one_slash(void)
{
    char path[8];
    T_OK(clo_path_join(path, sizeof path, "a", "b"));
    T_STR(path, "a/b");
    T_OK(clo_path_join(path, sizeof path, "a/", "b"));
    T_STR(path, "a/b");
    T_OK(clo_path_join(path, sizeof path, "", "b"));
    T_STR(path, "b");
    T_OK(clo_path_join(path, sizeof path, "abc", "def"));
    T_CODE(clo_path_join(path, sizeof path, "abcd", "def"), CLO_LIMIT);
    T_STR(path, "abc/def");
}

static void positioned_reads_are_whole_or_refused(void)
{
    const char *path = path_in(clo_test_folder(), "file");
    char out[6] = {0};
    T_OK(clo_file_write(path, 0600, clo_span_of_str("0123456789")));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    T_CHECK(fd >= 0);
    T_OK(clo_fd_pread_all(fd, out, 5, 5));
    T_STR(out, "56789");
    T_CODE(clo_fd_pread_all(fd, out, 5, 6), CLO_FORMAT);
    T_CODE(clo_fd_pread_all(fd, out, 1, 100), CLO_FORMAT);
    T_CODE(clo_fd_pread_all(fd, out, 5, UINT64_MAX), CLO_INVALID);
    T_CODE(clo_fd_pread_all(fd, out, 5, INT64_MAX - 2), CLO_INVALID);
    T_OK(clo_fd_pread_all(fd, out, 0, 100));
    close(fd);
    T_CODE(clo_fd_pread_all(fd, out, 1, 0), CLO_IO);
    T_CODE(clo_fd_write_all(fd, clo_span_of_str("x")), CLO_IO);
}

static void waiting_ends_at_readiness_or_deadline(void)
{
    int ends[2];
    T_CHECK(pipe2(ends, O_CLOEXEC) == 0);
    int64_t before = clo_clock_ms();
    T_CODE(clo_fd_wait(ends[0], POLLIN, clo_deadline_in(30)), CLO_TIMEOUT);
    T_CHECK(clo_clock_ms() - before >= 29);
    T_OK(clo_fd_write_all(ends[1], clo_span_of_str("x")));
    T_OK(clo_fd_wait(ends[0], POLLIN, clo_deadline_in(10000)));
    T_CODE(clo_fd_wait(ends[0], POLLIN, clo_deadline_in(0)), CLO_TIMEOUT);
    close(ends[1]);
    T_OK(clo_fd_wait(ends[0], POLLIN, clo_deadline_in(10000)));
    close(ends[0]);
    T_CODE(clo_fd_wait(ends[0], POLLIN, clo_deadline_in(10000)), CLO_BUG);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(written_file_reads_back_with_its_mode),
        T(empty_and_large_files_read_whole),
        T(file_above_a_limit_is_refused_and_nothing_is_kept),
        T(proc_files_that_say_size_zero_are_read),
        T(what_is_no_file_is_refused_without_waiting),
        T(failed_write_leaves_the_old_file_and_no_trace),
        T(commit_that_cannot_rename_can_be_aborted),
        T(streamed_write_appears_at_commit),
        T(write_to_a_missing_folder_or_an_endless_path_fails),
        T(folders_are_made_with_their_parents),
        T(tree_is_removed_and_links_are_not_followed),
        T(root_of_a_tree_that_is_a_link_or_a_file_is_refused),
        T(tree_deeper_than_its_cap_is_refused),
        T(relative_and_root_paths_are_written),
        T(temporary_folders_are_private_and_different),
        T(paths_join_with_one_slash),
        T(positioned_reads_are_whole_or_refused),
        T(waiting_ends_at_readiness_or_deadline),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
