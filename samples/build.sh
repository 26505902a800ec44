#!/bin/sh
# Builds every sample and puts its module beside its source, or below $OUT. Needs the two WASI targets of the Rust toolchain:
#   rustup target add wasm32-wasip1 wasm32-wasip2
set -eu
cd "$(dirname "$0")"
# Panics name their places in crates; where those lie on this machine is nobody's business.
export RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=/crates"
cargo build --locked --release --target wasm32-wasip1 -p hello -p ticker -p wbox
cargo build --locked --release --target wasm32-wasip2 -p http-hello -p tcp-echo
built=${CARGO_TARGET_DIR:-target}
put() {
    mkdir -p "${OUT:-.}/$2"
    install -m 0644 "$built/$1.wasm" "${OUT:-.}/$2/$2.wasm"
    ./neutral.sh "${OUT:-.}/$2/$2.wasm"
}
put wasm32-wasip1/release/hello hello
put wasm32-wasip1/release/ticker ticker
put wasm32-wasip1/release/wbox wbox
put wasm32-wasip2/release/http_hello http-hello
put wasm32-wasip2/release/tcp-echo tcp-echo
