//! From text to a tree. Nesting and the number of terms are bounded, so nothing that is typed or pasted overflows
//! the stack here or in what works on the tree later.

/// Longest search text, bytes.
pub(crate) const SEARCH_BYTES_MAX: usize = 16 << 10;

/// Most terms.
pub(crate) const TERMS_MAX: usize = 256;

/// Deepest nesting of parentheses and negations.
pub(crate) const NESTING_MAX: usize = 32;

/// Why search text does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at character {at}")]
pub struct ParseError {
    /// What is wrong.
    pub what: String,
    /// Where: a character, counted from 1.
    pub at: usize,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// All of them.
    And(Vec<Node>),
    /// Any of them.
    Or(Vec<Node>),
    /// Not it.
    Not(Box<Node>),
    /// Text anywhere in a record.
    Word(Text),
    /// A test of one key.
    Field(Field),
}

/// A test of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) key: String,
    pub(crate) test: Test,
    /// Where the value begins: a character, counted from 1.
    pub(crate) at: usize,
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    /// It is there.
    Exists,
    /// It is this text.
    Is(Text),
    /// It compares so.
    Compares(Comparison, String),
    /// The regular expression finds something in it.
    Finds(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Text in which `*` may stand for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// What stands between the `*`s: one part without any.
    pub(crate) parts: Vec<String>,
}

impl Text {
    fn literal(text: String) -> Text {
        Text { parts: vec![text] }
    }

    /// The text, where it has no `*`.
    pub(crate) fn plain(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// True for nothing but `*`s.
    fn is_anything(&self) -> bool {
        self.parts.len() > 1 && self.parts.iter().all(String::is_empty)
    }
}

/// Parses search text; none where it asks nothing.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, ParseError> {
    if text.len() > SEARCH_BYTES_MAX {
        let what = format!("the search is longer than {} KiB", SEARCH_BYTES_MAX >> 10);
        return Err(ParseError { what, at: SEARCH_BYTES_MAX });
    }
    let mut parser = Parser { text: text.chars().collect(), at: 0, terms: 0 };
    parser.skip_space();
    if parser.peek().is_none() {
        return Ok(None);
    }
    let node = parser.any(0)?;
    match parser.peek() {
        None => Ok(Some(node)),
        Some(_) => Err(parser.error("this ) closes nothing")),
    }
}

