// Whole files in and out. Nothing is ever half-written: a file is written to a temporary name in the same folder,
// flushed to the disk and renamed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aneval {

/// Errors (exit code 2): cannot open or read, is a folder, is larger than `limit_bytes`.
std::vector<std::byte> read_file(const std::filesystem::path& file, std::uintmax_t limit_bytes = UINTMAX_MAX);
std::string read_text_file(const std::filesystem::path& file, std::uintmax_t limit_bytes = UINTMAX_MAX);

/// Atomic: readers see the old content or the new, also after a crash. "-" as file writes to standard output. A link
/// stays a link; a device or pipe is written in place. New files have the permissions that the umask leaves.
/// Errors (exit code 3: the output became impossible after the start): folder missing, not writable, disk full.
void write_file(const std::filesystem::path& file, std::span<const std::byte> content);
void write_file(const std::filesystem::path& file, std::string_view content);

/// With the folders that it lies in. Errors (exit code 2): it cannot be made.
void make_folder(const std::filesystem::path& folder);

/// Checks before any work, by creating and removing a temporary file, that `file` can be created: an input_error (exit
/// code 2) naming the folder otherwise.
void check_writable(const std::filesystem::path& file);

}  // namespace aneval
