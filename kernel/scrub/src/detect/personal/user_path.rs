//! The name of a user in the path of a home folder: `/home/jane/…`, `/Users/jane`, `C:\Users\jane`.

use crate::bytes::{at, before, is_quote, skip, skip_back, slice};
use crate::rules::Detector;
use crate::scan::Scan;

/// The second byte of a yen sign.
const YEN: u8 = 0xa5;
/// Longest name, bytes.
const NAME_MAX: usize = 64;
/// How far before a path the beginning of its URL is looked for, bytes.
const URL_REACH: usize = 256;

/// Accounts that are nobody's.
#[rustfmt::skip]
const NOBODY: [&[u8]; 26] = [
    b"shared", b"public", b"default", b"all users", b"all%20users", b"guest", b"root", b"runner", b"ubuntu", b"app",
    b"www-data", b"node", b"vsts", b"circleci", b"travis", b"ec2-user", b"vagrant", b"jenkins", b"git", b"nonroot",
    b"appuser", b"runneradmin", b"containeradministrator", b"containeruser", b"linuxbrew", b"username",
];

/// Finds names behind every separator that begins a home folder.
pub(super) fn everywhere(scan: &mut Scan<'_>) {
    let bytes = scan.bytes;
    // Japanese fonts and encodings have a yen sign for the backslash: `C2 A5` in UTF-8.
    for separator in memchr::memchr3_iter(b'/', b'\\', YEN, bytes) {
        let sign = at(bytes, separator);
        if sign == YEN && before(bytes, separator) != 0xc2 {
            continue;
        }
        let folder = separator + 1;
        let is_folder = |name: &[u8]| {
            slice(bytes, folder, folder + name.len()).eq_ignore_ascii_case(name)
                && is_separator(bytes, folder + name.len(), sign)
        };
        let length = match () {
            () if is_folder(b"users") => 5,
            () if sign == b'/' && is_folder(b"home") => 4,
            () if is_folder(b"documents and settings") => 22,
            () => continue,
        };
        // Backslashes may be doubled.
        let name = skip(bytes, folder + length, |byte| byte == sign || (sign == YEN && byte == 0xc2));
        let end = name_end(bytes, name, sign);
        if is_person(slice(bytes, name, end)) && is_in_file_system(bytes, separator, sign) {
            scan.hit(name, end, Detector::UserPath);
        }
    }
}

/// True where the sign stands at `index`, as one byte or two.
fn is_separator(bytes: &[u8], index: usize, sign: u8) -> bool {
    at(bytes, index) == sign || (sign == YEN && at(bytes, index) == 0xc2 && at(bytes, index + 1) == YEN)
}

/// Where the name ends that begins at `start`. Names on Windows may have blanks in them, where a folder follows.
fn name_end(bytes: &[u8], start: usize, sign: u8) -> usize {
    let window = slice(bytes, 0, (start + NAME_MAX).min(bytes.len()));
    let ends = |byte: u8| {
        byte < 0x20
            || is_quote(byte)
            || matches!(
                byte,
                b'/' | b'\\' | b':' | b'<' | b'>' | b'|' | b'?' | b'*' | b',' | b';' | b')' | b']' | b'}'
            )
    };
    let long = skip(window, start, |byte| !ends(byte));
    let short = skip(window, start, |byte| !ends(byte) && byte != b' ');
    if sign == b'\\' && at(bytes, long) == b'\\' { long } else { short }
}

fn is_person(name: &[u8]) -> bool {
    let is_template = matches!(at(name, 0), b'[' | b'$' | b'{' | b'%' | b'<' | b'*' | b'.' | b'(');
    !name.is_empty()
        && !is_template
        && name.iter().any(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
        && !NOBODY.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// False for the path of a URL or of a request.
fn is_in_file_system(bytes: &[u8], separator: usize, sign: u8) -> bool {
    if sign != b'/' {
        return true;
    }
    let floor = separator.saturating_sub(URL_REACH);
    let window = slice(bytes, floor, separator);
    let start = skip_back(window, window.len(), |byte| !byte.is_ascii_whitespace() && !is_quote(byte));
    let head = slice(window, start, window.len());
    if let Some(scheme) = memchr::memmem::rfind(head, b"://") {
        return slice(head, 0, scheme).ends_with(b"file");
    }
    // Only the first folder of a path is a home: `/app/users/new` is none, `/mnt/c/Users/jane` is.
    let is_drive = at(bytes, separator + 1) == b'U';
    let method_end = skip_back(window, start, |byte| byte == b' ');
    let method = slice(window, skip_back(window, method_end, |byte| byte.is_ascii_uppercase()), method_end);
    let is_request =
        matches!(method, b"GET" | b"POST" | b"PUT" | b"PATCH" | b"DELETE" | b"HEAD" | b"OPTIONS");
    let is_first = !before(bytes, separator).is_ascii_alphanumeric();
    let is_lower_users = at(bytes, separator + 1) == b'u';
    !is_request
        && !is_lower_users
        && (is_first || is_drive || head.ends_with(b"/export") || head.ends_with(b":"))
}
