//! What files are told to be, and which are refused.

use super::*;

fn check(wat: &str) -> Result<Inspected, LoadError> {
    inspect(&wat::parse_str(wat).expect("the test's own text is valid"))
}

#[test]
fn kinds_are_told_by_exports() {
    let command = check(r#"(module (func (export "_start")))"#).expect("runs");
    assert!(!command.component);
    assert_eq!(command.entries.command, Some(Wasi::P1));
    // An export, whose command it is, and whose handler.
    let cases = [
        ("wasi:http/incoming-handler@0.2.3", None, Some(Wasi::P2)),
        ("wasi:http/handler@0.3.0", None, Some(Wasi::P3)),
        ("wasi:cli/run@0.2.0", Some(Wasi::P2), None),
        ("wasi:cli/run@0.3.1", Some(Wasi::P3), None),
        ("wasi:cli/run@0.4.0", None, None),
    ];
    for (export, command, http) in cases {
        let text = format!(r#"(component (instance $i) (export "{export}" (instance $i)))"#);
        let entries = check(&text).expect("runs").entries;
        assert_eq!((entries.command, entries.http), (command, http), "{export}");
    }
}

#[test]
fn every_import_that_is_not_offered_is_named() {
    let error = check(
        r#"(module
            (import "env" "a" (func)) (import "wasi_snapshot_preview1" "fd_write" (func))
            (import "wasi_snapshot_preview1" "b" (func)) (func (export "_start")))"#,
    );
    let Err(LoadError::UnsupportedImport { names }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(names, ["env.a", "wasi_snapshot_preview1.b"]);
    let error = check(r#"(component (import "acme:db/sql@1.0.0" (instance)))"#);
    let Err(LoadError::UnsupportedImport { names }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(names, ["acme:db/sql@1.0.0"]);
}

#[test]
fn a_library_has_functions_alone() {
    let library = check(r#"(module (memory (export "m") 1) (func (export "add")))"#);
    let entries = library.expect("its function can be called").entries;
    assert_eq!((entries.command, entries.http), (None, None));
    assert_eq!(entries.functions, ["add"]);
    let error = check(r#"(module (memory (export "m") 1))"#);
    assert!(
        matches!(error, Err(LoadError::NoEntryPoint { .. })),
        "{error:?}"
    );
}

#[test]
fn what_is_not_wasm_says_why() {
    let whole = wat::parse_str(r#"(module (func (export "_start")))"#).expect("valid");
    let cases: [&[u8]; 5] = [
        b"",
        b"#!/bin/sh\n",
        b"\x7fELF",
        b"\0asm",
        &whole[..whole.len() - 3],
    ];
    for bytes in cases {
        assert!(
            matches!(inspect(bytes), Err(LoadError::NotWasm { .. })),
            "{bytes:?}"
        );
    }
}

/// A core module that is one section.
fn module_of(id: u8, content: &[u8]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.push(id);
    leb(&mut module, content.len());
    module.extend(content);
    module
}

fn leb(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    leb(bytes, text.len());
    bytes.extend(text.as_bytes());
}

#[test]
fn a_group_of_imports_does_not_repeat_a_long_name() {
    // One group: a module's name of 100 KB, and 100,000 empty names in it. Together 10 GB.
    let mut content = vec![1];
    text(&mut content, &"m".repeat(100_000));
    content.extend([0, 0x7e, 0, 0]);
    leb(&mut content, 100_000);
    content.extend(vec![0; 100_000]);
    let error = inspect(&module_of(2, &content));
    assert!(matches!(error, Err(LoadError::NotWasm { .. })), "{error:?}");
}

#[test]
fn names_are_bounded_in_number_and_length() {
    let imports = |count: usize, long: usize, same: bool| {
        let mut content = Vec::new();
        leb(&mut content, count);
        for number in 0..count {
            text(&mut content, P1);
            let number = if same { 0 } else { number };
            text(&mut content, &format!("{number:0long$}"));
            content.extend([0, 0]);
        }
        inspect(&module_of(2, &content))
    };
    let few = imports(MAX_IMPORTS, 5, false);
    assert!(
        matches!(few, Err(LoadError::UnsupportedImport { .. })),
        "{few:?}"
    );
    let same = imports(2 * MAX_IMPORTS, 5, true);
    assert!(
        matches!(same, Err(LoadError::UnsupportedImport { .. })),
        "{same:?}"
    );
    for refused in [
        imports(MAX_IMPORTS + 1, 5, false),
        imports(1_000, 10_000, false),
    ] {
        assert!(
            matches!(refused, Err(LoadError::TooManyNames { .. })),
            "{refused:?}"
        );
    }
    let mut content = Vec::new();
    leb(&mut content, MAX_EXPORTS + 1);
    for number in 0..=MAX_EXPORTS {
        text(&mut content, &number.to_string());
        content.extend([0, 0]);
    }
    let exports = inspect(&module_of(7, &content));
    assert!(
        matches!(exports, Err(LoadError::TooManyNames { .. })),
        "{exports:?}"
    );
}

#[test]
fn nested_modules_do_not_count() {
    let error =
        check(r#"(component (core module (import "env" "x" (func)) (func (export "_start"))))"#);
    assert!(
        matches!(error, Err(LoadError::NoEntryPoint { .. })),
        "{error:?}"
    );
}

#[test]
fn what_waits_for_several_things_at_once_is_told_by_its_types_and_imports() {
    let plain = [
        r#"(module (func (export "_start")))"#,
        r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#,
    ];
    let concurrent = [
        // A function that may wait, however it is called.
        r#"(component
            (import "wasi:clocks/monotonic-clock@0.3.0" (instance
                (export "wait-for" (func async (param "how-long" u64)))))
            (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#,
        // Nothing of WASI, in a component inside.
        r#"(component
            (component
                (core module $m (func (export "f")))
                (core instance $m (instantiate $m))
                (func (export "f") async (canon lift (core func $m "f"))))
            (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#,
        r#"(component (type $s (stream u8)) (core func (canon stream.new $s))
            (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#,
        // Interfaces of WASI 0.3, without a function that may wait.
        r#"(component (import "wasi:random/random@0.3.0" (instance))
            (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#,
        r#"(component (import "sampan:signal/signals@0.2.0" (instance))
            (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#,
    ];
    let told = |text: &&str| check(text).expect("runs").concurrent;
    assert!(!plain.iter().any(told));
    assert!(concurrent.iter().all(told));
}

#[test]
fn functions_are_counted_before_they_are_read() {
    // As many as said, each of no bytes.
    let number = |number: u32| {
        let byte = |place: u32| (number >> (7 * place)) as u8 & 0x7f;
        [byte(0) | 0x80, byte(1) | 0x80, byte(2) | 0x80, byte(3)]
    };
    let section = |id: u8, functions: u32| {
        let mut section = vec![id];
        section.extend(number(functions + 4));
        section.extend(number(functions));
        section.resize(section.len() + functions as usize, 0);
        section
    };
    let module = |functions| {
        let header = b"\0asm\x01\0\0\0".to_vec();
        [header, section(3, functions), section(10, functions)].concat()
    };
    let few = inspect(&module(1_000));
    assert!(
        matches!(few, Err(LoadError::NoEntryPoint { .. })),
        "{few:?}"
    );
    let many = inspect(&module(MAX_FUNCTIONS + 1));
    assert!(
        matches!(many, Err(LoadError::TooManyNames { .. })),
        "{many:?}"
    );
}
