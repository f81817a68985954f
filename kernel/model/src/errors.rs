//! Errors in words.

/// An error and its causes in one line, for the log at the edge. A cause that the text ends with already, as it does
/// where an error passes its cause on, is not said twice.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Failed(&'static str, Option<Box<Failed>>);

    impl std::fmt::Display for Failed {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Failed {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn causes_are_said_once_and_in_order() {
        let cause = |text| Some(Box::new(Failed(text, Some(Box::new(Failed("disk full", None))))));
        assert_eq!(
            chain(&Failed("cannot publish", cause("cannot write"))),
            "cannot publish: cannot write: disk full"
        );
        assert_eq!(chain(&Failed("cannot write", cause("cannot write"))), "cannot write: disk full");
    }
}
