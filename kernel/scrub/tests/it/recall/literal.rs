//! Just enough of Python's literals to read tables of test cases.

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Number(f64),
    List(Vec<Literal>),
    Other,
}

/// Every tuple in the source that begins with a text and a number.
pub(super) fn cases(source: &str) -> Vec<Vec<Literal>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = source[at..].find('(').map(|offset| at + offset) {
        let mut reader = Reader { source, at: open };
        match reader.literal() {
            Some(Literal::List(items))
                if matches!(items.as_slice(), [Literal::Text(_), Literal::Number(_), ..]) =>
            {
                found.push(items);
                at = reader.at;
            }
            _ => at = open + 1,
        }
    }
    found
}

struct Reader<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// Goes beyond blanks and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            let end = self.rest().find('\n').unwrap_or(self.rest().len());
            self.at += end;
        }
    }

    fn literal(&mut self) -> Option<Literal> {
        self.skip();
        let first = self.rest().chars().next()?;
        match first {
            '(' | '[' => {
                self.at += 1;
                let mut items = Vec::new();
                loop {
                    self.skip();
                    match self.rest().chars().next()? {
                        ')' | ']' => {
                            self.at += 1;
                            return Some(Literal::List(items));
                        }
                        ',' => self.at += 1,
                        _ => items.push(self.literal()?),
                    }
                }
            }
            '"' | '\'' => {
                let mut text = self.text(first)?;
                self.skip();
                // Texts side by side are one.
                while let Some(quote @ ('"' | '\'')) = self.rest().chars().next() {
                    text.push_str(&self.text(quote)?);
                    self.skip();
                }
                Some(Literal::Text(text))
            }
            '0'..='9' | '-' => {
                let end =
                    self.rest().find(|sign: char| !(sign.is_ascii_digit() || matches!(sign, '.' | '-')))?;
                let number = self.rest()[..end].parse().ok()?;
                self.at += end;
                Some(Literal::Number(number))
            }
            'a'..='z' | 'A'..='Z' => {
                let end =
                    self.rest().find(|sign: char| !(sign.is_alphanumeric() || matches!(sign, '_' | '.')))?;
                self.at += end;
                Some(Literal::Other)
            }
            _ => None,
        }
    }

    fn text(&mut self, quote: char) -> Option<String> {
        self.at += 1;
        let mut text = String::new();
        let mut signs = self.rest().char_indices();
        while let Some((offset, sign)) = signs.next() {
            match sign {
                '\\' => text.push(match signs.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                }),
                '\n' => return None,
                _ if sign == quote => {
                    self.at += offset + 1;
                    return Some(text);
                }
                _ => text.push(sign),
            }
        }
        None
    }
}
