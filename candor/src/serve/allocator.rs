//! How the C library's allocator is asked to behave: what a burst took goes back to the system.
//!
//! Left to itself glibc raises the size from which on a piece is a mapping of its own to that of the largest it saw
//! freed (32 MiB at most), keeps smaller pieces in arenas, of which it makes eight a core, and gives back only what is
//! free at their end: after a burst of large bodies the process holds twice what it uses. Refused: mappings for all that
//! is large. Pages of Parquet, some MiB each, come and go by the hundred in a query, and faulting them in anew each time
//! cost it half its time.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::time::Duration;

    /// Pieces from this size on are mappings of their own, which end when they are freed: bodies, not pages. Bytes.
    const MAPPED_BYTES_MIN: i32 = 8 << 20;

    /// So much may stay free at an arena's end, bytes.
    const FREE_AT_END_MAX: i32 = 32 << 20;

    /// Arenas a core: enough that threads seldom wait for each other.
    const ARENAS_A_CORE: usize = 2;

    /// How often what is free within arenas is given back as well.
    const GIVE_BACK_EVERY: Duration = Duration::from_secs(30);

    #[expect(unsafe_code, reason = "no crate wraps mallopt and malloc_trim")]
    pub fn give_back() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let arenas = i32::try_from(cores.saturating_mul(ARENAS_A_CORE)).unwrap_or(i32::MAX);
        // SAFETY: these change numbers that the allocator reads under its own lock; what is no number of this glibc's is
        // refused with 0, and then things stay as they were.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
            libc::mallopt(libc::M_TRIM_THRESHOLD, FREE_AT_END_MAX);
            libc::mallopt(libc::M_ARENA_MAX, arenas);
        }
        let given_back = std::thread::Builder::new().name("candor-memory".into()).spawn(|| {
            loop {
                std::thread::sleep(GIVE_BACK_EVERY);
                // SAFETY: it takes the arenas' locks as an allocation does.
                unsafe {
                    libc::malloc_trim(0);
                }
            }
        });
        if let Err(error) = given_back {
            tracing::warn!(%error, "memory goes back to the system later than it might");
        }
    }
}

/// Sets it, once, before there are other threads. Elsewhere than on glibc there is nothing to set.
pub fn give_back_what_is_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::give_back();
}
