//! Names of organisations and projects, and paths of both.

use super::TenancyError;

/// Longest name, characters: it stands in paths, DSNs' pages and file names.
const NAME_CHARS_MAX: usize = 64;

/// Letters, digits, `-`, `_` and `.`, beginning with a letter or digit: what needs no quoting in a URL, a shell or
/// a file name.
pub(super) fn check_name(name: &str) -> Result<(), TenancyError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let begins = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if begins && name.len() <= NAME_CHARS_MAX && name.chars().all(plain) {
        Ok(())
    } else {
        Err(TenancyError::BadName)
    }
}

/// `org/name` in its parts; a bare name has no organisation.
pub(super) fn split_path(path: &str) -> (Option<&str>, &str) {
    match path.split_once('/') {
        Some((org, name)) => (Some(org), name),
        None => (None, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_quoting_anywhere() {
        for good in ["shop", "Shop-2", "a.b_c", "0"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-x", ".hidden", "a/b", "a b", "straße", "x\0", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
