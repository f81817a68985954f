//! From words to declarations.

use super::lex::{Token, TokenKind, lex, quoted, unquoted, wrong};
use super::{
    Enum, EnumValue, Extend, FIELD_NUMBER_MAX, Field, File, Import, Label, MESSAGE_DEPTH_MAX, Message,
    Method, Oneof, Opt, Scalar, Service, Type,
};
use crate::SchemaError;

type Parsed<T> = Result<T, SchemaError>;

/// Parses the text of a file.
pub(super) fn parse(text: &str) -> Parsed<File> {
    let tokens = lex(text)?;
    Parser { tokens: &tokens, at: 0, is_proto3: false }.file()
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    is_proto3: bool,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).map_or("", |token| token.text)
    }

    fn peek_second(&self) -> &'a str {
        self.tokens.get(self.at + 1).map_or("", |token| token.text)
    }

    fn kind(&self) -> Option<TokenKind> {
        self.tokens.get(self.at).map(|token| token.kind)
    }

    fn error(&self, what: impl Into<String>) -> SchemaError {
        let line = self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |token| token.line);
        wrong(line, what)
    }

    fn next(&mut self) -> Parsed<&'a str> {
        let token = self.tokens.get(self.at).ok_or_else(|| self.error("the file ends too early"))?;
        self.at += 1;
        Ok(token.text)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.peek() == text;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, text: &str) -> Parsed<()> {
        if self.take(text) { Ok(()) } else { Err(self.error(format!("{text:?} is expected"))) }
    }

    fn word(&mut self) -> Parsed<String> {
        match self.kind() {
            Some(TokenKind::Word) => Ok(self.next()?.to_owned()),
            _ => Err(self.error("a name is expected")),
        }
    }

    /// A name that may have parts and a leading dot.
    fn path(&mut self) -> Parsed<String> {
        let dot = if self.take(".") { "." } else { "" };
        Ok(format!("{dot}{}", self.full_name()?))
    }

    /// A name that may have parts.
    fn full_name(&mut self) -> Parsed<String> {
        let mut out = self.word()?;
        while self.take(".") {
            out.push('.');
            out.push_str(&self.word()?);
        }
        Ok(out)
    }

    fn integer(&mut self) -> Parsed<i32> {
        let is_negative = self.take("-");
        let text = match self.kind() {
            Some(TokenKind::Number) => self.next()?,
            _ => return Err(self.error("a number is expected")),
        };
        let parsed = if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            i64::from_str_radix(hex, 16).ok()
        } else if text.len() > 1 && text.starts_with('0') {
            i64::from_str_radix(text, 8).ok()
        } else {
            text.parse().ok()
        };
        let parsed = parsed.map(|number| if is_negative { -number } else { number });
        parsed
            .and_then(|number| i32::try_from(number).ok())
            .ok_or_else(|| self.error("the number is no integer of 32 bits"))
    }

    fn string(&mut self) -> Parsed<String> {
        if self.kind() != Some(TokenKind::Quoted) {
            return Err(self.error("a string is expected"));
        }
        let mut out = String::new();
        while self.kind() == Some(TokenKind::Quoted) {
            out.push_str(&unquoted(self.next()?));
        }
        Ok(out)
    }

    fn file(mut self) -> Parsed<File> {
        let mut file = File { syntax: "proto2".to_owned(), ..File::default() };
        while !self.peek().is_empty() {
            match self.peek() {
                ";" => self.at += 1,
                word @ ("syntax" | "edition") if self.peek_second() == "=" => {
                    self.at += 2;
                    file.syntax = self.string()?;
                    let fits = match word {
                        "syntax" => matches!(file.syntax.as_str(), "proto2" | "proto3"),
                        _ => file.syntax.bytes().all(|byte| byte.is_ascii_digit()) && !file.syntax.is_empty(),
                    };
                    if !fits {
                        return Err(self.error("an unknown syntax: proto2, proto3 or an edition is expected"));
                    }
                    self.is_proto3 = file.is_proto3();
                    self.expect(";")?;
                }
                "package" => {
                    self.at += 1;
                    file.package = self.full_name()?;
                    self.expect(";")?;
                }
                "import" => {
                    self.at += 1;
                    let how = ["public", "weak"].into_iter().find(|how| self.take(how)).unwrap_or("");
                    file.imports.push(Import { path: self.string()?, how });
                    self.expect(";")?;
                }
                "option" => file.options.push(self.option_statement()?),
                "message" => {
                    self.at += 1;
                    file.messages.push(self.message(0)?);
                }
                "enum" => {
                    self.at += 1;
                    file.enums.push(self.enumeration()?);
                }
                "service" => {
                    self.at += 1;
                    file.services.push(self.service()?);
                }
                "extend" => {
                    let (extend, groups) = self.extend(0)?;
                    file.extends.push(extend);
                    file.messages.extend(groups);
                }
                _ => {
                    return Err(self.error("a message, enum, service, import, option or package is expected"));
                }
            }
        }
        Ok(file)
    }

    fn option_statement(&mut self) -> Parsed<Opt> {
        self.expect("option")?;
        let option = self.option()?;
        self.expect(";")?;
        Ok(option)
    }

    fn option(&mut self) -> Parsed<Opt> {
        let mut name = String::new();
        loop {
            if self.take("(") {
                name.push_str(&format!("({})", self.path()?));
                self.expect(")")?;
            } else {
                name.push_str(&self.word()?);
            }
            match self.take(".") {
                true => name.push('.'),
                false => break,
            }
        }
        self.expect("=")?;
        Ok(Opt { name, value: self.constant()? })
    }

    fn constant(&mut self) -> Parsed<String> {
        if self.kind() == Some(TokenKind::Quoted) {
            return Ok(quoted(&self.string()?));
        }
        if self.peek() != "{" {
            let sign = ["-", "+"].into_iter().find(|sign| self.take(sign)).filter(|sign| *sign == "-");
            let of = match self.kind() {
                Some(TokenKind::Number) => self.next()?.to_owned(),
                _ => self.path()?,
            };
            return Ok(format!("{}{of}", sign.unwrap_or_default()));
        }
        let (mut depth, mut out) = (0_usize, String::new());
        loop {
            let text = self.next()?;
            match text {
                "{" | "[" => depth += 1,
                "}" | "]" => depth = depth.saturating_sub(1),
                _ => {}
            }
            out.push_str(text);
            if depth == 0 {
                return Ok(out);
            }
            out.push(' ');
        }
    }

    /// Options in brackets, where there are some.
    fn bracketed(&mut self) -> Parsed<Vec<Opt>> {
        let mut options = Vec::new();
        if self.take("[") {
            loop {
                options.push(self.option()?);
                if self.take("]") {
                    break;
                }
                self.expect(",")?;
            }
        }
        Ok(options)
    }

    fn message(&mut self, depth: usize) -> Parsed<Message> {
        let name = self.word()?;
        self.message_body(name, depth)
    }

    fn message_body(&mut self, name: String, depth: usize) -> Parsed<Message> {
        if depth > MESSAGE_DEPTH_MAX {
            return Err(self.error("messages nest too deep"));
        }
        let mut message = Message { name, ..Message::default() };
        self.expect("{")?;
        while !self.take("}") {
            match self.peek() {
                ";" => self.at += 1,
                "option" if self.peek_second() != "." && !self.is_field() => {
                    message.options.push(self.option_statement()?);
                }
                "message" if !self.is_field() => {
                    self.at += 1;
                    message.messages.push(self.message(depth + 1)?);
                }
                "enum" if !self.is_field() => {
                    self.at += 1;
                    message.enums.push(self.enumeration()?);
                }
                "extend" if !self.is_field() => {
                    let (extend, groups) = self.extend(depth)?;
                    message.extends.push(extend);
                    message.messages.extend(groups);
                }
                "reserved" if !self.is_field() => {
                    self.at += 1;
                    self.reserved(&mut message.reserved, &mut message.reserved_names, FIELD_NUMBER_MAX)?;
                }
                "extensions" if !self.is_field() => {
                    self.at += 1;
                    self.ranges(&mut message.extensions, FIELD_NUMBER_MAX)?;
                    self.bracketed()?;
                    self.expect(";")?;
                }
                "oneof" if !self.is_field() => {
                    self.at += 1;
                    self.oneof(&mut message, depth)?;
                }
                "" => return Err(self.error("a message does not end")),
                _ => {
                    let field = self.field(&mut message.messages, depth)?;
                    message.fields.push(field);
                }
            }
        }
        Ok(message)
    }

    /// True where a keyword is the name of a field's type: `message.Inner x = 1`, `message x = 1`.
    fn is_field(&self) -> bool {
        let after = |offset: usize| self.tokens.get(self.at + offset).map_or("", |token| token.text);
        after(1) == "." || (after(2) == "=" && after(1) != "(" && self.peek() != "option")
    }

    fn oneof(&mut self, message: &mut Message, depth: usize) -> Parsed<()> {
        let place = message.oneofs.len();
        message.oneofs.push(Oneof { name: self.word()?, options: Vec::new() });
        self.expect("{")?;
        while !self.take("}") {
            match self.peek() {
                ";" => self.at += 1,
                "option" => {
                    let option = self.option_statement()?;
                    if let Some(oneof) = message.oneofs.get_mut(place) {
                        oneof.options.push(option);
                    }
                }
                "" => return Err(self.error("a oneof does not end")),
                _ => {
                    let mut field = self.field(&mut message.messages, depth)?;
                    if field.label != Label::Implicit {
                        return Err(self.error("a field of a oneof has no label"));
                    }
                    field.oneof = Some(place);
                    message.fields.push(field);
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, groups: &mut Vec<Message>, depth: usize) -> Parsed<Field> {
        let label = match self.peek() {
            "optional" => Label::Optional,
            "required" if !self.is_proto3 => Label::Required,
            "required" => return Err(self.error("proto3 has no required fields")),
            "repeated" => Label::Repeated,
            _ => Label::Implicit,
        };
        self.at += usize::from(label != Label::Implicit);
        let of = if self.peek() == "map" && self.peek_second() == "<" {
            self.at += 2;
            let key = self.word()?;
            let key = Scalar::from_name(&key);
            let fits = |key: &Scalar| !matches!(key, Scalar::Double | Scalar::Float | Scalar::Bytes);
            let key = key.filter(fits).ok_or_else(|| self.error("this type is no key of a map"))?;
            self.expect(",")?;
            let value = self.path()?;
            self.expect(">")?;
            if label != Label::Implicit {
                return Err(self.error("a map has no label"));
            }
            Type::Map(key, Box::new(type_of(value)))
        } else if self.peek() == "group" {
            self.at += 1;
            Type::Group(self.peek().to_owned())
        } else {
            type_of(self.path()?)
        };
        let name = self.word()?;
        self.expect("=")?;
        let number = self.integer()?;
        if !(1..=FIELD_NUMBER_MAX).contains(&number) {
            return Err(self.error("the number of a field is from 1 to 536870911"));
        }
        let options = self.bracketed()?;
        let name = match &of {
            Type::Group(group) => {
                let mut body = self.message_body(group.clone(), depth + 1)?;
                body.is_group = true;
                groups.push(body);
                name.to_ascii_lowercase()
            }
            _ => {
                self.expect(";")?;
                name
            }
        };
        Ok(Field { name, number, label, of, options, oneof: None })
    }

    fn extend(&mut self, depth: usize) -> Parsed<(Extend, Vec<Message>)> {
        self.expect("extend")?;
        let mut extend = Extend { of: self.path()?, fields: Vec::new() };
        let mut groups = Vec::new();
        self.expect("{")?;
        while !self.take("}") {
            match self.peek() {
                ";" => self.at += 1,
                "" => return Err(self.error("an extend does not end")),
                _ => extend.fields.push(self.field(&mut groups, depth)?),
            }
        }
        Ok((extend, groups))
    }

    fn ranges(&mut self, out: &mut Vec<(i32, i32)>, max: i32) -> Parsed<()> {
        loop {
            let start = self.integer()?;
            let end = match self.take("to") {
                true if self.take("max") => max,
                true => self.integer()?,
                false => start,
            };
            out.push((start, end));
            if !self.take(",") {
                return Ok(());
            }
        }
    }

    fn reserved(&mut self, ranges: &mut Vec<(i32, i32)>, names: &mut Vec<String>, max: i32) -> Parsed<()> {
        match self.kind() {
            Some(TokenKind::Quoted | TokenKind::Word) => loop {
                names.push(match self.kind() {
                    Some(TokenKind::Quoted) => self.string()?,
                    _ => self.word()?,
                });
                if !self.take(",") {
                    break;
                }
            },
            _ => self.ranges(ranges, max)?,
        }
        self.expect(";")
    }

    fn enumeration(&mut self) -> Parsed<Enum> {
        let mut out = Enum { name: self.word()?, ..Enum::default() };
        self.expect("{")?;
        while !self.take("}") {
            match (self.peek(), self.peek_second()) {
                (";", _) => self.at += 1,
                ("", _) => return Err(self.error("an enum does not end")),
                ("option", second) if second != "=" => out.options.push(self.option_statement()?),
                ("reserved", second) if second != "=" => {
                    self.at += 1;
                    self.reserved(&mut out.reserved, &mut out.reserved_names, i32::MAX)?;
                }
                _ => {
                    let name = self.word()?;
                    self.expect("=")?;
                    let number = self.integer()?;
                    let options = self.bracketed()?;
                    self.expect(";")?;
                    out.values.push(EnumValue { name, number, options });
                }
            }
        }
        match out.values.is_empty() {
            true => Err(self.error(format!("the enum {} has no values", out.name))),
            false => Ok(out),
        }
    }

    fn service(&mut self) -> Parsed<Service> {
        let mut out = Service { name: self.word()?, methods: Vec::new(), options: Vec::new() };
        self.expect("{")?;
        while !self.take("}") {
            match self.peek() {
                ";" => self.at += 1,
                "option" => out.options.push(self.option_statement()?),
                "rpc" => {
                    self.at += 1;
                    let name = self.word()?;
                    let (is_client_streaming, input) = self.streamed()?;
                    self.expect("returns")?;
                    let (is_server_streaming, output) = self.streamed()?;
                    let mut options = Vec::new();
                    if self.take("{") {
                        while !self.take("}") {
                            if !self.take(";") {
                                options.push(self.option_statement()?);
                            }
                        }
                    } else {
                        self.expect(";")?;
                    }
                    out.methods.push(Method {
                        name,
                        input,
                        is_client_streaming,
                        output,
                        is_server_streaming,
                        options,
                    });
                }
                _ => return Err(self.error("an rpc or option is expected")),
            }
        }
        Ok(out)
    }

    fn streamed(&mut self) -> Parsed<(bool, String)> {
        self.expect("(")?;
        let is_stream = self.peek() == "stream" && self.peek_second() != ")" && self.peek_second() != ".";
        self.at += usize::from(is_stream);
        let of = self.path()?;
        self.expect(")")?;
        Ok((is_stream, of))
    }
}

pub(super) fn type_of(name: String) -> Type {
    match Scalar::from_name(&name) {
        Some(scalar) => Type::Scalar(scalar),
        None => Type::Named(name),
    }
}
