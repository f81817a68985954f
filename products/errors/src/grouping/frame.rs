//! What a frame says for grouping: where it is, in words that stay the same over builds, machines and browsers.
//!
//! Lines and columns never count. Module, else the file's name without the hashes that bundlers put in; the function
//! without what compilers and proxies number; the source line where the platform sends it.

use crate::event::frames::{Frame, MACHINE_CODE};

/// Source lines longer than this are minified or generated.
const CONTEXT_BYTES_MAX: usize = 120;

/// The part of a frame that counts; none where nothing does.
pub(crate) fn component(frame: &Frame<'_>, event_platform: &str) -> Option<String> {
    let platform = frame.platform.as_deref().unwrap_or(event_platform);
    if matches!(platform, "javascript" | "node") && is_engine(frame) {
        return None;
    }
    let function = frame.function.as_deref().and_then(|name| function(name, platform));
    let module =
        frame.module.as_deref().map(|module| self::module(module, platform)).filter(|m| !m.is_empty());
    let place = module.or_else(|| frame.filename.as_deref().and_then(file));
    let is_url = frame.path().is_some_and(|path| path.contains("://"));
    let context = frame
        .context_line
        .as_deref()
        .filter(|_| matches!(platform, "javascript" | "node" | "python" | "php" | "ruby"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty() && line.len() <= CONTEXT_BYTES_MAX)
        // A line of a page without a function is markup around an inline script.
        .filter(|_| !(is_url && function.is_none()));
    if function.is_none() && context.is_none() && (place.is_none() || is_url) {
        return None;
    }
    Some(format!(
        "{}\u{1}{}\u{1}{}",
        place.unwrap_or_default(),
        function.unwrap_or_default(),
        context.unwrap_or_default()
    ))
}

/// Frames of the JavaScript engine itself, which browsers show or leave out as they like.
fn is_engine(frame: &Frame<'_>) -> bool {
    const PLACES: [&str; 6] =
        ["<anonymous>", "[native code]", "native code", "native", "eval code", "[eval code]"];
    frame.path().is_some_and(|path| PLACES.contains(&path))
}

/// A module without what proxies and compilers number.
fn module(name: &str, platform: &str) -> String {
    let name = match platform {
        "java" | "android" | "kotlin" => java(name),
        // The Go module's version: `github.com/x/y@v1.2.3/z`.
        "go" => match name.split_once('@') {
            Some((path, rest)) => format!("{path}{}", rest.find('/').map_or("", |at| &rest[at..])),
            None => name.to_owned(),
        },
        "csharp" => name.split(',').next().unwrap_or_default().to_owned(),
        "javascript" | "node" => name.split('/').map(unhash).collect::<Vec<_>>().join("/"),
        _ => name.to_owned(),
    };
    name.trim().to_owned()
}

/// The file's name, in lower case and without hashes; none where it names no file.
fn file(path: &str) -> Option<String> {
    if path.contains(['<', '[']) {
        return None;
    }
    let is_url = path.contains("://");
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let base = path.rsplit(['/', '\\']).next().unwrap_or_default().to_lowercase();
    // The last segment of a page's address is no file but a route.
    const SCRIPTS: [&str; 9] = [".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".vue", ".svelte", ".wasm"];
    if base.is_empty() || (is_url && !SCRIPTS.iter().any(|extension| base.ends_with(extension))) {
        return None;
    }
    Some(unhash(&base)).filter(|name| !name.is_empty())
}

/// A file's name without versions and content hashes: `app.3f2a9c1b.js`, `index-BsT9k2xq.js`, `jquery-3.6.0.min.js`.
fn unhash(name: &str) -> String {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, Some(extension)),
        _ => (name, None),
    };
    let mut kept = String::with_capacity(name.len());
    for (at, part) in stem.split_inclusive(['.', '-', '_', '~']).enumerate() {
        let word = part.trim_end_matches(['.', '-', '_', '~']);
        if at > 0 && is_hash(word) {
            // What stood behind the hash now stands in its place: `jquery-3.min` is `jquery.min`.
            kept.pop();
            kept.extend(part.chars().last().filter(|_| part.len() > word.len()));
            continue;
        }
        kept.push_str(part);
    }
    let kept = kept.trim_end_matches(['.', '-', '_', '~']);
    match extension {
        Some(extension) => format!("{kept}.{extension}"),
        None => kept.to_owned(),
    }
}

