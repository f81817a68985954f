//! Errors in words.

/// An error and its causes, said once at the edge: in one line, and below it what to do, where the texts say so in
/// further lines. A cause that the line ends with already, as it does where an error passes its cause on or quotes it,
/// is not said twice.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = String::new();
    let mut advice: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        let mut lines = text.lines();
        let what = lines.next().unwrap_or_default();
        if !line.ends_with(what) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(what);
        }
        for further in lines {
            if !advice.iter().any(|said| said == further) {
                advice.push(further.to_owned());
            }
        }
        next = cause.source();
    }
    for further in advice {
        line.push('\n');
        line.push_str(&further);
    }
    line
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

    #[test]
    fn what_to_do_comes_last() {
        let cause = Some(Box::new(Failed("in use", None)));
        assert_eq!(
            chain(&Failed("cannot listen\ntake another port", cause)),
            "cannot listen: in use\ntake another port"
        );
        let quoted = Some(Box::new(Failed("in use", None)));
        assert_eq!(
            chain(&Failed("cannot listen: in use\ntake another port", quoted)),
            "cannot listen: in use\ntake another port"
        );
    }
}
