#!/bin/sh
# Builds every sample and puts its module beside its source. Needs the two WASI targets of the Rust toolchain:
#   rustup target add wasm32-wasip1 wasm32-wasip2
set -eu
cd "$(dirname "$0")"
cargo build --locked --release --target wasm32-wasip1 -p hello -p ticker
cargo build --locked --release --target wasm32-wasip2 -p http-hello
out=${CARGO_TARGET_DIR:-target}
cp "$out/wasm32-wasip1/release/hello.wasm" hello/hello.wasm
cp "$out/wasm32-wasip1/release/ticker.wasm" ticker/ticker.wasm
cp "$out/wasm32-wasip2/release/http_hello.wasm" http-hello/http-hello.wasm