fn is_hash(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let alphanumeric = word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    !word.is_empty()
        && ((digits == word.len())
            || (hex && digits > 0 && word.len() >= 4)
            || (hex && word.len() >= 12)
            || (alphanumeric && digits > 0 && digits < word.len() && word.len() >= 6))
}

/// The name of a function without what does not last; none where it names nothing.
fn function(name: &str, platform: &str) -> Option<String> {
    let name = name.trim();
    if matches!(
        name,
        "Anonymous function"
            | "eval code"
            | ""
            | "?"
            | "??"
            | "<anonymous>"
            | "anonymous"
            | "<unknown>"
            | "<redacted>"
            | "<native>"
            | "eval"
    ) {
        return None;
    }
    let name = match platform {
        "javascript" | "node" => javascript(name)?,
        "java" | "android" | "kotlin" => {
            if name.starts_with("lambda$") || name.starts_with("access$") {
                return None;
            }
            java(name)
        }
        "python" => name.to_owned(),
        "ruby" => ruby(name),
        "php" => php(name),
        "csharp" => generated_digits(name, &["b__", "d__", "DisplayClass", "g__", "AnonymousType"]),
        "go" => go(name),
        _ => native(name),
    };
    (!name.is_empty()).then_some(name)
}

/// The last part of a dotted name: engines disagree on `Object.foo`, `Foo.prototype.foo`, `new Foo`, `async foo`.
fn javascript(name: &str) -> Option<String> {
    let name = name.split(" [as ").next().unwrap_or_default();
    let name = name.rsplit(' ').next().unwrap_or_default();
    // Firefox marks what a function encloses: `outer/inner/<`.
    if name.ends_with("/<") || name.ends_with("/<()") {
        return None;
    }
    let last =
        name.rsplit(['.', '/']).next().unwrap_or_default().trim_start_matches('#').trim_end_matches("()");
    let nameless = last.is_empty() || last.contains('<') || matches!(last, "?" | "anonymous" | "eval");
    (!nameless).then(|| last.to_owned())
}

/// Without the numbers of proxies, accessors and lambdas that the Java virtual machine and its libraries generate.
fn java(name: &str) -> String {
    let mut name = name;
    for mark in [
        "$$EnhancerBy",
        "$$FastClassBy",
        "$$SpringCGLIB",
        "$$Lambda",
        "_$$_javassist",
        "_$$_jvst",
        "$HibernateProxy$",
        "$$ExternalSyntheticLambda",
    ] {
        if let Some((before, _)) = name.split_once(mark) {
            name = before;
        }
    }
    // Clojure numbers its closures, the reflection API its accessors.
    let mut out = generated_digits(name, &["fn__", "Accessor", "eval", "$Proxy", "_javassist_"]);
    if let Some(at) = out.find("$$") {
        let tail = out.split_at(at).1.to_owned();
        if tail.bytes().any(|byte| byte.is_ascii_digit()) {
            out.truncate(at);
        }
    }
    out
}

/// `block (2 levels) in call` is `block in call`; compiled templates carry numbers.
fn ruby(name: &str) -> String {
    let name = match (name.find(" ("), name.find(") ")) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &name[..open], &name[close + 1..]),
        _ => name.to_owned(),
    };
    match name.find("__").filter(|_| name.starts_with('_')) {
        Some(at) => name.split_at(at).0.to_owned(),
        None => name,
    }
}

/// Anonymous classes carry their file and line behind a NUL or a colon, closures since PHP 8.4 too.
fn php(name: &str) -> String {
    let name = name.replace("\\\\", "\\");
    let name = match name.find("class@anonymous") {
        Some(at) => {
            let (before, found) = name.split_at(at);
            let method = found.rsplit("::").next().filter(|_| found.contains("::"));
            format!(
                "{before}class@anonymous{}",
                method.map(|method| format!("::{method}")).unwrap_or_default()
            )
        }
        None => name,
    };
    match name.find("{closure:") {
        Some(at) => format!("{}{{closure}}", name.split_at(at).0),
        None => name,
    }
}

