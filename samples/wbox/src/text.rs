//! Tools for text.

use std::io::{self, BufRead, BufReader, Read, Write};

use crate::files::{inputs, open};
use crate::{Outcome, at, usage};

/// `-n` leaves the end of the line out.
pub(crate) fn echo(args: &[String]) -> Outcome {
    let quiet = args.first().is_some_and(|arg| arg == "-n");
    let text = args[usize::from(quiet)..].join(" ");
    let end = if quiet { "" } else { "\n" };
    print!("{text}{end}");
    Ok(0)
}

/// `%s`, `%d`, `%%`, and the escapes `\n`, `\t` and `\\`; again while there are arguments left.
pub(crate) fn printf(args: &[String]) -> Outcome {
    let (format, values) = args.split_first().ok_or_else(|| usage("printf FORMAT [VALUE]..."))?;
    let mut values = values.iter();
    loop {
        let before = values.len();
        print!("{}", filled(format, &mut values)?);
        if values.len() == 0 || values.len() == before {
            return Ok(0);
        }
    }
}

fn filled<'a>(format: &str, values: &mut impl Iterator<Item = &'a String>) -> io::Result<String> {
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            '%' => match chars.next() {
                Some('s') => text.push_str(values.next().map_or("", String::as_str)),
                Some('d') => {
                    let value = values.next().map_or("0", String::as_str);
                    let number: i64 = value.parse().map_err(|_| usage("%d wants a number"))?;
                    text.push_str(&number.to_string());
                }
                Some('%') => text.push('%'),
                _ => return Err(usage("printf knows %s, %d and %%")),
            },
            other => text.push(other),
        }
    }
    Ok(text)
}

/// `-n COUNT`, 10 lines otherwise.
pub(crate) fn head(args: &[String]) -> Outcome {
    let (count, names) = match args {
        [option, count, names @ ..] if option == "-n" => {
            (count.parse().map_err(|_| usage("head [-n COUNT] [FILE]..."))?, names)
        }
        names => (10, names),
    };
    for name in inputs(names) {
        let lines = BufReader::new(open(&name)?).split(b'\n').take(count);
        for line in lines {
            let line = [&line.map_err(at(&name))?[..], b"\n"].concat();
            io::stdout().write_all(&line)?;
        }
    }
    Ok(0)
}

/// Lines, words and bytes; with `-l`, `-w` or `-c` one of them.
pub(crate) fn wc(args: &[String]) -> Outcome {
    let (option, names) = match args {
        [option, names @ ..] if matches!(option.as_str(), "-l" | "-w" | "-c") => {
            (option.as_str(), names)
        }
        names => ("", names),
    };
    for name in inputs(names) {
        let mut bytes = Vec::new();
        open(&name)?.read_to_end(&mut bytes).map_err(at(&name))?;
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        let words = bytes.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
        let counts = match option {
            "-l" => lines.to_string(),
            "-w" => words.to_string(),
            "-c" => bytes.len().to_string(),
            _ => format!("{lines} {words} {}", bytes.len()),
        };
        match name.as_str() {
            "-" => println!("{counts}"),
            name => println!("{counts} {name}"),
        }
    }
    Ok(0)
}

/// `seq LAST` or `seq FIRST LAST`.
pub(crate) fn seq(args: &[String]) -> Outcome {
    let numbers: Option<Vec<i64>> = args.iter().map(|arg| arg.parse().ok()).collect();
    let (first, last) = match numbers.as_deref() {
        Some([last]) => (1, *last),
        Some([first, last]) => (*first, *last),
        _ => return Err(usage("seq [FIRST] LAST")),
    };
    for number in first..=last {
        println!("{number}");
    }
    Ok(0)
}
