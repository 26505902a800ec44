//! Reads JSON piece by piece, without building anything: what the encoder walks over.
//!
//! The input is what the server itself wrote, so it is parsed once and not checked for what does not matter here
//! (duplicate names, control characters in strings). Malformed input is an error all the same, never a panic.

use std::borrow::Cow;

use super::EncodeError;

pub(super) struct Json<'a> {
    /// The same twice: pieces are cut out of the first, and found in the second.
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Json<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Json<'a>, EncodeError> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| EncodeError::new(error.to_string()))?;
        Ok(Json { text, bytes, at: 0 })
    }

    /// The first byte of what comes next.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Steps over `byte`, which must come next.
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), EncodeError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// Nothing may follow.
    pub(super) fn end(&mut self) -> Result<(), EncodeError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected()),
        }
    }

    /// Whether another member or element follows; steps over what is between them, or over `close`.
    /// `first` is true right after the opening bracket, and false from then on.
    pub(super) fn more(&mut self, first: &mut bool, close: u8) -> Result<bool, EncodeError> {
        let first = std::mem::take(first);
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if first => Ok(true),
            _ => Err(self.unexpected()),
        }
    }

    /// A member's name and the colon after it.
    pub(super) fn name(&mut self) -> Result<Cow<'a, str>, EncodeError> {
        let name = self.string()?;
        self.expect(b':')?;
        Ok(name)
    }

    /// A string; borrowed unless something in it is escaped.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, EncodeError> {
        let (token, escaped) = self.string_token()?;
        if escaped {
            return serde_json::from_str(token)
                .map(Cow::Owned)
                .map_err(|error| EncodeError::new(error.to_string()));
        }
        Ok(Cow::Borrowed(&token[1..token.len() - 1]))
    }

    /// Steps over `null` if it comes next.
    pub(super) fn null(&mut self) -> bool {
        let null = self.peek() == Some(b'n') && self.bytes[self.at..].starts_with(b"null");
        if null {
            self.at += b"null".len();
        }
        null
    }

    pub(super) fn boolean(&mut self) -> Result<bool, EncodeError> {
        match self.scalar()? {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.unexpected()),
        }
    }

    pub(super) fn integer(&mut self) -> Result<i64, EncodeError> {
        let digits = self.scalar()?;
        digits
            .parse()
            .map_err(|_| EncodeError::new(format!("{digits} is no integer of 64 bits")))
    }

    pub(super) fn float(&mut self) -> Result<f64, EncodeError> {
        let digits = self.scalar()?;
        digits
            .parse()
            .map_err(|_| EncodeError::new(format!("{digits} is no number")))
    }

    /// A number, `true`, `false` or `null`, as it is written.
    pub(super) fn scalar(&mut self) -> Result<&'a str, EncodeError> {
        self.peek();
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.'))
            .unwrap_or(rest.len());
        if length == 0 {
            return Err(self.unexpected());
        }
        let start = self.at;
        self.at += length;
        Ok(&self.text[start..self.at])
    }

    /// Any value, as it is written.
    pub(super) fn any(&mut self) -> Result<&'a [u8], EncodeError> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'{' | b'[') => self.skip_nested()?,
            Some(b'"') => {
                self.string_token()?;
            }
            _ => {
                self.scalar()?;
            }
        }
        Ok(&self.bytes[start..self.at])
    }

    /// Steps over an object or list. Brackets are only counted: they match in JSON.
    fn skip_nested(&mut self) -> Result<(), EncodeError> {
        let mut open = 0_usize;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.string_token()?;
                    continue;
                }
                Some(b'{' | b'[') => open += 1,
                Some(b'}' | b']') => open -= 1,
                Some(_) => {}
                None => return Err(self.unexpected()),
            }
            self.at += 1;
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// A string with its quotes, and whether something in it is escaped.
    fn string_token(&mut self) -> Result<(&'a str, bool), EncodeError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        let start = self.at;
        let mut escaped = false;
        self.at += 1;
        loop {
            let Some(special) = special(&self.bytes[self.at..]) else {
                self.at = self.bytes.len();
                return Err(self.unexpected());
            };
            self.at += special;
            if self.bytes[self.at] == b'"' {
                self.at += 1;
                return Ok((&self.text[start..self.at], escaped));
            }
            escaped = true;
            // Whatever is escaped is not the end. It may be the last byte there is.
            self.at = (self.at + 2).min(self.bytes.len());
        }
    }

    fn unexpected(&self) -> EncodeError {
        let found = match self.bytes.get(self.at) {
            Some(byte) => format!("{:?}", char::from(*byte)),
            None => "the end".to_owned(),
        };
        EncodeError::new(format!("unexpected {found} at byte {}", self.at))
    }
}

