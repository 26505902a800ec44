//! From text to steps.

use super::Step;
use super::filter::{self, Filter};

/// Deepest nesting of filters in filters.
const MAX_NESTING: usize = 4;

/// A whole path.
pub(super) fn path(text: &str) -> Option<Vec<Step>> {
    nested(text, 0)
}

pub(super) fn nested(text: &str, depth: usize) -> Option<Vec<Step>> {
    let mut rest = text.trim();
    rest = rest.strip_prefix(['$', '@']).unwrap_or(rest);
    let mut steps = Vec::new();
    while let Some(first) = rest.chars().next() {
        match first {
            '.' => {
                rest = &rest[1..];
                if let Some(after) = rest.strip_prefix('.') {
                    steps.push(Step::Recursive);
                    rest = after;
                }
            }
            '[' => {
                let (inside, after) = bracket(rest)?;
                steps.push(step(inside, depth)?);
                rest = after;
            }
            _ => {
                let (name, after) = name(rest);
                steps.push(match name.as_str() {
                    "*" => Step::Wildcard,
                    _ => Step::Field(name),
                });
                rest = after;
            }
        }
    }
    Some(steps)
}

/// A name up to the next dot or bracket; a backslash takes the next character as it is.
fn name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => name.extend(characters.next().map(|(_, character)| character)),
            '.' | '[' => return (name, &text[at..]),
            _ => name.push(character),
        }
    }
    (name, "")
}

/// What is between a bracket and its partner, and what follows.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '[') => depth += 1,
            (None, ']') => {
                depth -= 1;
                if depth == 0 {
                    return Some((&text[1..at], &text[at + 1..]));
                }
            }
            (None, _) => {}
        }
    }
    None
}

fn step(inside: &str, depth: usize) -> Option<Step> {
    let inside = inside.trim();
    if let Some(condition) = inside.strip_prefix("?(") {
        let condition = condition.strip_suffix(')')?;
        if depth >= MAX_NESTING {
            return None;
        }
        let filter: Filter = filter::parse(condition, depth + 1)?;
        return Some(Step::Filter(Box::new(filter)));
    }
    if inside == "*" {
        return Some(Step::Wildcard);
    }
    let members = filter::split(inside, ",");
    if members.len() > 1 {
        let steps = members.into_iter().map(|member| member_step(member.trim()));
        return Some(Step::Union(steps.collect::<Option<_>>()?));
    }
    member_step(inside)
}

fn member_step(text: &str) -> Option<Step> {
    if let Some(name) = filter::unquoted(text) {
        return Some(Step::Field(name));
    }
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        digits => digits.parse::<i64>().ok().map(Some),
    };
    let parts: Vec<&str> = text.split(':').collect();
    let single = parts.len() == 1;
    match parts.as_slice() {
        [start] if !start.is_empty() => Some(Step::Slice {
            start: number(start)?,
            end: None,
            step: 1,
            single,
        }),
        [start, rest @ ..] if !rest.is_empty() && rest.len() <= 2 => {
            let step = rest.get(1).map_or(Some(None), |step| number(step))?;
            Some(Step::Slice {
                start: number(start)?,
                end: number(rest[0])?,
                step: step.unwrap_or(1).max(1),
                single,
            })
        }
        _ => None,
    }
}
