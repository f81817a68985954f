//! Stack frames as SDKs send them: oldest call first, the place of the error last.

use std::borrow::Cow;

use candor_model::Value;

use super::member;

/// Frames of one stack that are looked at: SDKs cap at 50 to 250; an endless recursion may send thousands.
const FRAMES_MAX: usize = 1_000;

/// One frame, as far as culprit and grouping read it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frame<'a> {
    pub module: Option<Cow<'a, str>>,
    pub function: Option<Cow<'a, str>>,
    pub filename: Option<Cow<'a, str>>,
    pub abs_path: Option<Cow<'a, str>>,
    pub package: Option<Cow<'a, str>>,
    pub context_line: Option<Cow<'a, str>>,
    pub platform: Option<Cow<'a, str>>,
    /// As the SDK says; none where it does not say.
    pub in_app: Option<bool>,
}

/// Platforms of machine code.
pub(crate) const MACHINE_CODE: [&str; 7] = ["native", "cocoa", "objc", "swift", "rust", "c", "cpp"];

impl<'a> Frame<'a> {
    fn read(value: &'a Value) -> Option<Frame<'a>> {
        value.as_object()?;
        Some(Frame {
            module: member(value, "module"),
            function: member(value, "function").or_else(|| member(value, "raw_function")),
            filename: member(value, "filename"),
            abs_path: member(value, "abs_path"),
            package: member(value, "package"),
            context_line: member(value, "context_line"),
            platform: member(value, "platform"),
            in_app: match value.get("in_app") {
                Some(Value::Bool(flag)) => Some(*flag),
                _ => None,
            },
        })
    }

    /// The path, the most complete there is.
    pub fn path(&self) -> Option<&str> {
        self.abs_path.as_deref().or(self.filename.as_deref())
    }

    /// Whether the frame is the application's own code. What lies in the folders of package managers is not,
    /// whatever an SDK that was not configured says; elsewhere its word counts. Without one a frame is, but for
    /// machine code, most of which is the system's and names neither file nor module.
    pub fn is_in_app(&self, platform: &str) -> bool {
        let platform = self.platform.as_deref().unwrap_or(platform);
        !is_library(self, platform) && self.in_app.unwrap_or(!MACHINE_CODE.contains(&platform))
    }
}

/// The frames of a `stacktrace`; null and crooked frames are left out.
pub(crate) fn frames(stacktrace: Option<&Value>) -> Vec<Frame<'_>> {
    let frames = match stacktrace {
        Some(Value::Array(frames)) => frames.as_slice(),
        Some(stacktrace) => stacktrace.get("frames").and_then(Value::as_array).unwrap_or_default(),
        None => &[],
    };
    // The newest calls tell; of an endless stack the oldest are left out.
    let skip = frames.len().saturating_sub(FRAMES_MAX);
    frames.iter().skip(skip).filter_map(Frame::read).collect()
}

/// Folders that only package managers and systems write, per platform family.
const LIBRARY_FOLDERS: &[(&[&str], &[&str])] = &[
    (&["python"], &["/site-packages/", "/dist-packages/", "/lib/python2", "/lib/python3", "<frozen "]),
    (&["javascript", "node"], &["/node_modules/", "node:", "internal/", "webpack/bootstrap", "extension://"]),
    (&["php"], &["/vendor/"]),
    (&["ruby"], &["/gems/", "/lib/ruby/", "/vendor/bundle/"]),
    (&["go"], &["/go/pkg/mod/", "/pkg/mod/", "/usr/local/go/", "/vendor/"]),
    (&["rust", "native"], &["/.cargo/registry/", "/rustc/", "/usr/lib/", "/usr/include/"]),
    (&["cocoa", "objc", "swift"], &["/System/Library/", "/usr/lib/"]),
];

/// Modules and functions that are a platform's own, by prefix.
const LIBRARY_MODULES: &[(&[&str], &[&str])] = &[
    (
        &["java", "android", "kotlin"],
        &[
            "java.",
            "javax.",
            "jdk.",
            "sun.",
            "com.sun.",
            "kotlin.",
            "kotlinx.",
            "android.",
            "androidx.",
            "com.android.",
            "dalvik.",
            "scala.",
            "clojure.",
            "groovy.",
            "jakarta.",
            "org.springframework.",
            "org.apache.",
            "org.hibernate.",
            "org.eclipse.jetty.",
            "io.netty.",
            "reactor.",
            "io.sentry.",
            "libcore.",
        ],
    ),
    (&["csharp", "dotnet"], &["System.", "Microsoft.", "Sentry."]),
    (&["go"], &["runtime", "net/http", "reflect", "database/sql", "github.com/getsentry/sentry-go"]),
    (
        &["rust", "native"],
        &["std::", "core::", "alloc::", "sentry::", "backtrace::", "rust_panic", "__rust_"],
    ),
];

fn is_library(frame: &Frame<'_>, platform: &str) -> bool {
    let ours = |families: &[&str]| families.contains(&platform);
    let in_folder = LIBRARY_FOLDERS.iter().filter(|(families, _)| ours(families)).any(|(_, folders)| {
        let paths = [frame.abs_path.as_deref(), frame.filename.as_deref(), frame.package.as_deref()];
        paths.into_iter().flatten().any(|path| {
            let path = path.replace('\\', "/");
            folders.iter().any(|folder| match folder.starts_with('/') {
                true => path.contains(folder) || path.starts_with(&folder[1..]),
                false => path.starts_with(folder),
            })
        })
    });
    in_folder
        || LIBRARY_MODULES.iter().filter(|(families, _)| ours(families)).any(|(_, prefixes)| {
            let names = [frame.module.as_deref(), frame.function.as_deref()];
            // A module that is there speaks for the frame; functions of native frames carry theirs themselves.
            names.into_iter().flatten().take(1).any(|name| {
                prefixes.iter().any(|prefix| match prefix.ends_with(['.', ':', '_']) {
                    true => name.starts_with(prefix),
                    false => {
                        name == *prefix
                            || name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['/', '.']))
                    }
                })
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame<'a>(path: &'a str, module: &'a str, in_app: Option<bool>) -> Frame<'a> {
        Frame {
            abs_path: (!path.is_empty()).then_some(Cow::Borrowed(path)),
            module: (!module.is_empty()).then_some(Cow::Borrowed(module)),
            in_app,
            ..Frame::default()
        }
    }

    #[test]
    fn packages_are_not_the_application() {
        for (platform, path, module) in [
            ("python", "/app/.venv/lib/python3.12/site-packages/flask/app.py", "flask.app"),
            ("node", "/srv/node_modules/express/lib/router.js", ""),
            ("node", "node:internal/timers", ""),
            ("php", "vendor/laravel/framework/src/Router.php", ""),
            ("go", "/root/go/pkg/mod/github.com/x/conc@v0.3.0/waitgroup.go", "github.com/x/conc"),
            ("java", "", "org.springframework.web.Filter"),
            ("csharp", "", "System.Linq.Enumerable"),
            ("python", r"C:\Python\Lib\site-packages\flask\app.py", ""),
        ] {
            assert!(!frame(path, module, Some(true)).is_in_app(platform), "{platform} {path} {module}");
        }
        assert!(frame("/app/views.py", "views", None).is_in_app("python"));
        assert!(!frame("/app/views.py", "views", Some(false)).is_in_app("python"));
        assert!(frame("", "com.shop.Cart", None).is_in_app("java"));
        assert!(frame("", "Systematic.Cart", None).is_in_app("csharp"));
        assert!(frame("/src/net/http2/x.go", "net/http2", None).is_in_app("go"));
    }
}
