//! `wasi:io/streams` and `wasi:io/error`, on files.

use crate::check::{equal, holds, ok};
use crate::files::mount;
use wasip2::filesystem::types::{
    filesystem_error_code, Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

pub fn run() {
    let folder = mount("/data");
    let file = create(&folder, "from");
    write(&ok(file.write_via_stream(0)));
    equal(ok(file.read(100, 0)).0, b"abcdefgh\0\0\0\0\0ij");
    read(&ok(file.read_via_stream(0)));
    let copy = create(&folder, "to");
    splice(&ok(copy.write_via_stream(0)), &ok(file.read_via_stream(0)));
    equal(ok(copy.read(100, 0)).0, b"abcdefgh");
    fail(&ok(create(&mount("/small"), "full").write_via_stream(0)));
}

fn create(folder: &Descriptor, name: &str) -> Descriptor {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    ok(folder.open_at(PathFlags::empty(), name, OpenFlags::CREATE, flags))
}

fn write(out: &OutputStream) {
    out.subscribe().block();
    holds(ok(out.check_write()) >= 4);
    ok(out.write(b"abcd"));
    ok(out.flush());
    out.subscribe().block();
    ok(out.blocking_write_and_flush(b"efgh"));
    out.subscribe().block();
    holds(ok(out.check_write()) >= 3);
    ok(out.write_zeroes(3));
    ok(out.blocking_flush());
    ok(out.blocking_write_zeroes_and_flush(2));
    ok(out.blocking_write_and_flush(b"ij"));
}

fn read(input: &InputStream) {
    equal(ok(input.blocking_read(2)), b"ab");
    equal(when_ready(input, || ok(input.read(2))), b"cd");
    equal(when_ready(input, || ok(input.skip(1))), 1);
    equal(ok(input.blocking_skip(2)), 2);
    equal(ok(input.blocking_read(100)), b"h\0\0\0\0\0ij");
    holds(matches!(input.blocking_read(1), Err(StreamError::Closed)));
}

fn splice(out: &OutputStream, input: &InputStream) {
    equal(ok(out.blocking_splice(input, 3)), 3);
    out.subscribe().block();
    equal(when_ready(input, || ok(out.splice(input, 5))), 5);
    ok(out.blocking_flush());
}

/// Writes until the volume is full.
fn fail(out: &OutputStream) {
    let failed = loop {
        match out.blocking_write_and_flush(&[1; 4096]) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    let StreamError::LastOperationFailed(error) = failed else {
        return holds(false);
    };
    holds(!error.to_debug_string().is_empty());
    equal(filesystem_error_code(&error), Some(ErrorCode::InsufficientSpace));
}

/// What a call that does not wait gives when there is something.
fn when_ready<T: Default + PartialEq>(input: &InputStream, call: impl Fn() -> T) -> T {
    loop {
        let got = call();
        if got != T::default() {
            return got;
        }
        input.subscribe().block();
    }
}