/// `main.run.func1.2` and `main.run.gowrap1` are closures by number; generic instances carry shapes.
fn go(name: &str) -> String {
    let name = match (name.find('['), name.rfind(']')) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &name[..open], &name[close + 1..]),
        _ => name.to_owned(),
    };
    name.split('.')
        .filter(|part| part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()))
        .map(|part| {
            let word = part.trim_end_matches(|c: char| c.is_ascii_digit());
            if matches!(word, "func" | "gowrap" | "init" | "glob..func") { word } else { part }
        })
        .collect::<Vec<_>>()
        .join(".")
}

/// C, C++, Objective-C, Swift, Rust: without return type, arguments, template arguments, hashes and clone suffixes.
fn native(name: &str) -> String {
    // Objective-C: `-[Class method:]` is a name whole.
    if name.starts_with(['-', '+']) && name.contains('[') {
        return name.to_owned();
    }
    let name =
        name.replace("(anonymous namespace)", "`anonymous namespace'").replace("{{closure}}", "{closure}");
    let name = match name.rsplit_once("::h") {
        Some((before, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            before
        }
        _ => &name,
    };
    let mut out = String::with_capacity(name.len());
    let mut depth = 0_usize;
    for (at, character) in name.char_indices() {
        // `operator<`, `operator<<`, `operator->`, `operator()` are names.
        let operator =
            ["operator", "operator<", "operator-", "operator>"].iter().any(|name| out.ends_with(name));
        match character {
            // `<T as Trait>::f` opens a Rust path: its inside is the name.
            '<' if at == 0 || operator => out.push(character),
            '>' if operator => out.push(character),
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            '(' if depth == 0 && !(out.ends_with("operator") && name[at..].starts_with("()")) => break,
            _ if depth == 0 => out.push(character),
            _ => {}
        }
    }
    // What stands before the last space at the top level is a return type, but not in `a as b` and `operator new`.
    let out = out.trim();
    let kept = match out.rsplit_once(' ') {
        Some((before, last))
            if !out.starts_with('<')
                && !before.ends_with("operator")
                && !last.ends_with('\'')
                && !last.is_empty() =>
        {
            last
        }
        _ => out,
    };
    let kept = kept.trim_start_matches(['*', '&']);
    let cold = kept.split(".cold").next().unwrap_or(kept);
    cold.split(".isra.").next().unwrap_or(cold).split(".llvm.").next().unwrap_or(cold).to_owned()
}

/// Drops the digits (and their separators) that follow one of `marks`.
fn generated_digits(name: &str, marks: &[&str]) -> String {
    let mut out = name.to_owned();
    for mark in marks {
        let mut from = 0;
        while let Some(found) = out[from..].find(mark) {
            let start = from + found + mark.len();
            let run =
                out[start..].find(|c: char| !(c.is_ascii_digit() || c == '_')).unwrap_or(out.len() - start);
            if out[start..start + run].bytes().any(|byte| byte.is_ascii_digit()) {
                out.replace_range(start..start + run, "");
            }
            from = start;
        }
    }
    out
}

/// Frames by which no crash is told from another: how a thread starts, how a panic, abort or exception is raised.
pub(crate) fn is_machinery(frame: &Frame<'_>, event_platform: &str) -> bool {
    let platform = frame.platform.as_deref().unwrap_or(event_platform);
    if !MACHINE_CODE.contains(&platform) {
        return false;
    }
    let Some(name) = frame.function.as_deref() else { return false };
    const NAMES: &[&str] = &[
        "start",
        "_start",
        "main",
        "_main",
        "start_thread",
        "thread_start",
        "clone",
        "__clone",
        "clone3",
        "__libc_start_main",
        "__libc_start_call_main",
        "BaseThreadInitThunk",
        "RtlUserThreadStart",
        "invoke_main",
        "wWinMain",
        "WinMain",
        "UIApplicationMain",
        "NSApplicationMain",
        "abort",
        "__abort",
        "raise",
        "gsignal",
        "__pthread_kill",
        "pthread_kill",
        "__assert_fail",
        "_purecall",
        "KiUserExceptionDispatcher",
        "RtlDispatchException",
        "_CxxThrowException",
        "__cxa_throw",
        "objc_exception_throw",
        "__exceptionPreprocess",
        "std::terminate",
        "std::__terminate",
        "abort_message",
        "default_terminate_handler",
        "rust_panic",
        "rust_begin_unwind",
        "start_wqthread",
        "_pthread_wqthread",
        "_pthread_start",
        "thread_entry_point",
    ];
    const PREFIXES: &[&str] = &[
        "std::panicking::",
        "core::panicking::",
        "std::sys::",
        "std::rt::",
        "std::sys_common::backtrace",
        "backtrace::",
        "__rust_",
        "core::ops::function::",
        "crashpad::",
        "google_breakpad::",
        "sentry_",
        "sentry::",
        "boost::thread::",
        "boost::function",
        "std::thread::",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_their_hashes() {
        for (path, expected) in [
            ("https://shop.example/static/app.3f2a9c1b.js?v=1", Some("app.js")),
            ("https://shop.example/assets/index-BsT9k2xq.js", Some("index.js")),
            ("http://localhost:8080/lib/jquery-3.6.0.min.js", Some("jquery.min.js")),
            ("https://shop.example/cart/checkout", None),
            ("/srv/app/Views.py", Some("views.py")),
            (r"C:\app\Shop.cs", Some("shop.cs")),
            ("<anonymous>", None),
            ("[native code]", None),
            ("2048.js", Some("2048.js")),
            ("log4j.properties.java", Some("log4j.properties.java")),
        ] {
            assert_eq!(file(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn functions_without_what_does_not_last() {
        for (platform, name, expected) in [
            ("javascript", "Object.foo", Some("foo")),
            ("javascript", "Foo.prototype.bar [as baz]", Some("bar")),
            ("javascript", "async checkout", Some("checkout")),
            ("javascript", "new Cart", Some("Cart")),
            ("javascript", "outer/inner/<", None),
            ("javascript", "?", None),
            ("node", "Object.<anonymous>", None),
            ("java", "lambda$run$3", None),
            ("java", "invoke", Some("invoke")),
            ("java", "fn__4711", Some("fn__")),
            ("ruby", "block (2 levels) in call", Some("block in call")),
            ("ruby", "_app_views_index_html_erb__1234_567", Some("_app_views_index_html_erb")),
            ("php", "App\\class@anonymous\0/srv/a.php:12$0::run", Some("App\\class@anonymous::run")),
            ("php", "{closure:App\\Cart::sum():17}", Some("{closure}")),
            ("csharp", "<Run>b__12_0", Some("<Run>b__")),
            ("go", "main.run.func1.2", Some("main.run.func")),
            ("go", "slices.Sort[go.shape.int]", Some("slices.Sort")),
            ("python", "<lambda>", Some("<lambda>")),
            ("native", "void ns::Foo<int, (anonymous namespace)::B>::bar(char const*)", Some("ns::Foo::bar")),
            ("native", "bool operator<(A const&, B const&)", Some("operator<")),
            ("native", "ns::F::operator()(int) const", Some("ns::F::operator()")),
            ("native", "-[Cart sum:with:]", Some("-[Cart sum:with:]")),
            (
                "native",
                "<shop::Cart as core::fmt::Debug>::fmt",
                Some("<shop::Cart as core::fmt::Debug>::fmt"),
            ),
            ("rust", "shop::cart::sum::h0123456789abcdef", Some("shop::cart::sum")),
            ("native", "run.cold.1", Some("run")),
            ("native", "<redacted>", None),
        ] {
            assert_eq!(function(name, platform).as_deref(), expected, "{platform} {name}");
        }
    }

    #[test]
    fn modules_without_what_proxies_add() {
        assert_eq!(module("com.shop.Cart$$EnhancerBySpringCGLIB$$1a2b3c", "java"), "com.shop.Cart");
        assert_eq!(module("com.shop.Cart$$SpringCGLIB$$0", "java"), "com.shop.Cart");
        assert_eq!(module("com.shop.Cart_$$_javassist_12", "java"), "com.shop.Cart");
        assert_eq!(
            module("jdk.internal.reflect.GeneratedMethodAccessor138", "java"),
            "jdk.internal.reflect.GeneratedMethodAccessor"
        );
        assert_eq!(module("github.com/x/conc@v0.3.0/panics", "go"), "github.com/x/conc/panics");
    }
}
