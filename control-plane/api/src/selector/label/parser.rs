//! The grammar of label selector strings.

use crate::names;
use crate::status::FieldError;

use super::super::lexer::{Scanned, Token, scan};
use super::{Operator, Requirement, requirement};

/// The requirements a string spells out, in its order.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let tokens = scan(text);
    Parser { tokens, at: 0 }.selector()
}

/// Recursive descent over the tokens; one token of lookahead.
struct Parser {
    tokens: Vec<Scanned>,
    at: usize,
}

impl Parser {
    /// The next token where a value may stand: there `in` and `notin` are plain words.
    fn peek_value(&self) -> (Token, &str) {
        let (token, text) = self.peek_operator();
        match token {
            Token::In | Token::NotIn => (Token::Word, text),
            _ => (token, text),
        }
    }

    fn peek_operator(&self) -> (Token, &str) {
        // The last token is the end and stays the next one for ever.
        let at = self.at.min(self.tokens.len().saturating_sub(1));
        self.tokens
            .get(at)
            .map_or((Token::End, ""), |(token, text)| (*token, text))
    }

    fn next_value(&mut self) -> (Token, String) {
        let (token, text) = self.peek_value();
        let taken = (token, text.to_owned());
        self.at += 1;
        taken
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek_value() {
                (Token::Word | Token::Not, _) => {
                    let one = self.requirement();
                    requirements
                        .push(one.map_err(|why| format!("unable to parse requirement: {why}"))?);
                }
                (Token::End, _) => return Ok(requirements),
                (_, text) => {
                    return Err(format!(
                        "found '{text}', expected: !, identifier, or 'end of string'"
                    ));
                }
            }
            match self.next_value() {
                (Token::End, _) => return Ok(requirements),
                (Token::Comma, _) => match self.peek_value() {
                    (Token::Word | Token::Not, _) => {}
                    (_, text) => {
                        return Err(format!("found '{text}', expected: identifier after ','"));
                    }
                },
                (_, text) => {
                    return Err(format!("found '{text}', expected: ',' or 'end of string'"));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut taken = self.next_value();
        let negated = taken.0 == Token::Not;
        if negated {
            taken = self.next_value();
        }
        let (Token::Word, key) = taken else {
            return Err(format!("found '{}', expected: identifier", taken.1));
        };
        let wrong = names::qualified_name(&key);
        if !wrong.is_empty() {
            return Err(FieldError::invalid("<nil>", key, wrong.join("; ")).to_string());
        }
        if negated {
            return requirement(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek_value().0, Token::End | Token::Comma) {
            return requirement(key, Operator::Exists, Vec::new());
        }
        let (operator, text) = self.peek_operator();
        let operator = match operator {
            Token::In => Operator::In,
            Token::NotIn => Operator::NotIn,
            Token::Equals | Token::DoubleEquals => Operator::In,
            Token::NotEquals => Operator::NotIn,
            Token::Greater => Operator::Greater,
            Token::Less => Operator::Less,
            _ => {
                return Err(format!(
                    "found '{text}', expected: in, notin, =, ==, !=, gt, lt"
                ));
            }
        };
        let set = matches!(self.peek_operator().0, Token::In | Token::NotIn);
        self.at += 1;
        let values = if set {
            self.value_set()?
        } else {
            vec![self.exact_value()?]
        };
        requirement(key, operator, values)
    }

    /// `(a, b)`; empty values are values.
    fn value_set(&mut self) -> Result<Vec<String>, String> {
        let (token, text) = self.next_value();
        if token != Token::Open {
            return Err(format!("found '{text}' expected: '('"));
        }
        match self.peek_value() {
            (Token::Close, _) => {
                self.at += 1;
                return Ok(vec![String::new()]);
            }
            (Token::Word | Token::Comma, _) => {}
            (_, text) => {
                return Err(format!("found '{text}', expected: ',', ')' or identifier"));
            }
        }
        let mut values = Vec::new();
        loop {
            match self.next_value() {
                (Token::Word, value) => {
                    values.push(value);
                    match self.peek_value() {
                        (Token::Comma, _) => {}
                        (Token::Close, _) => break,
                        (_, text) => return Err(format!("found '{text}', expected: ',' or ')'")),
                    }
                }
                (Token::Comma, _) => {
                    if values.is_empty() || self.peek_value().0 == Token::Comma {
                        values.push(String::new());
                    }
                    if self.peek_value().0 == Token::Close {
                        values.push(String::new());
                        break;
                    }
                }
                (_, text) => return Err(format!("found '{text}', expected: ',', or identifier")),
            }
        }
        self.at += 1;
        Ok(values)
    }

    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.peek_value().0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.next_value() {
            (Token::Word, value) => Ok(value),
            (_, text) => Err(format!("found '{text}', expected: identifier")),
        }
    }
}
