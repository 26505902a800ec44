//! Tools for files and folders.

use std::fs::{self, File};
use std::io::{self, Read};

use crate::{Outcome, at, usage};

/// What a name stands for: a file, or with `-` the standard input.
pub(crate) fn open(name: &str) -> io::Result<Box<dyn Read>> {
    if name == "-" {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(File::open(name).map_err(at(name))?))
}

/// The names given, or the standard input.
pub(crate) fn inputs(args: &[String]) -> Vec<String> {
    match args.is_empty() {
        true => vec!["-".to_owned()],
        false => args.to_vec(),
    }
}

pub(crate) fn cat(args: &[String]) -> Outcome {
    let mut code = 0;
    for name in inputs(args) {
        let copied = open(&name).and_then(|mut from| {
            io::copy(&mut from, &mut io::stdout()).map_err(at(&name))
        });
        if let Err(error) = copied {
            eprintln!("cat: {error}");
            code = 1;
        }
    }
    Ok(code)
}

pub(crate) fn cp(args: &[String]) -> Outcome {
    let [from, to] = args else {
        return Err(usage("cp FROM TO"));
    };
    let mut from_file = File::open(from).map_err(at(from))?;
    let mut to_file = File::create(to).map_err(at(to))?;
    io::copy(&mut from_file, &mut to_file).map_err(at(to))?;
    Ok(0)
}

/// `-l` tells kind and size, `-a` what begins with a dot.
pub(crate) fn ls(args: &[String]) -> Outcome {
    let (options, names): (Vec<&String>, Vec<&String>) =
        args.iter().partition(|arg| arg.len() > 1 && arg.starts_with('-'));
    let has = |letter| options.iter().any(|option| option.contains(letter));
    let here = ".".to_owned();
    let names = if names.is_empty() { vec![&here] } else { names };
    let mut code = 0;
    for name in names {
        if let Err(error) = list(name, has('l'), has('a')) {
            eprintln!("ls: {error}");
            code = 1;
        }
    }
    Ok(code)
}

fn list(name: &str, long: bool, all: bool) -> io::Result<()> {
    let found = fs::metadata(name).map_err(at(name))?;
    let mut entries = Vec::new();
    if found.is_dir() {
        for entry in fs::read_dir(name).map_err(at(name))? {
            let entry = entry.map_err(at(name))?.file_name();
            entries.push(entry.to_string_lossy().into_owned());
        }
        entries.retain(|entry| all || !entry.starts_with('.'));
        entries.sort();
    } else {
        entries.push(name.to_owned());
    }
    for entry in entries {
        if !long {
            println!("{entry}");
            continue;
        }
        let path = if found.is_dir() { format!("{name}/{entry}") } else { entry.clone() };
        let about = fs::symlink_metadata(&path).map_err(at(&path))?;
        let kind = match about.file_type() {
            kind if kind.is_dir() => 'd',
            kind if kind.is_symlink() => 'l',
            _ => '-',
        };
        println!("{kind} {:>10} {entry}", about.len());
    }
    Ok(())
}

pub(crate) fn mkdir(args: &[String]) -> Outcome {
    let parents = args.first().is_some_and(|arg| arg == "-p");
    for name in &args[usize::from(parents)..] {
        let made = if parents { fs::create_dir_all(name) } else { fs::create_dir(name) };
        made.map_err(at(name))?;
    }
    Ok(0)
}

pub(crate) fn rm(args: &[String]) -> Outcome {
    for name in args {
        fs::remove_file(name).map_err(at(name))?;
    }
    Ok(0)
}

pub(crate) fn touch(args: &[String]) -> Outcome {
    for name in args {
        let file = File::options().create(true).append(true).open(name);
        file.map_err(at(name))?;
    }
    Ok(0)
}