/// Where the next quote or backslash is. Eight bytes are looked at together: most of an object is in its strings.
fn special(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    /// A high bit is set for each byte that is `byte`; only the lowest of them is sure to be right.
    fn matches(word: u64, byte: u8) -> u64 {
        let differs = word ^ u64::from_ne_bytes([byte; 8]);
        differs.wrapping_sub(ONES) & !differs & HIGH
    }
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = matches(word, b'"') | matches(word, b'\\');
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    rest.iter()
        .position(|byte| matches!(byte, b'"' | b'\\'))
        .map(|at| words.len() * 8 + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json<'_> {
        Json::new(text.as_bytes()).expect("is UTF-8")
    }

    #[test]
    fn values_are_cut_out_whole() {
        for (text, value) in [
            (
                r#" {"a":[1,{"b":"}]\""}]} , 2"#,
                r#"{"a":[1,{"b":"}]\""}]}"#,
            ),
            ("[] ]", "[]"),
            (r#""x\\" "y""#, r#""x\\""#),
            ("-1.5e+7,", "-1.5e+7"),
            ("null}", "null"),
        ] {
            let found = json(text).any().expect(text);
            assert_eq!(String::from_utf8_lossy(found), value);
        }
        for text in [
            "", "   ", "[", r#"{"a""#, r#""x"#, r#""x\"#, r#"["x\"#, ",", "]",
        ] {
            assert!(json(text).any().is_err(), "{text}");
        }
    }

    #[test]
    fn strings() {
        let string = |text: &'static str| json(text).string();
        assert!(matches!(
            string(r#""plain é""#),
            Ok(Cow::Borrowed("plain é"))
        ));
        assert_eq!(
            string(r#""a\n\u00e9\"\ud83d\ude00""#).expect("escaped"),
            "a\né\"😀"
        );
        assert!(string(r#""\ud83d""#).is_err());
        for length in 0..40 {
            let long = format!("{}\"{}", "é".repeat(length), "x".repeat(20));
            let found = json(&format!("\"{long}")).string().map(|text| text.len());
            assert_eq!(found.expect("a string"), length * 2);
        }
        assert!(string("\"open").is_err());
        assert!(string("7").is_err());
    }

    #[test]
    fn members() {
        let mut json = json(r#"{ "a" : 1 , "b":true,"c": null }"#);
        json.expect(b'{').expect("an object");
        let mut first = true;
        let mut names = Vec::new();
        while json.more(&mut first, b'}').expect("well-formed") {
            names.push(json.name().expect("a name"));
            json.any().expect("a value");
        }
        json.end().expect("the end");
        assert_eq!(names, ["a", "b", "c"]);
        for text in ["{,}", "{\"a\":1 \"b\":2}", "{"] {
            let mut json = Json::new(text.as_bytes()).expect("is UTF-8");
            json.expect(b'{').expect("an object");
            let mut first = true;
            let walked = (|| {
                while json.more(&mut first, b'}')? {
                    json.name()?;
                    json.any()?;
                }
                Ok::<_, EncodeError>(())
            })();
            assert!(walked.is_err(), "{text}");
        }
    }
}
