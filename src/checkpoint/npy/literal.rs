//! Python literals, as far as `.npy` headers use them.

use crate::checkpoint::error::{Fault, Parse};

/// Deepest nesting: a record's list of fields of tuples, a few times over.
const MAX_DEPTH: usize = 24;

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    None,
    Bool(bool),
    Int(i64),
    Str(String),
    List(Vec<Literal>),
    Tuple(Vec<Literal>),
    Dict(Vec<(Literal, Literal)>),
}

/// Parses `text`, which must hold one literal and white space.
pub fn parse(text: &str) -> Parse<Literal> {
    let mut parser = Parser { rest: text };
    let value = parser.value(0)?;
    parser.space();
    match parser.rest {
        "" => Ok(value),
        _ => Err(parser.bad("the end")),
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn bad(&self, expected: &str) -> Fault {
        let found: String = self.rest.chars().take(40).collect();
        Fault::corrupt(format!("expected {expected}, found {found:?}"))
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// Steps over `token`, after white space, if it is next.
    fn next_is(&mut self, token: &str) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, depth: usize) -> Parse<Literal> {
        if depth > MAX_DEPTH {
            return Err(Fault::hostile("brackets nested too deep"));
        }
        self.space();
        if self.next_is("{") {
            return self.dict(depth);
        }
        if self.next_is("[") {
            return Ok(Literal::List(self.items("]", depth)?.0));
        }
        if self.next_is("(") {
            let (mut items, comma) = self.items(")", depth)?;
            return Ok(match items.pop() {
                Some(only) if items.is_empty() && !comma => only,
                Some(last) => Literal::Tuple(items.into_iter().chain([last]).collect()),
                None => Literal::Tuple(items),
            });
        }
        for (word, value) in [
            ("True", Literal::Bool(true)),
            ("False", Literal::Bool(false)),
            ("None", Literal::None),
        ] {
            if self.next_is(word) {
                return Ok(value);
            }
        }
        // Python 2 wrote some field names as u'…'.
        let prefixed = ["u'", "u\"", "b'", "b\""]
            .iter()
            .any(|p| self.rest.starts_with(p));
        if prefixed {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.string(quote).map(Literal::Str),
            Some('-' | '0'..='9') => self.int(),
            _ => Err(self.bad("a value")),
        }
    }

    /// The items up to `close`, and whether the last was followed by a comma.
    fn items(&mut self, close: &str, depth: usize) -> Parse<(Vec<Literal>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        while !self.next_is(close) {
            if !items.is_empty() && !comma {
                return Err(self.bad("a comma"));
            }
            items.push(self.value(depth + 1)?);
            comma = self.next_is(",");
        }
        Ok((items, comma))
    }

    fn dict(&mut self, depth: usize) -> Parse<Literal> {
        let mut items = Vec::new();
        let mut comma = true;
        while !self.next_is("}") {
            if !comma {
                return Err(self.bad("a comma"));
            }
            let key = self.value(depth + 1)?;
            if !self.next_is(":") {
                return Err(self.bad("a colon"));
            }
            items.push((key, self.value(depth + 1)?));
            comma = self.next_is(",");
        }
        Ok(Literal::Dict(items))
    }

    fn int(&mut self) -> Parse<Literal> {
        let end = self
            .rest
            .find(|c: char| c != '-' && !c.is_ascii_digit())
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        let value = digits.parse().map_err(|_| self.bad("a whole number"))?;
        // Python 2 wrote long integers as 3L.
        self.rest = rest.strip_prefix('L').unwrap_or(rest);
        Ok(Literal::Int(value))
    }

    fn string(&mut self, quote: char) -> Parse<String> {
        let mut out = String::new();
        let mut chars = self.rest.get(1..).unwrap_or_default().chars();
        loop {
            match chars.next() {
                Some('\\') => out.push(escape(&mut chars).ok_or_else(|| self.bad("a string"))?),
                Some(c) if c == quote => break,
                Some(c) => out.push(c),
                None => return Err(self.bad("a closed string")),
            }
        }
        self.rest = chars.as_str();
        Ok(out)
    }
}

fn escape(chars: &mut std::str::Chars) -> Option<char> {
    let digits = match chars.next()? {
        'n' => return Some('\n'),
        'r' => return Some('\r'),
        't' => return Some('\t'),
        c @ ('\\' | '\'' | '"') => return Some(c),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let code = chars.as_str().get(..digits)?;
    *chars = chars.as_str().get(digits..)?.chars();
    char::from_u32(u32::from_str_radix(code, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_headers() {
        use Literal::{Bool, Dict, Int, List, Str, Tuple};
        let text = |s: &str| Str(s.into());
        let cases = [
            ("()", Tuple(vec![])),
            ("(3,)", Tuple(vec![Int(3)])),
            ("(3)", Int(3)),
            ("( 2L, -5 )", Tuple(vec![Int(2), Int(-5)])),
            (
                "['a', \"b'\\n\\x41\\u00e9\"]",
                List(vec![text("a"), text("b'\nAé")]),
            ),
            (
                "{'x': True, u'y': None,}\n",
                Dict(vec![(text("x"), Bool(true)), (text("y"), Literal::None)]),
            ),
        ];
        for (source, expected) in cases {
            assert_eq!(parse(source).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let deep = "(".repeat(100_000);
        for source in [
            "",
            "{",
            "(1 2)",
            "{'a' 1}",
            "{'a': 1 'b': 2}",
            "'open",
            "'\\q'",
            "'\\x4",
            "1 2",
            "1--2",
            "99999999999999999999",
            "__import__('os')",
            "é",
            "[1",
            "{1: 2",
            "'\\ud800'",
            "(,)",
            &deep,
        ] {
            assert!(parse(source).is_err(), "{source:.20}");
        }
    }
}
