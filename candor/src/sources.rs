//! The one clock and the one source of randomness of the shipped program.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use candor_model::{Clock, Random, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};

use crate::files;

/// The variable that names the file with the shift in seconds.
pub const CLOCK_FILE_VARIABLE: &str = "CANDOR_CLOCK_FILE";

/// How stale the shift may be: a test that writes the file sees it at once, and the hot path reads no file.
const SHIFT_AGE_MAX: Duration = Duration::from_millis(20);

/// The system's clock; in a data dir made for tests shifted by what a file says.
pub struct WallClock {
    shift: Option<Shift>,
}

struct Shift {
    file: PathBuf,
    read: Mutex<(Option<Instant>, i64)>,
}

impl WallClock {
    /// The system's clock as it is.
    pub fn system() -> WallClock {
        WallClock { shift: None }
    }

    /// The system's clock, shifted by the seconds in the file, which may come and change at any time.
    pub fn shifted_by(file: PathBuf) -> WallClock {
        WallClock { shift: Some(Shift { file, read: Mutex::new((None, 0)) }) }
    }
}

impl Shift {
    fn micros(&self) -> i64 {
        let mut read = self.read.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let fresh = read.0.is_some_and(|at| at.elapsed() < SHIFT_AGE_MAX);
        if !fresh {
            read.0 = Some(Instant::now());
            // A file that is being rewritten or is not there leaves the last shift in force.
            if let Ok(text) = files::read_text(&self.file)
                && let Ok(seconds) = text.trim().parse::<f64>()
                && seconds.is_finite()
            {
                read.1 = (seconds * 1e6) as i64;
            }
        }
        read.1
    }
}

impl Clock for WallClock {
    #[allow(clippy::disallowed_methods, reason = "the one place where wall time is read")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        Timestamp(micros.saturating_add(self.shift.as_ref().map_or(0, Shift::micros)))
    }
}

/// The operating system's random source.
pub struct OsRandom(SystemRandom);

impl OsRandom {
    /// The source.
    #[allow(clippy::disallowed_methods, reason = "the one place where it is made")]
    pub fn new() -> OsRandom {
        OsRandom(SystemRandom::new())
    }
}

impl Default for OsRandom {
    fn default() -> OsRandom {
        OsRandom::new()
    }
}

impl Random for OsRandom {
    fn fill(&self, bytes: &mut [u8]) {
        if self.0.fill(bytes).is_err() {
            // Keys and nonces must never be guessable: without randomness there is nothing safe left to do.
            eprintln!("candor: the operating system gives no random bytes");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shift_follows_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("shift");
        let clock = WallClock::shifted_by(file.clone());
        let real = WallClock::system();
        assert!((clock.now().0 - real.now().0).abs() < Timestamp::SECOND);
        files::write_private(&file, b"86400\n").expect("writes");
        std::thread::sleep(SHIFT_AGE_MAX * 2);
        let ahead = clock.now().0 - real.now().0;
        assert!((ahead - 86_400 * Timestamp::SECOND).abs() < Timestamp::SECOND, "{ahead}");
        files::write_private(&file, b"nonsense").expect("writes");
        std::thread::sleep(SHIFT_AGE_MAX * 2);
        assert!(clock.now().0 - real.now().0 > 86_000 * Timestamp::SECOND);
    }
}
