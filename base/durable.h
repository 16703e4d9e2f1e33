// Durable files: the one place that knows which system calls make bytes survive a power cut.
//
//   replace_file   open(O_TMP) write fdatasync close rename fsync(directory)
//   append_durably write fdatasync
//
// After a failed write or fsync the state of that file is unknown: callers stop using the
// descriptor and let recovery (which is ordinary start-up) find out what is there.
#pragma once

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"

#include <string>

namespace tally {

// Puts `contents` at `path` atomically: a reader sees the old file or the new, whole.
Status replace_file(const std::string &path, ByteView contents, unsigned mode = 0644);

// The same without the directory's fsync, for a batch of files in few directories; the batch is
// durable once sync_directory has returned for each directory touched.
Status replace_file_unsynced_name(const std::string &path, ByteView contents, unsigned mode = 0644);
Status sync_directory(const std::string &directory);

// Writes all of `bytes` at the descriptor's end and waits until the device has them.
Status append_durably(int fd, ByteView bytes, const std::string &path);

// Creates the directory and its parents, each made durable in its own parent.
Status make_directories(const std::string &path, unsigned mode = 0755);

// Reads a regular file of at most `limit` bytes.
Result<Bytes> read_file(const std::string &path, size_t limit = 64U << 20);
Result<std::string> read_text(const std::string &path, size_t limit = 1U << 20);

} // namespace tally