struct Parser {
    text: Vec<char>,
    at: usize,
    terms: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    fn error(&self, what: &str) -> ParseError {
        ParseError { what: what.to_owned(), at: self.at + 1 }
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Takes a word in capitals that stands by itself.
    fn keyword(&mut self, word: &str) -> bool {
        let length = word.chars().count();
        let matches = word.chars().enumerate().all(|(at, character)| self.peek_at(at) == Some(character));
        let ends = self.peek_at(length).is_none_or(|next| next.is_whitespace() || matches!(next, '(' | ')'));
        if matches && ends {
            self.at += length;
            self.skip_space();
        }
        matches && ends
    }

    fn any(&mut self, depth: usize) -> Result<Node, ParseError> {
        if depth > NESTING_MAX {
            return Err(self.error("the search nests too deep"));
        }
        let mut sides = vec![self.all(depth)?];
        loop {
            let before = self.at;
            if !self.keyword("OR") {
                break;
            }
            if matches!(self.peek(), None | Some(')')) {
                self.at = before;
                return Err(self.error("OR needs something after it"));
            }
            sides.push(self.all(depth)?);
        }
        Ok(one_or(sides, Node::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Node, ParseError> {
        let mut terms = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                None | Some(')') => break,
                Some(_) => {}
            }
            let before = self.at;
            if self.keyword("OR") {
                if terms.is_empty() {
                    self.at = before;
                    return Err(self.error("OR needs something before it"));
                }
                self.at = before;
                break;
            }
            if self.keyword("AND") {
                let nothing_before = terms.is_empty();
                let nothing_after = matches!(self.peek(), None | Some(')'));
                if nothing_before || nothing_after {
                    self.at = before;
                    return Err(self.error("AND needs something on both sides"));
                }
                continue;
            }
            terms.push(self.not(depth)?);
        }
        if terms.is_empty() {
            return Err(self.error("expected a word"));
        }
        Ok(one_or(terms, Node::And))
    }

    fn not(&mut self, depth: usize) -> Result<Node, ParseError> {
        if depth > NESTING_MAX {
            return Err(self.error("the search nests too deep"));
        }
        let dash = self.peek() == Some('-')
            && self.peek_at(1).is_some_and(|next| !next.is_whitespace() && next != ')');
        if dash {
            self.at += 1;
            return Ok(Node::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.keyword("NOT") {
            if matches!(self.peek(), None | Some(')')) {
                return Err(self.error("NOT needs something after it"));
            }
            return Ok(Node::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.peek() == Some('(') {
            let open = self.at;
            self.at += 1;
            let inner = self.any(depth + 1)?;
            if self.peek() != Some(')') {
                return Err(ParseError { what: "this ( is not closed".to_owned(), at: open + 1 });
            }
            self.at += 1;
            return Ok(inner);
        }
        self.term()
    }

    fn term(&mut self) -> Result<Node, ParseError> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(self.error(&format!("the search has more than {TERMS_MAX} terms")));
        }
        let start = self.at;
        let key = if self.peek() == Some('"') { Some(self.phrase()?) } else { self.key() };
        if let Some(key) = &key
            && let Some(test) = self.test(key)?
        {
            return Ok(Node::Field(test));
        }
        // No key: a phrase as it is, anything else a word from its start.
        if self.text.get(start) == Some(&'"') {
            return Ok(Node::Word(Text::literal(key.unwrap_or_default())));
        }
        self.at = start;
        Ok(Node::Word(self.word(false)))
    }

    /// What could be a key; the position is just behind it.
    fn key(&mut self) -> Option<String> {
        let first = self.peek()?;
        if !(first.is_alphabetic() || matches!(first, '_' | '@' | '$')) {
            return None;
        }
        let start = self.at;
        while self
            .peek()
            .is_some_and(|next| next.is_alphanumeric() || matches!(next, '_' | '@' | '$' | '.' | '-' | '/'))
        {
            self.at += 1;
        }
        let key: String = self.text[start..self.at].iter().collect();
        // `a->b` is a word.
        (!key.ends_with('-')).then_some(key)
    }

    /// The test behind a key; none where what follows makes it a word after all.
    fn test(&mut self, key: &str) -> Result<Option<Field>, ParseError> {
        let colon = self.peek() == Some(':');
        if colon {
            // `http://host` is a word.
            if self.peek_at(1) == Some('/') && self.peek_at(2) == Some('/') {
                return Ok(None);
            }
            self.at += 1;
        }
        let comparison = match (self.peek(), self.peek_at(1)) {
            (Some('>'), Some('=')) => Some((Comparison::GreaterOrEqual, 2)),
            (Some('>'), _) => Some((Comparison::Greater, 1)),
            (Some('<'), Some('=')) => Some((Comparison::LessOrEqual, 2)),
            (Some('<'), _) => Some((Comparison::Less, 1)),
            _ => None,
        };
        if !colon && comparison.is_none() {
            return Ok(None);
        }
        let finds = colon && self.peek() == Some('~');
        self.at += if finds { 1 } else { comparison.map_or(0, |(_, length)| length) };
        let at = self.at + 1;
        let quoted = self.peek() == Some('"');
        if !quoted && self.peek().is_none_or(|next| next.is_whitespace() || next == ')') {
            return Err(self.error(&format!("expected a value for {key}")));
        }
        let test = match comparison {
            _ if finds && quoted => Test::Finds(self.phrase()?),
            _ if finds => Test::Finds(self.raw()),
            Some((comparison, _)) if quoted => Test::Compares(comparison, self.phrase()?),
            Some((comparison, _)) => Test::Compares(comparison, self.raw()),
            None if quoted => Test::Is(Text::literal(self.phrase()?)),
            None => match self.word(true) {
                anything if anything.is_anything() => Test::Exists,
                text => Test::Is(text),
            },
        };
        Ok(Some(Field { key: key.to_owned(), test, at }))
    }

    /// A phrase in quotes, with `\"` and `\\` in it.
    fn phrase(&mut self) -> Result<String, ParseError> {
        let open = self.at;
        self.at += 1;
        let mut phrase = String::new();
        loop {
            match self.peek() {
                None => return Err(ParseError { what: "this \" is not closed".to_owned(), at: open + 1 }),
                Some('"') => {
                    self.at += 1;
                    return Ok(phrase);
                }
                Some('\\') if matches!(self.peek_at(1), Some('"' | '\\')) => {
                    phrase.extend(self.peek_at(1));
                    self.at += 2;
                }
                Some(other) => {
                    phrase.push(other);
                    self.at += 1;
                }
            }
        }
    }

    /// True where a bare word or value ends. Parentheses that open inside a value belong to it.
    fn ends(&self, open: usize) -> bool {
        match self.peek() {
            None => true,
            Some(')') => open == 0,
            Some(other) => other.is_whitespace(),
        }
    }

    /// A bare word: `*` stands for anything, `\` takes the next character as it is.
    fn word(&mut self, value: bool) -> Text {
        let mut parts = vec![String::new()];
        let mut open = 0_usize;
        while !self.ends(open) {
            let Some(character) = self.peek() else { break };
            if !value && matches!(character, '(' | '"') && !(parts.len() == 1 && parts[0].is_empty()) {
                break;
            }
            self.at += 1;
            let mut push = |character: char| {
                if let Some(part) = parts.last_mut() {
                    part.push(character);
                }
            };
            match character {
                '*' => parts.push(String::new()),
                '\\' if self.peek().is_some() => {
                    if let Some(next) = self.peek() {
                        push(next);
                        self.at += 1;
                    }
                }
                other => {
                    match other {
                        '(' => open += 1,
                        ')' => open = open.saturating_sub(1),
                        _ => {}
                    }
                    push(other);
                }
            }
        }
        Text { parts }
    }

    /// A bare value as it stands.
    fn raw(&mut self) -> String {
        let start = self.at;
        let mut open = 0_usize;
        while !self.ends(open) {
            match self.peek() {
                Some('(') => open += 1,
                Some(')') => open = open.saturating_sub(1),
                // An escaped parenthesis of a regex neither opens nor closes.
                Some('\\') if self.peek_at(1).is_some_and(|next| !next.is_whitespace()) => self.at += 1,
                _ => {}
            }
            self.at += 1;
        }
        self.text[start..self.at].iter().collect()
    }
}

fn one_or(mut nodes: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => many(nodes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn shape(node: &Node) -> String {
        let join = |nodes: &[Node], with: &str| {
            let parts: Vec<String> = nodes.iter().map(shape).collect();
            format!("({})", parts.join(with))
        };
        let text = |text: &Text| format!("'{}'", text.parts.join("%"));
        match node {
            Node::And(nodes) => join(nodes, " & "),
            Node::Or(nodes) => join(nodes, " | "),
            Node::Not(node) => format!("!{}", shape(node)),
            Node::Word(word) => text(word),
            Node::Field(Field { key, test, at }) => match test {
                Test::Exists => format!("{key} exists"),
                Test::Is(value) => format!("{key}@{at} = {}", text(value)),
                Test::Compares(comparison, value) => format!("{key}@{at} {comparison:?} '{value}'"),
                Test::Finds(value) => format!("{key}@{at} ~ '{value}'"),
            },
        }
    }

    fn check(lines: &str, expected: Expect) {
        let mut out = String::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let parsed = match parse(line) {
                Ok(Some(node)) => shape(&node),
                Ok(None) => "everything".to_owned(),
                Err(e) => format!("error: {e}"),
            };
            out.push_str(&format!("{line}  =>  {parsed}\n"));
        }
        expected.assert_eq(&out);
    }

    #[test]
    fn searches_parse() {
        check(
            r#"
            timeout
            time*out  *  a\*b
            "could not \"connect\"" refused
            a b OR c d
            a AND b (c OR NOT d)
            -a -"b c" -(d e) --f
            service:cart level>=error -host:db*
            duration>100ms n<=5 m:>=7 x:<2
            key:* key:"*" key:"a b" key:a\ b
            url:~^/api/(a|b)$ msg:~"a b" x:~[)(]
            http://host/path 12:30:45 a->b x=1 C:\temp
            "quoted key":value "phrase" :x
            trace_id:abc.def user@host:1 k:v:w
            or and not OR
            ünïcode:größe 日本 "日本 語"
            (a) ((b))
            f(x) key:f(x)
            "#,
            expect![[r#"
                timeout  =>  'timeout'
                time*out  *  a\*b  =>  ('time%out' & '%' & 'a*b')
                "could not \"connect\"" refused  =>  ('could not "connect"' & 'refused')
                a b OR c d  =>  (('a' & 'b') | ('c' & 'd'))
                a AND b (c OR NOT d)  =>  ('a' & 'b' & ('c' | !'d'))
                -a -"b c" -(d e) --f  =>  (!'a' & !'b c' & !('d' & 'e') & !!'f')
                service:cart level>=error -host:db*  =>  (service@9 = 'cart' & level@21 GreaterOrEqual 'error' & !host@33 = 'db%')
                duration>100ms n<=5 m:>=7 x:<2  =>  (duration@10 Greater '100ms' & n@19 LessOrEqual '5' & m@25 GreaterOrEqual '7' & x@30 Less '2')
                key:* key:"*" key:"a b" key:a\ b  =>  (key exists & key@11 = '*' & key@19 = 'a b' & key@29 = 'a b')
                url:~^/api/(a|b)$ msg:~"a b" x:~[)(]  =>  error: this ) closes nothing at character 34
                http://host/path 12:30:45 a->b x=1 C:\temp  =>  ('http://host/path' & '12:30:45' & 'a->b' & 'x=1' & C@38 = 'temp')
                "quoted key":value "phrase" :x  =>  (quoted key@14 = 'value' & 'phrase' & ':x')
                trace_id:abc.def user@host:1 k:v:w  =>  (trace_id@10 = 'abc.def' & user@host@28 = '1' & k@32 = 'v:w')
                or and not OR  =>  error: OR needs something after it at character 12
                ünïcode:größe 日本 "日本 語"  =>  (ünïcode@9 = 'größe' & '日本' & '日本 語')
                (a) ((b))  =>  ('a' & 'b')
                f(x) key:f(x)  =>  ('f' & 'x' & key@10 = 'f(x)')
            "#]],
        );
    }

    #[test]
    fn errors_say_what_and_where() {
        check(
            r#"
            "open
            a (b OR c
            a ) b
            OR a
            a OR
            a OR OR b
            AND a
            a AND
            NOT
            ()
            key:
            level>= x
            key:"open
            a NOT )
            "#,
            expect![[r#"
                "open  =>  error: this " is not closed at character 1
                a (b OR c  =>  error: this ( is not closed at character 3
                a ) b  =>  error: this ) closes nothing at character 3
                OR a  =>  error: OR needs something before it at character 1
                a OR  =>  error: OR needs something after it at character 3
                a OR OR b  =>  error: OR needs something before it at character 6
                AND a  =>  error: AND needs something on both sides at character 1
                a AND  =>  error: AND needs something on both sides at character 3
                NOT  =>  error: NOT needs something after it at character 4
                ()  =>  error: expected a word at character 2
                key:  =>  error: expected a value for key at character 5
                level>= x  =>  error: expected a value for level at character 8
                key:"open  =>  error: this " is not closed at character 5
                a NOT )  =>  error: NOT needs something after it at character 7
            "#]],
        );
        let deep = "(".repeat(100_000);
        assert!(parse(&deep).is_err());
        let negated = "-".repeat(10_000) + "a";
        assert!(parse(&negated).is_err());
        let many = "a ".repeat(TERMS_MAX + 1);
        assert!(parse(&many).is_err_and(|e| e.what.contains("terms")));
        assert!(parse(&"a ".repeat(TERMS_MAX)).is_ok());
        assert!(parse(&"x".repeat(SEARCH_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn whatever_is_typed_parses_or_is_refused() {
        use candor_model::Random;
        let random = candor_model::random::Seeded::new(11);
        let pieces = [
            "a", "key", ":", ">", "<", "=", "~", "*", "\"", "\\", "(", ")", "-", " ", "OR", "AND", "NOT",
            "é", "😀", "1", ".", "/", "\t", "\u{0}", "[", "|",
        ];
        for _ in 0..20_000 {
            let length = random.next_u64() % 16;
            let text: String =
                (0..length).map(|_| pieces[(random.next_u64() % pieces.len() as u64) as usize]).collect();
            if let Err(e) = parse(&text) {
                assert!(e.at >= 1 && e.at <= text.chars().count() + 1, "{text:?}: {e:?}");
            }
        }
    }
}
