//! How the C library's allocator is asked to behave: what is freed goes back to the system.
//!
//! Bodies, columns and files are large and short-lived. Left to itself glibc raises the size from which on a piece is a
//! mapping of its own to that of the largest it saw freed (32 MiB at most), and from then on keeps such pieces in
//! arenas, of which it makes eight a core: after a burst of large bodies the process holds twice what it uses.

/// Pieces from this size on are mappings of their own, which end when they are freed. Bytes.
const MAPPED_BYTES_MIN: i32 = 256 << 10;

/// Arenas a core: enough that threads seldom wait for each other.
const ARENAS_A_CORE: usize = 2;

/// Sets it, once, before there are threads. Elsewhere than on glibc there is nothing to set.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "no crate wraps mallopt")]
pub fn give_back_what_is_freed() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let arenas = i32::try_from(cores.saturating_mul(ARENAS_A_CORE)).unwrap_or(i32::MAX);
    // SAFETY: both change numbers that the allocator reads under its own lock; what is no number of this glibc's is
    // refused with 0, and then things stay as they were.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
        libc::mallopt(libc::M_ARENA_MAX, arenas);
    }
}

/// Sets it, once, before there are threads. Elsewhere than on glibc there is nothing to set.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back_what_is_freed() {}
