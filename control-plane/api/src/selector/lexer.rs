//! Tokens of the label selector grammar.

/// One token. `Word` also stands for what only looks like a keyword (`in` as a value).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token {
    Error,
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Word,
    In,
    Less,
    NotEquals,
    NotIn,
    Open,
}

/// A token and the text it was made from.
pub(super) type Scanned = (Token, String);

/// All tokens of `text`, with [`Token::End`] last.
pub(super) fn scan(text: &str) -> Vec<Scanned> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let (token, used) = if rest.starts_with(is_symbol) {
            symbol(rest)
        } else {
            word(rest)
        };
        tokens.push(token);
        rest = rest[used..].trim_start_matches(is_space);
    }
    tokens.push((Token::End, String::new()));
    tokens
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_symbol(character: char) -> bool {
    matches!(character, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

fn word(text: &str) -> (Scanned, usize) {
    let end = text
        .find(|c| is_symbol(c) || is_space(c))
        .unwrap_or(text.len());
    let token = match &text[..end] {
        "in" => Token::In,
        "notin" => Token::NotIn,
        _ => Token::Word,
    };
    ((token, text[..end].to_owned()), end)
}

/// The longest operator at the start of `text`, which begins with a symbol.
fn symbol(text: &str) -> (Scanned, usize) {
    const OPERATORS: [(&str, Token); 9] = [
        ("==", Token::DoubleEquals),
        ("!=", Token::NotEquals),
        ("=", Token::Equals),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
        (",", Token::Comma),
        (">", Token::Greater),
        ("<", Token::Less),
    ];
    for (operator, token) in OPERATORS {
        if text.starts_with(operator) {
            return ((token, operator.to_owned()), operator.len());
        }
    }
    let end = text.find(|c| !is_symbol(c)).unwrap_or(text.len());
    ((Token::Error, text[..end].to_owned()), end)
}
